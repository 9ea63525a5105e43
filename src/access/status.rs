//! The statuses of refused calls: one shape and one text, whatever was wrong.

use super::Cause;
use crate::proto::ERROR_DOMAIN;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The status for a cause. What is wrong with credentials is told to nobody:
/// it would help only those who guess.
pub fn refused(cause: Cause) -> Status {
    match cause {
        Cause::Method | Cause::Model => permission_denied(),
        _ => unauthenticated(),
    }
}

fn unauthenticated() -> Status {
    Status::with_error_details(
        Code::Unauthenticated,
        "valid credentials are needed",
        ErrorDetails::with_error_info("UNAUTHENTICATED", ERROR_DOMAIN, []),
    )
}

fn permission_denied() -> Status {
    Status::with_error_details(
        Code::PermissionDenied,
        "the client may not make this call",
        ErrorDetails::with_error_info("PERMISSION_DENIED", ERROR_DOMAIN, []),
    )
}

/// The message, as it was sent or uncompressed, is over the limit.
pub fn too_large(max_bytes: usize) -> Status {
    Status::with_error_details(
        Code::ResourceExhausted,
        format!("the message is larger than {max_bytes} bytes"),
        ErrorDetails::with_error_info("MESSAGE_TOO_LARGE", ERROR_DOMAIN, []),
    )
}

/// The body of the call is not one gRPC message.
pub fn malformed_message() -> Status {
    Status::with_error_details(
        Code::Internal,
        "the body is not one gRPC message in a known compression",
        ErrorDetails::with_error_info("MALFORMED_MESSAGE", ERROR_DOMAIN, []),
    )
}
