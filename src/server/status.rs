//! The statuses that the way in gives itself.

use crate::{proto::ERROR_DOMAIN, service::Violations};
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::timeout::Malformed;

/// Another replica is likely to be there at once.
const RETRY_ELSEWHERE: Duration = Duration::from_millis(100);

/// The call came too late, or was cut: this replica is going away.
pub fn draining() -> Status {
    let mut details = ErrorDetails::with_error_info("DRAINING", ERROR_DOMAIN, []);
    details.set_retry_info(Some(RETRY_ELSEWHERE));
    Status::with_error_details(Code::Unavailable, "the server is shutting down", details)
}

/// When calls that run now are likely to have made room.
const RETRY_WHEN_OVERLOADED: Duration = Duration::from_secs(1);

/// More calls than this process takes at once.
pub fn overloaded() -> Status {
    let mut details = ErrorDetails::with_error_info("OVERLOADED", ERROR_DOMAIN, []);
    details.set_retry_info(Some(RETRY_WHEN_OVERLOADED));
    Status::with_error_details(
        Code::Unavailable,
        "the server has as many calls as it takes at once",
        details,
    )
}

/// The caller's deadline, or the longest time that a call may take, passed.
pub fn deadline_exceeded() -> Status {
    with_reason(
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        "the deadline passed",
    )
}

/// `grpc-timeout` cannot be read.
pub fn malformed_timeout(malformed: Malformed) -> Status {
    let mut wrong = Violations::default();
    wrong.add("metadata.grpc-timeout", malformed.to_string());
    wrong.into_status()
}

/// A bug: the handler panicked.
pub fn panicked() -> Status {
    with_reason(
        Code::Internal,
        "INTERNAL",
        "the server failed; this is a bug in it",
    )
}

/// A status with its reason.
pub fn with_reason(code: Code, reason: &str, message: &str) -> Status {
    Status::with_error_details(
        code,
        message,
        ErrorDetails::with_error_info(reason, ERROR_DOMAIN, []),
    )
}
