//! The statuses of answers that break the contract of the RPC.

use super::Draft;
use crate::reason::Reason;
use tonic::Status;

/// The status of an answer that breaks the contract of its RPC. `request_id` is
/// the API's.
pub fn invalid_answer(
    reason: Reason,
    message: impl Into<String>,
    request_id: Option<&str>,
) -> Status {
    Draft::new(reason, message).request_id(request_id).build()
}
