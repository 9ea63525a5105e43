//! Statuses of calls about batches, and of the items of batches.

use super::{access, plain, upstream_failed};
use crate::{
    batches::{BatchError, SharedStateError},
    claude::{error::ErrorBody, unreadable::Unreadable},
    proto::v1,
    reason::Reason,
    upstream::{Failed, UpstreamError},
};
use tonic::Status;
use tonic_types::StatusExt;

/// The largest field of a batch, named when the batch is too large.
const PAYLOAD: &str = "items";

/// The status of a failed call about a batch.
pub fn batch_failed(error: &BatchError) -> Status {
    let reason = match error {
        BatchError::Unknown => Reason::BatchUnknown,
        BatchError::NotEnded => Reason::BatchNotEnded,
        BatchError::Interrupted
        | BatchError::Repeated(_)
        | BatchError::Shared(SharedStateError::TurnLost | SharedStateError::Unreachable) => {
            Reason::BatchStateUnavailable
        }
        BatchError::TooMany(_) => Reason::TooManyBatches,
        BatchError::AccessDenied(refused) => return access::denied(refused),
        BatchError::Upstream(failed) => return upstream_failed(failed, PAYLOAD),
        BatchError::State(_) | BatchError::Shared(_) => {
            // It could have the path of the file.
            tracing::error!(%error, "failed to access the state of batches");
            return plain(
                Reason::BatchStateUnavailable,
                "the state of batches is unavailable",
            );
        }
    };
    plain(reason, error.to_string())
}

/// The status of a call about a batch where batches are off.
pub fn batches_disabled() -> Status {
    let message = "batches are off: the operator must set batches.state_file or batches.shared";
    plain(Reason::BatchesDisabled, message)
}

/// The status of an item that the API has rejected, or failed to answer.
pub fn item_failed(error: ErrorBody) -> Status {
    failure_of(UpstreamError::Api(Box::new(error.into())))
}

/// The status of an item whose answer cannot be read.
pub fn item_unreadable(unreadable: Unreadable) -> Status {
    failure_of(UpstreamError::Malformed(unreadable))
}

/// The status of an item that was canceled before it was processed.
pub fn item_canceled() -> Status {
    plain(
        Reason::BatchItemCanceled,
        "the batch was canceled before the item was processed",
    )
}

/// The status of an item that was not processed in time.
pub fn item_expired() -> Status {
    plain(
        Reason::BatchItemExpired,
        "the item was not processed within 24 hours",
    )
}

/// The error that a caller gets in place of a result.
pub fn item_error(status: &Status) -> v1::BatchItemError {
    let info = status.get_details_error_info();
    v1::BatchItemError {
        reason: info.map(|info| info.reason).unwrap_or_default(),
        code: status.code().into(),
        message: status.message().to_owned(),
    }
}

fn failure_of(error: UpstreamError) -> Status {
    upstream_failed(&Failed { error, attempts: 1 }, PAYLOAD)
}
