//! Why the state in Redis cannot be used.

use super::index_entry::InvalidEntry;
use crate::secrets::{NotDecrypted, SealError};
use thiserror::Error;

/// The state of batches in Redis cannot be read or written.
#[derive(Debug, Error)]
pub enum SharedStateError {
    /// Redis does not serve, or gave no answer in time.
    #[error("the state of batches is in Redis (limits.store), which does not answer")]
    Unreachable,
    /// Another replica may have the turn of the batch.
    #[error("another replica works on the batch")]
    TurnLost,
    /// No key decrypts a value.
    #[error("failed to decrypt the state of batches in Redis: {0}")]
    Key(#[from] NotDecrypted),
    /// A value is not what was written, or is missing.
    #[error("the state of batches in Redis has a value that is missing or not valid")]
    Invalid,
}

impl From<InvalidEntry> for SharedStateError {
    fn from(_: InvalidEntry) -> Self {
        SharedStateError::Invalid
    }
}

impl From<SealError> for SharedStateError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Key(error) => SharedStateError::Key(error),
            SealError::Invalid => SharedStateError::Invalid,
        }
    }
}
