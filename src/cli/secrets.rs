//! `claude-grpc secrets`: files encrypted with Fernet.

use super::{
    exit::{Failure, with_causes},
    output,
};
use crate::secrets::{Keyring, SecretError, decrypt_file, encrypt_file, rotate_file};
use std::path::PathBuf;

/// What concerns encrypted files.
#[derive(Debug, clap::Subcommand)]
pub enum SecretsCommand {
    /// Makes a key file; with --add, puts a new key in front of its keys.
    Keygen(Keygen),
    /// Encrypts a file, for example `.env` to `.env.enc`.
    Encrypt(Encrypt),
    /// Prints what an encrypted file says.
    Decrypt(Decrypt),
    /// Encrypts files anew with the first key, so that older ones can go.
    Rotate(RotateFile),
}

/// Flags of `secrets keygen`.
#[derive(Debug, clap::Args)]
pub struct Keygen {
    /// The key file.
    key_file: PathBuf,
    /// Adds a key to a file that is there.
    #[arg(long)]
    add: bool,
}

/// Flags of `secrets encrypt`.
#[derive(Debug, clap::Args)]
pub struct Encrypt {
    /// The file to encrypt.
    from: PathBuf,
    /// The file to write.
    to: PathBuf,
    #[command(flatten)]
    key: KeyFlag,
}

/// Flags of `secrets decrypt`.
#[derive(Debug, clap::Args)]
pub struct Decrypt {
    /// The encrypted file.
    file: PathBuf,
    #[command(flatten)]
    key: KeyFlag,
}

/// Flags of `secrets rotate`.
#[derive(Debug, clap::Args)]
pub struct RotateFile {
    /// The encrypted files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    key: KeyFlag,
}

/// Which keys.
#[derive(Debug, clap::Args)]
struct KeyFlag {
    /// The key file.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

/// Does what a command says.
///
/// # Errors
/// When a file cannot be read, decrypted or written.
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
