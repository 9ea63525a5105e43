//! Why a secret cannot be read or written.

use std::{io, path::PathBuf};
use thiserror::Error;

/// A secret cannot be read or written. Names files, never their content.
#[derive(Debug, Error)]
pub enum SecretError {
    /// A file cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The underlying error.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("failed to write {}", path.display())]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// The underlying error.
        source: io::Error,
    },
    /// A secret file is accessible by users other than its owner.
    #[error("{} {}", path.display(), open_to_others(*mode))]
    Permissions {
        /// Path of the file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The content of a file is not valid.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong with the content.
        reason: &'static str,
    },
    /// No key of the key file decrypts a file.
    #[error("failed to decrypt {}: no key of the key file matches, or the file was modified", path.display())]
    NotDecrypted {
        /// Path of the file.
        path: PathBuf,
    },
    /// A file is encrypted, and no key file is configured.
    #[error("{} is encrypted; secrets.key_file must be set", path.display())]
    NoKeyFile {
        /// Path of the file.
        path: PathBuf,
    },
    /// AWS KMS did not decrypt the ciphertext.
    #[error("failed to decrypt the API key with AWS KMS: {0}")]
    Kms(String),
}

fn open_to_others(mode: u32) -> String {
    format!(
        "must not be accessible by other users (mode {mode:03o}): run chmod 600, or in Kubernetes \
         set fsGroup and defaultMode: 0440"
    )
}

impl SecretError {
    /// The problem of a file, for an error that names the file itself.
    pub(crate) fn without_path(&self) -> String {
        match self {
            SecretError::Read { source, .. } | SecretError::Write { source, .. } => {
                source.to_string()
            }
            SecretError::Permissions { mode, .. } => open_to_others(*mode),
            SecretError::Malformed { reason, .. } => (*reason).to_owned(),
            other => other.to_string(),
        }
    }

    pub(crate) fn read(path: &std::path::Path) -> impl FnOnce(io::Error) -> SecretError {
        let path = path.to_owned();
        move |source| SecretError::Read { path, source }
    }

    pub(super) fn write(path: &std::path::Path) -> impl FnOnce(io::Error) -> SecretError {
        let path = path.to_owned();
        move |source| SecretError::Write { path, source }
    }
}
