//! Why a call about files fails.

use crate::{
    sealed_file::StateFileError,
    secrets::{NotDecrypted, SealError},
    upstream::Failed,
};
use thiserror::Error;

/// A call about files fails.
#[derive(Debug, Error)]
pub enum FileError {
    /// The tenant has no file with this id.
    #[error("unknown file")]
    Unknown,
    /// The tenant has its maximum number of files.
    #[error("the tenant has {0} files, the maximum (files.max_per_tenant); delete some")]
    TooMany(usize),
    /// The files of the tenant would be too large.
    #[error(
        "the files of the tenant would exceed {0} bytes, the maximum (files.max_bytes_per_tenant); delete some"
    )]
    TooLarge(u64),
    /// The work was interrupted.
    #[error("the upload was interrupted")]
    Interrupted,
    /// The call to the API failed.
    #[error("{}", .0.error)]
    Upstream(Failed),
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] OwnershipError),
}

/// It cannot be read or written what belongs to whom.
#[derive(Debug, Error)]
pub enum OwnershipError {
    /// The state file cannot be read or written.
    #[error(transparent)]
    File(#[from] StateFileError),
    /// Redis does not serve.
    #[error("Redis does not serve")]
    Unreachable,
    /// No key decrypts a value in Redis.
    #[error(
        "failed to decrypt a value in Redis: {0} (files.key_file must be that of all replicas)"
    )]
    Key(#[from] NotDecrypted),
    /// A value in Redis is not what was written.
    #[error("Redis has a value that is not valid")]
    Invalid,
}

impl From<Failed> for FileError {
    fn from(failed: Failed) -> Self {
        FileError::Upstream(failed)
    }
}

impl From<SealError> for OwnershipError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Key(error) => OwnershipError::Key(error),
            SealError::Invalid => OwnershipError::Invalid,
        }
    }
}
