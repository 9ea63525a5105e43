//! Why a secret is not to be had.

use std::{io, path::PathBuf};
use thiserror::Error;

/// A secret cannot be read or written. Names files, never what is in them.
#[derive(Debug, Error)]
pub enum SecretError {
    /// A file cannot be read.
    #[error("could not read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("could not write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner have access to a file of secrets.
    #[error("{} is open to others (mode {mode:03o}): chmod it to 600", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file is not what it has to be.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No key of the key file decrypts a file.
    #[error("{} is not encrypted with any key of the key file, or was changed", path.display())]
    NotDecrypted {
        /// The file.
        path: PathBuf,
    },
    /// A file is encrypted, and no key file is configured.
    #[error("{} is encrypted: set secrets.key_file", path.display())]
    NoKeyFile {
        /// The file.
        path: PathBuf,
    },
    /// AWS KMS did not decrypt.
    #[error("AWS KMS did not decrypt the API key: {0}")]
    Kms(String),
}

impl SecretError {
    pub(crate) fn read(path: &std::path::Path) -> impl FnOnce(io::Error) -> SecretError {
        let path = path.to_owned();
        move |source| SecretError::Read { path, source }
    }

    pub(super) fn write(path: &std::path::Path) -> impl FnOnce(io::Error) -> SecretError {
        let path = path.to_owned();
        move |source| SecretError::Write { path, source }
    }
}
