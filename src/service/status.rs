//! The one table from upstream outcomes to gRPC statuses.
//!
//! Every status carries `google.rpc.ErrorInfo`; where the API answered,
//! `RequestInfo` with its request id; where trying again makes sense,
//! `RetryInfo`. `grpc-retry-pushback-ms` (gRFC A6) tells gRPC clients the same
//! thing: when to retry, or, once the service has retried itself, not to.

use crate::proto::ERROR_DOMAIN;
use crate::upstream::{ApiFailure, Failed, UpstreamError};
use std::{collections::HashMap, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Most characters of the API's explanation that are passed on.
const MAX_EXPLANATION: usize = 500;

/// What a caller is told of one outcome.
struct Verdict {
    code: Code,
    reason: &'static str,
    message: String,
    retry: Retry,
}

/// Whether the same request may succeed later.
#[derive(Clone, Copy)]
enum Retry {
    /// It will not, or nobody can say when.
    No,
    /// It may, after this time.
    After(Duration),
}

/// When nothing better is known, a retry makes sense after the first backoff
/// of the official SDKs.
const DEFAULT_RETRY: Retry = Retry::After(Duration::from_millis(500));

/// The status of a failed call. `payload_field` is the request field that
/// holds the bulk, to be named when the request is too large.
pub fn status(failed: &Failed, payload_field: &'static str) -> Status {
    if let UpstreamError::Refused(refused) = &failed.error {
        return refused.status();
    }
    let verdict = verdict(&failed.error);
    let mut details = ErrorDetails::with_error_info(verdict.reason, ERROR_DOMAIN, metadata(failed));
    if let UpstreamError::Api(failure) = &failed.error
        && let Some(request_id) = &failure.request_id
    {
        details.set_request_info(request_id, "");
    }
    if verdict.code == Code::ResourceExhausted {
        details.add_quota_failure_violation("claude-api", verdict.message.as_str());
    }
    if verdict.code == Code::InvalidArgument {
        details.add_bad_request_violation(payload_field, verdict.message.as_str());
    }
    if let Retry::After(delay) = verdict.retry {
        details.set_retry_info(Some(delay));
    }
    let mut status = Status::with_error_details(verdict.code, verdict.message, details);
    if let Some(pushback) = pushback(verdict.code, verdict.retry, failed.attempts) {
        status
            .metadata_mut()
            .insert("grpc-retry-pushback-ms", pushback.into());
    }
    status
}

/// The status of an answer that came, and is not what the RPC promises.
pub fn answer_broke_contract(
    code: Code,
    reason: &'static str,
    message: String,
    request_id: Option<String>,
) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, []);
    if let Some(request_id) = request_id {
        details.set_request_info(request_id, "");
    }
    Status::with_error_details(code, message, details)
}

/// What gRPC clients with a retry policy are told. Layers that each retry
/// multiply, so clients are told not to once the service has retried.
fn pushback(code: Code, retry: Retry, attempts: u32) -> Option<i32> {
    match (code, retry) {
        (Code::Unavailable | Code::ResourceExhausted, Retry::No) => Some(-1),
        (Code::Unavailable | Code::ResourceExhausted, Retry::After(_)) if attempts > 1 => Some(-1),
        (Code::Unavailable | Code::ResourceExhausted, Retry::After(delay)) => {
            Some(i32::try_from(delay.as_millis()).unwrap_or(i32::MAX))
        }
        _ => None,
    }
}

fn metadata(failed: &Failed) -> HashMap<String, String> {
    let mut metadata = HashMap::from([("attempts".to_owned(), failed.attempts.to_string())]);
    if let UpstreamError::Api(failure) = &failed.error {
        metadata.insert("upstreamStatus".to_owned(), failure.status.to_string());
        if !failure.kind.is_empty() {
            metadata.insert("upstreamType".to_owned(), failure.kind.clone());
        }
        if let Some(code) = &failure.code {
            metadata.insert("upstreamCode".to_owned(), code.clone());
        }
    }
    metadata
}

fn verdict(error: &UpstreamError) -> Verdict {
    let (code, reason, retry) = match error {
        UpstreamError::Api(failure) => return api_verdict(failure),
        UpstreamError::Connect => (Code::Unavailable, "UPSTREAM_UNREACHABLE", DEFAULT_RETRY),
        UpstreamError::Broken => (
            Code::Unavailable,
            "UPSTREAM_CONNECTION_BROKEN",
            DEFAULT_RETRY,
        ),
        UpstreamError::Stalled(_) => (Code::Unavailable, "UPSTREAM_STALLED", DEFAULT_RETRY),
        UpstreamError::Malformed(_) => (Code::Internal, "UPSTREAM_MALFORMED", Retry::No),
        UpstreamError::TooLarge { .. } => (Code::InvalidArgument, "REQUEST_TOO_LARGE", Retry::No),
        UpstreamError::DeadlineExceeded(_) => {
            (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", Retry::No)
        }
        UpstreamError::PoolFull { retry_after } => {
            (Code::Unavailable, "OVERLOADED", Retry::After(*retry_after))
        }
        UpstreamError::CircuitOpen { retry_after } => (
            Code::Unavailable,
            "CIRCUIT_OPEN",
            Retry::After(*retry_after),
        ),
        UpstreamError::QuotaExhausted { retry_after } => (
            Code::ResourceExhausted,
            "UPSTREAM_QUOTA_EXHAUSTED",
            Retry::After(*retry_after),
        ),
        UpstreamError::StoreUnreachable => (
            Code::Unavailable,
            "QUOTA_UNREACHABLE",
            Retry::After(Duration::from_secs(1)),
        ),
        // It has a status of its own, which tells more.
        UpstreamError::Refused(refused) => (refused.status().code(), "REFUSED", Retry::No),
        // The caller's credentials were fine; ours are not.
        UpstreamError::NoUsableKey => (Code::Internal, "UPSTREAM_AUTH", Retry::No),
    };
    Verdict {
        code,
        reason,
        message: error.to_string(),
        retry,
    }
}

fn api_verdict(failure: &ApiFailure) -> Verdict {
    let after = failure.retry_after.map_or(DEFAULT_RETRY, Retry::After);
    let told = |code, reason, retry, message: &str| Verdict {
        code,
        reason,
        message: message.to_owned(),
        retry,
    };
    // Only where the caller can mend the request does the API's explanation go
    // along: elsewhere it speaks of our account.
    let explained = |code, reason, what: &str| Verdict {
        code,
        reason,
        message: format!("{what}: {}", explanation(&failure.message)),
        retry: Retry::No,
    };
    match failure.status {
        400 | 422 => explained(
            Code::InvalidArgument,
            "UPSTREAM_INVALID_REQUEST",
            "the Claude API refused the request",
        ),
        413 => explained(
            Code::InvalidArgument,
            "REQUEST_TOO_LARGE",
            "the request is too large for the Claude API",
        ),
        404 => explained(
            Code::NotFound,
            "UPSTREAM_NOT_FOUND",
            "the Claude API does not know the model or the resource",
        ),
        401 | 403 => told(
            Code::Internal,
            "UPSTREAM_AUTH",
            Retry::No,
            "the Claude API refused the service's own key; its operator has to mend that",
        ),
        402 => told(
            Code::FailedPrecondition,
            "UPSTREAM_BILLING",
            Retry::No,
            "the service's account at the Claude API cannot be billed",
        ),
        429 if failure.is_spend_limit() => told(
            Code::ResourceExhausted,
            "UPSTREAM_SPEND_LIMIT",
            Retry::No,
            "the service's spend limit at the Claude API is used up until the month ends",
        ),
        429 => told(
            Code::ResourceExhausted,
            "UPSTREAM_RATE_LIMITED",
            after,
            "the Claude API's rate limit is reached",
        ),
        529 => told(
            Code::Unavailable,
            "UPSTREAM_OVERLOADED",
            after,
            "the Claude API is overloaded",
        ),
        408 | 409 | 500.. => told(
            Code::Unavailable,
            "UPSTREAM_ERROR",
            after,
            "the Claude API failed",
        ),
        _ => told(
            Code::Internal,
            "UPSTREAM_UNEXPECTED",
            Retry::No,
            "the Claude API gave an answer that this service does not know",
        ),
    }
}

/// The API's explanation, fit for a status message.
fn explanation(message: &str) -> String {
    if message.is_empty() {
        return "it gave no reason".to_owned();
    }
    message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_EXPLANATION)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(status: u16) -> UpstreamError {
        UpstreamError::Api(Box::new(ApiFailure {
            status,
            kind: "some_error".to_owned(),
            message: "why".to_owned(),
            request_id: Some("req_1".to_owned()),
            ..ApiFailure::default()
        }))
    }

    fn failed(error: UpstreamError, attempts: u32) -> Failed {
        Failed { error, attempts }
    }

    fn pushback_of(status: &Status) -> Option<&str> {
        let value = status.metadata().get("grpc-retry-pushback-ms")?;
        value.to_str().ok()
    }

    #[test]
    fn each_api_status_has_its_grpc_code() {
        let table = [
            (400, Code::InvalidArgument),
            (401, Code::Internal),
            (402, Code::FailedPrecondition),
            (403, Code::Internal),
            (404, Code::NotFound),
            (408, Code::Unavailable),
            (409, Code::Unavailable),
            (413, Code::InvalidArgument),
            (418, Code::Internal),
            (422, Code::InvalidArgument),
            (429, Code::ResourceExhausted),
            (500, Code::Unavailable),
            (502, Code::Unavailable),
            (503, Code::Unavailable),
            (504, Code::Unavailable),
            (529, Code::Unavailable),
        ];
        for (http, code) in table {
            let status = status(&failed(api(http), 1), "messages");
            assert_eq!(status.code(), code, "{http}");
            let details = status.get_error_details();
            assert_eq!(details.error_info().unwrap().domain, ERROR_DOMAIN);
            assert_eq!(details.request_info().unwrap().request_id, "req_1");
        }
    }

    #[test]
    fn clients_are_told_when_to_retry_and_not_to_once_we_have() {
        let error = UpstreamError::CircuitOpen {
            retry_after: Duration::from_secs(7),
        };
        let first = status(&failed(error.clone(), 0), "text");
        assert_eq!(pushback_of(&first), Some("7000"));
        let details = first.get_error_details();
        assert_eq!(
            details.retry_info().unwrap().retry_delay,
            Some(Duration::from_secs(7))
        );
        assert_eq!(pushback_of(&status(&failed(error, 4), "text")), Some("-1"));
        assert_eq!(pushback_of(&status(&failed(api(400), 1), "text")), None);
    }

    #[test]
    fn the_spend_limit_is_not_to_be_retried() {
        let failure = ApiFailure {
            status: 429,
            code: Some(crate::upstream::SPEND_LIMIT_REACHED.to_owned()),
            ..ApiFailure::default()
        };
        let status = status(
            &failed(UpstreamError::Api(Box::new(failure)), 1),
            "messages",
        );
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(pushback_of(&status), Some("-1"));
        assert!(status.get_error_details().retry_info().is_none());
    }
}
