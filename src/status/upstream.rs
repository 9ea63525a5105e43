//! Maps upstream errors to gRPC statuses.

use super::{Draft, access, size};
use crate::{
    reason::Reason,
    upstream::{ApiFailure, ConnectFailure, Failed, LONGEST_RETRY_AFTER, OwnedKind, UpstreamError},
};
use std::time::Duration;
use tonic::{Code, Status};

/// Maximum length, in characters, of the API's explanation in a status.
const MAX_EXPLANATION: usize = 500;

/// The status of a failed call. `payload_field` is the largest field of the
/// request, named when the request is too large.
pub fn upstream_failed(failed: &Failed, payload_field: &'static str) -> Status {
    let error = &failed.error;
    let reason = match error {
        UpstreamError::AccessDenied(refused) => return access::denied(refused),
        UpstreamError::Api(failure) => api_reason(failure),
        UpstreamError::Connect(_) => Reason::UpstreamUnreachable,
        UpstreamError::Broken | UpstreamError::BrokenWithOthers => Reason::UpstreamConnectionBroken,
        UpstreamError::Stalled(_) => Reason::UpstreamTimeout,
        UpstreamError::Malformed(_) => Reason::UpstreamMalformed,
        UpstreamError::TooLarge { .. } => Reason::RequestTooLarge,
        UpstreamError::DeadlineExceeded(_) => Reason::DeadlineExceeded,
        UpstreamError::ConcurrencyLimitExceeded { .. } => Reason::Overloaded,
        UpstreamError::CircuitOpen { .. } => Reason::CircuitOpen,
        UpstreamError::QuotaExhausted { .. } => Reason::UpstreamQuotaExhausted,
        UpstreamError::NotServed(_) => Reason::HostUnavailable,
        UpstreamError::NotOwned { kind, .. } => match kind {
            OwnedKind::File => Reason::FileUnknown,
            OwnedKind::Container => Reason::ContainerUnknown,
            OwnedKind::Thread => Reason::ThreadUnknown,
        },
        UpstreamError::OwnershipUnknown => Reason::FileStateUnavailable,
        UpstreamError::Unsearchable => Reason::InvalidRequest,
        UpstreamError::StoreUnreachable => Reason::QuotaUnreachable,
        // The caller's credentials are valid; the service's own key is not.
        UpstreamError::NoCredentials(_) | UpstreamError::NoUsableKey => Reason::UpstreamAuth,
    };
    let (message, request_id) = match error {
        UpstreamError::Api(failure) => {
            (api_message(reason, failure), failure.request_id.as_deref())
        }
        UpstreamError::NoCredentials(_) => {
            let text = "the service has no valid credentials for the host; contact the operator of this service";
            (text.to_owned(), None)
        }
        _ => (error.to_string(), None),
    };
    let mut draft = failure_details(Draft::new(reason, message.as_str()), reason, failed)
        .request_id(request_id)
        .retry_after(retry_after(error))
        .attempts(failed.attempts);
    let description = size::within(&message, size::MAX_DESCRIPTION);
    if reason.code() == Code::ResourceExhausted {
        draft
            .details
            .add_quota_failure_violation("claude-api", description.as_str());
    }
    if reason.code() == Code::InvalidArgument {
        draft
            .details
            .add_bad_request_violation(payload_field, description);
    }
    draft.build()
}

/// Adds what the API's error consists of, or what kept the call from the API.
fn failure_details(draft: Draft, reason: Reason, failed: &Failed) -> Draft {
    let attempts = failed.attempts.to_string();
    let mut metadata = vec![("attempts", attempts.as_str())];
    let status;
    match &failed.error {
        UpstreamError::Connect(failure) => {
            metadata.push(("connectFailure", failure.name()));
            if let ConnectFailure::ProxyRejected(answered) = failure {
                status = answered.to_string();
                metadata.push(("proxyStatus", &status));
            }
        }
        UpstreamError::Api(failure) => {
            status = failure.status.to_string();
            metadata.push(("upstreamStatus", &status));
            if !failure.kind.is_empty() {
                metadata.push(("upstreamType", &failure.kind));
            }
            if let Some(code) = &failure.code {
                metadata.push(("upstreamCode", code));
            }
        }
        _ => {}
    }
    draft.metadata(reason, &metadata)
}

/// When to retry, at most in an hour.
fn retry_after(error: &UpstreamError) -> Option<Duration> {
    let delay = match error {
        UpstreamError::Api(failure) => failure.retry_after,
        UpstreamError::ConcurrencyLimitExceeded { retry_after }
        | UpstreamError::CircuitOpen { retry_after }
        | UpstreamError::QuotaExhausted { retry_after } => Some(*retry_after),
        _ => None,
    };
    delay.map(|delay| delay.min(LONGEST_RETRY_AFTER))
}

fn api_reason(failure: &ApiFailure) -> Reason {
    match failure.status {
        _ if failure.is_spend_limit() => Reason::UpstreamSpendLimit,
        _ if failure.is_billing() => Reason::UpstreamBilling,
        _ if failure.is_disabled() => Reason::UpstreamAuth,
        400 | 422 => Reason::UpstreamInvalidRequest,
        413 => Reason::RequestTooLarge,
        404 => Reason::UpstreamNotFound,
        // An edge or a proxy blocked the request; the key may be valid.
        401..=403 if !failure.is_from_api() => Reason::UpstreamUnexpected,
        401 | 403 => Reason::UpstreamAuth,
        402 => Reason::UpstreamBilling,
        429 => Reason::UpstreamRateLimited,
        529 => Reason::UpstreamOverloaded,
        408 | 409 | 500.. => Reason::UpstreamError,
        _ => Reason::UpstreamUnexpected,
    }
}

/// The message for the caller. The API's explanation is included only if the
/// caller can fix the request: otherwise it is about the service's own account.
fn api_message(reason: Reason, failure: &ApiFailure) -> String {
    let explained = |what: &str| format!("{what}: {}", explanation(&failure.message));
    let text = match reason {
        Reason::UpstreamInvalidRequest => {
            return explained("the Claude API rejected the request");
        }
        Reason::RequestTooLarge => {
            return explained("the request is too large for the Claude API");
        }
        Reason::UpstreamNotFound => return explained("unknown model or resource"),
        Reason::UpstreamAuth => {
            "the Claude API rejected the service's own key; contact the operator of this service"
        }
        Reason::UpstreamBilling => "the service's account at the Claude API cannot be billed",
        Reason::UpstreamSpendLimit => {
            "a spend limit of the service's account at the Claude API is reached"
        }
        Reason::UpstreamRateLimited => "the rate limit of the Claude API is reached",
        Reason::UpstreamOverloaded => "the Claude API is overloaded",
        Reason::UpstreamError => "the Claude API failed",
        Reason::UpstreamUnexpected if !failure.is_from_api() => {
            "something between the service and the Claude API rejected the request"
        }
        _ => "the Claude API answered with an undocumented status",
    };
    text.to_owned()
}

/// The API's explanation, shortened for a status message.
fn explanation(message: &str) -> String {
    if message.is_empty() {
        return "no reason given".to_owned();
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
    use crate::proto::ERROR_DOMAIN;
    use tonic_types::StatusExt;

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
            let status = upstream_failed(&failed(api(http), 1), "messages");
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
        let first = upstream_failed(&failed(error.clone(), 0), "text");
        assert_eq!(pushback_of(&first), Some("7000"));
        let details = first.get_error_details();
        assert_eq!(
            details.retry_info().unwrap().retry_delay,
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            pushback_of(&upstream_failed(&failed(error, 4), "text")),
            Some("-1")
        );
        assert_eq!(
            pushback_of(&upstream_failed(&failed(api(400), 1), "text")),
            None
        );
    }

    #[test]
    fn the_spend_limit_is_not_to_be_retried() {
        let failure = ApiFailure {
            status: 429,
            code: Some(crate::upstream::SPEND_LIMIT_REACHED.to_owned()),
            ..ApiFailure::default()
        };
        let status = upstream_failed(
            &failed(UpstreamError::Api(Box::new(failure)), 1),
            "messages",
        );
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(pushback_of(&status), Some("-1"));
        assert!(status.get_error_details().retry_info().is_none());
    }
}
