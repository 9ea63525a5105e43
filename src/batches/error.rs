//! Why a call about batches fails.

use super::kept::SharedStateError;
use crate::{access::limits::AccessError, sealed_file::StateFileError, upstream::Failed};
use thiserror::Error;

/// A call about batches fails.
#[derive(Debug, Error)]
pub enum BatchError {
    /// The tenant has no batch with this id.
    #[error("unknown batch")]
    Unknown,
    /// The batch has not ended.
    #[error("the batch has not ended")]
    NotEnded,
    /// The work was interrupted; it is resumed.
    #[error("the work on the batch was interrupted")]
    Interrupted,
    /// The request id is that of an earlier batch, with this id.
    #[error("the request id is that of another batch")]
    Repeated(String),
    /// The tenant has its maximum number of batches.
    #[error("the tenant has {0} batches, the maximum (batches.max_per_tenant); delete some")]
    TooMany(usize),
    /// The client may not make the call, or not now.
    #[error(transparent)]
    AccessDenied(AccessError),
    /// The call to the API failed.
    #[error("{}", .0.error)]
    Upstream(Failed),
    /// The state in the file cannot be read or written.
    #[error(transparent)]
    State(#[from] StateFileError),
    /// The state in Redis cannot be read or written.
    #[error(transparent)]
    Shared(#[from] SharedStateError),
}

impl From<Failed> for BatchError {
    fn from(failed: Failed) -> Self {
        BatchError::Upstream(failed)
    }
}
