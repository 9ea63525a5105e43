//! Why a secret is not to be had.

use std::{io, path::PathBuf};
use thiserror::Error;

/// A secret cannot be read or written. Names files, never what is in them.
#[derive(Debug, Error)]
pub enum SecretError {
    /// A file cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("failed to write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner have access to a file of secrets.
    #[error("{} must not be accessible by other users (mode {mode:03o}): run chmod 600", path.display())]
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
    #[error("failed to decrypt {}: no key of the key file matches, or the file was modified", path.display())]
    NotDecrypted {
        /// The file.
        path: PathBuf,
    },
    /// A file is encrypted, and no key file is configured.
    #[error("{} is encrypted; secrets.key_file must be set", path.display())]
    NoKeyFile {
        /// The file.
        path: PathBuf,
    },
    /// AWS KMS did not decrypt.
    #[error("failed to decrypt the API key with AWS KMS: {0}")]
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
