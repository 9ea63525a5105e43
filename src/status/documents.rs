//! Statuses of documents.

use super::{Violations, invalid_answer, item_error};
use crate::{proto::v1, reason::Reason};
use std::time::Duration;
use tonic::Status;
use tonic_types::StatusExt;

/// The status of a call about a part of a document, which names the part.
pub fn in_part(status: &Status, level: i32, number: usize) -> Status {
    let part = match level {
        0 => format!("part {number} of the document"),
        _ => format!("part {number} of level {level} of the document"),
    };
    Status::with_details_and_metadata(
        status.code(),
        format!("{part}: {}", status.message()),
        status.details().to_vec().into(),
        status.metadata().clone(),
    )
}

/// A stream of items, of which a signature covers the first only.
pub fn items_cannot_be_signed() -> Status {
    let mut wrong = Violations::default();
    let problem = "must not be set: a signature covers the first item only; use a client key";
    wrong.add("metadata.x-signature", problem);
    wrong.into_status()
}

/// The error of an item.
pub fn failed_item(status: &Status) -> v1::ItemError {
    let v1::BatchItemError {
        reason,
        code,
        message,
    } = item_error(status);
    let retry_delay = retry_delay(status).and_then(|delay| delay.try_into().ok());
    v1::ItemError {
        reason,
        code,
        message,
        retry_delay,
    }
}

/// When a failed call may succeed, if that is known.
pub fn retry_delay(status: &Status) -> Option<Duration> {
    let retry = status.get_error_details().retry_info().cloned()?;
    retry.retry_delay
}

/// Checks that the summary of a part is complete, by the API's stop reason.
///
/// # Errors
/// FAILED_PRECONDITION when the model refused, or the summary was truncated.
pub fn complete_part(stop_reason: &str) -> Result<(), Status> {
    let (reason, what) = match stop_reason {
        "refusal" => (Reason::AnswerRefused, "the model refused to summarize it"),
        "max_tokens" | "model_context_window_exceeded" => (
            Reason::AnswerTruncated,
            "its summary was truncated; raise max_tokens",
        ),
        _ => return Ok(()),
    };
    Err(invalid_answer(reason, what, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[test]
    fn a_part_is_named_and_the_details_stay() {
        let status = complete_part("refusal").unwrap_err();
        let named = in_part(&status, 0, 7);
        assert_eq!(named.code(), Code::FailedPrecondition);
        assert_eq!(
            named.message(),
            "part 7 of the document: the model refused to summarize it"
        );
        let reason = named
            .get_error_details()
            .error_info()
            .unwrap()
            .reason
            .clone();
        assert_eq!(reason, "ANSWER_REFUSED");
        assert!(complete_part("end_turn").is_ok());
    }
}
