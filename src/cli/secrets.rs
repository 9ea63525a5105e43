//! `claude-grpc secrets`: manages files that are encrypted with Fernet.

use super::{
    exit::{Failure, with_causes},
    output,
};
use crate::secrets::{Keyring, SecretError, decrypt_file, encrypt_file, rotate_file};
use std::path::PathBuf;

/// The subcommands of `secrets`.
#[derive(Debug, clap::Subcommand)]
pub enum SecretsCommand {
    /// Generate a key file; --add prepends a new key to an existing one.
    Keygen(Keygen),
    /// Encrypt a file, for example `.env` to `.env.enc`.
    Encrypt(Encrypt),
    /// Decrypt a file and print its content.
    Decrypt(Decrypt),
    /// Re-encrypt files with the first key, so that older keys can be removed.
    Rotate(RotateFile),
}

/// Flags of `secrets keygen`.
#[derive(Debug, clap::Args)]
pub struct Keygen {
    /// Key file to generate or, with --add, to change.
    key_file: PathBuf,
    /// Prepend a new key to an existing key file.
    #[arg(long)]
    add: bool,
}

/// Flags of `secrets encrypt`.
#[derive(Debug, clap::Args)]
pub struct Encrypt {
    /// File to encrypt.
    from: PathBuf,
    /// Encrypted file to write.
    to: PathBuf,
    #[command(flatten)]
    key: KeyFlag,
}

/// Flags of `secrets decrypt`.
#[derive(Debug, clap::Args)]
pub struct Decrypt {
    /// Encrypted file to print.
    file: PathBuf,
    #[command(flatten)]
    key: KeyFlag,
}

/// Flags of `secrets rotate`.
#[derive(Debug, clap::Args)]
pub struct RotateFile {
    /// Encrypted files to re-encrypt in place.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    key: KeyFlag,
}

/// The flag that selects the keys.
#[derive(Debug, clap::Args)]
struct KeyFlag {
    /// Key file: Fernet keys, one per line, the newest first.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

/// Runs a subcommand of `secrets`.
///
/// # Errors
/// [`Exit::Usage`](super::exit::Exit::Usage) when a file cannot be read, decrypted or written.
pub fn run(command: SecretsCommand) -> Result<(), Failure> {
    match command {
        SecretsCommand::Keygen(args) if args.add => {
            Keyring::add_key(&args.key_file).map_err(failed)
        }
        SecretsCommand::Keygen(args) => Keyring::create(&args.key_file).map_err(failed),
        SecretsCommand::Encrypt(args) => {
            encrypt_file(&args.key.read()?, &args.from, &args.to).map_err(failed)
        }
        SecretsCommand::Decrypt(args) => {
            let content = decrypt_file(&args.key.read()?, &args.file).map_err(failed)?;
            output::bytes(&content)
        }
        SecretsCommand::Rotate(args) => {
            let keys = args.key.read()?;
            let mut files = args.files.iter();
            files.try_for_each(|file| rotate_file(&keys, file).map_err(failed))
        }
    }
}

impl KeyFlag {
    fn read(&self) -> Result<Keyring, Failure> {
        Keyring::read(&self.key_file).map_err(failed)
    }
}

fn failed(error: SecretError) -> Failure {
    Failure::usage(with_causes(&error))
}
