//! The caller's deadline for everything below.
//!
//! Above everything that waits, so that every attempt and every backoff is
//! inside. The events of a stream follow after the response has begun: the
//! inbound stack limits them, close to the caller.

use super::{Call, Reply, UpstreamError};
use crate::layer::{Next, Rule};
use tokio::time::timeout_at;

/// Ends a call at its deadline and drops everything it was doing.
#[derive(Debug)]
pub struct EnforceDeadline;

impl Rule<Call> for EnforceDeadline {
    type Inner = Call;
    type Response = Reply;
    type Error = UpstreamError;

    async fn call(
        &self,
        call: Call,
        mut next: impl Next<Call, Reply, UpstreamError>,
    ) -> Result<Reply, UpstreamError> {
        let deadline = call.deadline;
        if deadline.remaining().is_zero() {
            return Err(UpstreamError::DeadlineExceeded("before the call began"));
        }
        let attempts = call.attempts.clone();
        match timeout_at(deadline.0, next.run(call)).await {
            Ok(outcome) => outcome,
            Err(_) if attempts.count() == 0 => {
                Err(UpstreamError::DeadlineExceeded("while the call waited"))
            }
            Err(_) => Err(UpstreamError::DeadlineExceeded(
                "before the Claude API answered",
            )),
        }
    }
}
