//! Turns failed and incomplete calls into an error line and an exit code.

use crate::{
    cli::exit::{Exit, Failure},
    proto::v1::{Refusal, StopReason},
    reason::Reason,
};
use humantime::format_duration;
use std::{error::Error, fmt::Write, time::Duration};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The failure of a call. Its line contains the code, the message, the invalid
/// fields, the retry delay and the request id of the API.
pub fn failed(status: &Status) -> Failure {
    // tonic ended the call itself, before the status of the service arrived.
    if status.code() == Code::Cancelled && status.message() == "Timeout expired" {
        return failed(&Status::deadline_exceeded("no response within the timeout"));
    }
    let details = status.get_error_details();
    let mut line = format!("{}: {}", code_name(status.code()), status.message());
    for violation in details
        .bad_request()
        .map_or(&[][..], |bad| &bad.field_violations)
    {
        // The message already contains the first violations.
        if !status.message().contains(&violation.description) {
            let _ = write!(line, "; {}: {}", violation.field, violation.description);
        }
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        let delay = Duration::from_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        let _ = write!(line, "; retry in {}", format_duration(delay));
    }
    if let Some(cause) = root_cause(status) {
        let _ = write!(line, ": {cause}");
    }
    if let Some(help) = help(status) {
        let _ = write!(line, ": {help}");
    }
    if let Some(request) = details.request_info() {
        let _ = write!(line, " (request id {})", request.request_id);
    }
    Failure::new(exit(status), line)
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        failed(&status)
    }
}

/// Why the transport has ended a call, of which the status says only that it did.
fn root_cause(status: &Status) -> Option<String> {
    let mut cause = status.source()?;
    while let Some(next) = cause.source() {
        cause = next;
    }
    Some(cause.to_string()).filter(|cause| !status.message().contains(cause))
}

/// What helps against a failure that has one cause for the most part.
fn help(status: &Status) -> Option<&'static str> {
    match (status.code(), status.message()) {
        (Code::Unauthenticated, _) => Some("--key-file must name the file of the client key"),
        // What listens there does not speak HTTP/2, or not without TLS.
        (Code::Internal, "h2 protocol error: http2 error") | (Code::Unknown, "transport error") => {
            Some("--addr must be that of the service, with https:// if it has TLS")
        }
        _ => None,
    }
}

fn exit(status: &Status) -> Exit {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str());
    if let Some(reason) = reason.and_then(Reason::named) {
        return reason.exit();
    }
    match (status.code(), reason) {
        (Code::InvalidArgument | Code::NotFound, _) => Exit::Usage,
        // Every status of the service has a reason, so this one is local.
        (Code::Unavailable, None) => Exit::Unreachable,
        // A newer service may have reasons that this client does not know.
        (Code::Unavailable | Code::ResourceExhausted, _) => Exit::Busy,
        _ => Exit::Failed,
    }
}

/// The name of a code in the gRPC specification, such as `NOT_FOUND`.
pub fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Checks that an answer is complete.
///
/// # Errors
/// [`Exit::Incomplete`] when the model refused, or its answer was truncated.
pub fn complete(stop_reason: StopReason, refusal: Option<&Refusal>) -> Result<(), Failure> {
    let reason = match stop_reason {
        StopReason::MaxTokens => "the answer was truncated at max_tokens".to_owned(),
        StopReason::ModelContextWindowExceeded => {
            "the answer was truncated: the context window of the model is full".to_owned()
        }
        StopReason::Refusal => {
            let mut reason = "the model refused to answer".to_owned();
            if let Some(refusal) = refusal {
                let details = [&refusal.category, &refusal.explanation];
                for part in details.into_iter().filter(|part| !part.is_empty()) {
                    let _ = write!(reason, ": {part}");
                }
            }
            reason
        }
        _ => return Ok(()),
    };
    Err(Failure::new(Exit::Incomplete, reason))
}

/// The failure of a stream that ended without its final event.
pub fn cut_off() -> Failure {
    Failure::new(
        Exit::Failed,
        "the stream ended before the answer was complete",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    fn described(status: &Status) -> (Exit, String) {
        match failed(status) {
            Failure::Explained { exit, reasons } => (exit, reasons.join("\n")),
            other => panic!("{other:?}"),
        }
    }

    fn with(code: Code, reason: &str) -> Status {
        let details = ErrorDetails::with_error_info(reason, "claude-grpc", []);
        Status::with_error_details(code, "why", details)
    }

    #[test]
    fn the_line_has_all_that_helps() {
        let mut details = ErrorDetails::with_error_info("INVALID_REQUEST", "claude-grpc", []);
        details.add_bad_request_violation("text", "must not be empty");
        details.add_bad_request_violation("labels[0].name", "is too long");
        details.set_retry_info(Some(Duration::from_millis(2500)));
        details.set_request_info("req_1", "");
        let message = "text: must not be empty";
        let status = Status::with_error_details(Code::InvalidArgument, message, details);
        let line = "INVALID_ARGUMENT: text: must not be empty; labels[0].name: is too long; \
                    retry in 2s 500ms (request id req_1)";
        assert_eq!(described(&status), (Exit::Usage, line.to_owned()));
    }

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        for (status, exit) in [
            (with(Code::Unavailable, "OVERLOADED"), Exit::Busy),
            (
                with(Code::ResourceExhausted, "UPSTREAM_RATE_LIMITED"),
                Exit::Busy,
            ),
            (
                with(Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
                Exit::Usage,
            ),
            (
                with(Code::FailedPrecondition, "ANSWER_REFUSED"),
                Exit::Incomplete,
            ),
            (with(Code::Internal, "UPSTREAM_AUTH"), Exit::Failed),
            (with(Code::NotFound, "UPSTREAM_NOT_FOUND"), Exit::Usage),
            (Status::unavailable("tcp connect error"), Exit::Unreachable),
            (Status::cancelled("Timeout expired"), Exit::Failed),
        ] {
            assert_eq!(described(&status).0, exit, "{status:?}");
        }
    }

    #[test]
    fn only_a_whole_answer_is_a_success() {
        assert_eq!(complete(StopReason::EndTurn, None), Ok(()));
        assert_eq!(complete(StopReason::StopSequence, None), Ok(()));
        for stop in [StopReason::MaxTokens, StopReason::Refusal] {
            assert!(complete(stop, None).is_err(), "{stop:?}");
        }
    }
}
