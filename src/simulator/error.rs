//! Error answers in the API's shape.

use super::threads::ThreadProblem;
use crate::claude::error::{ErrorDetails, ErrorEnvelope, ErrorObject, type_of_status};
use http::{HeaderMap, HeaderValue, header};
use std::time::Duration;

/// An error of the API, with what its answer carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    status: u16,
    message: String,
    code: Option<&'static str>,
    gateway: Option<&'static str>,
    retry_after: Option<Duration>,
    should_retry: Option<bool>,
}

impl ApiError {
    /// An error with a status.
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        ApiError {
            status,
            message: message.into(),
            code: None,
            gateway: None,
            retry_after: None,
            should_retry: None,
        }
    }

    /// 400: the request is invalid.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        ApiError::new(400, message)
    }

    /// 404: what the request names is unknown.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        ApiError::new(404, message)
    }

    /// 529: the API is overloaded.
    pub(super) fn overloaded() -> Self {
        ApiError::new(529, "Overloaded")
    }

    /// 429 with `retry-after`.
    pub(super) fn rate_limited(retry_after: Duration, message: impl Into<String>) -> Self {
        ApiError {
            retry_after: Some(retry_after),
            ..ApiError::new(429, message)
        }
    }

    /// 429 that lasts until the month ends, without `retry-after`.
    pub(super) fn spend_limit() -> Self {
        ApiError::new(429, "[simulated] the monthly spend limit is reached")
            .code("enforced_spend_limit_reached")
    }

    /// Adds the `error_code` of the details.
    pub(super) fn code(self, code: &'static str) -> Self {
        ApiError {
            code: Some(code),
            ..self
        }
    }

    /// The error is of the host, before the request reaches Claude; it has this code
    /// there.
    pub(super) fn gateway(self, code: &'static str) -> Self {
        ApiError {
            gateway: Some(code),
            ..self
        }
    }

    /// Adds the header `x-should-retry`.
    pub(super) fn should_retry(self, should_retry: bool) -> Self {
        ApiError {
            should_retry: Some(should_retry),
            ..self
        }
    }

    /// What is wrong.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// The code at the host, of an error that is not Claude's.
    pub(super) fn gateway_code(&self) -> Option<&'static str> {
        self.gateway
    }

    /// The code in the details.
    pub(super) fn details_code(&self) -> Option<&'static str> {
        self.code
    }

    fn kind(&self) -> &'static str {
        let otherwise = if self.status < 500 {
            "invalid_request_error"
        } else {
            "api_error"
        };
        type_of_status(self.status).unwrap_or(otherwise)
    }

    /// The JSON of the body, which is also the data of an `error` event.
    pub(super) fn json(&self, request_id: &str) -> String {
        let envelope = ErrorEnvelope {
            envelope: "error".to_owned(),
            error: ErrorObject {
                kind: self.kind().to_owned(),
                message: self.message.clone(),
                details: self.code.map(|code| ErrorDetails {
                    error_code: Some(code.to_owned()),
                }),
            },
            request_id: Some(request_id.to_owned()),
        };
        serde_json::to_string(&envelope).expect("strings always serialize")
    }

    /// Adds the headers that an error of the Claude API has.
    pub(super) fn set_headers(&self, headers: &mut HeaderMap) {
        self.set_retry_after(headers);
        if let Some(should_retry) = self.should_retry {
            let value = if should_retry { "true" } else { "false" };
            headers.insert("x-should-retry", HeaderValue::from_static(value));
        }
    }

    /// Adds `retry-after`, in whole seconds, and `retry-after-ms` where they do not say
    /// it all.
    pub(super) fn set_retry_after(&self, headers: &mut HeaderMap) {
        if let Some(retry_after) = self.retry_after {
            let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            if retry_after.subsec_nanos() > 0 {
                let millis = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
                headers.insert("retry-after-ms", HeaderValue::from(millis));
            }
        }
    }
}

impl From<ThreadProblem> for ApiError {
    fn from(problem: ThreadProblem) -> Self {
        let status = match problem {
            ThreadProblem::NotFound => 404,
            _ => 400,
        };
        ApiError {
            code: Some(problem.code()),
            ..ApiError::new(status, problem.to_string())
        }
    }
}

/// 400 unless the condition holds.
///
/// # Errors
/// The 400, with this message.
pub(super) fn require<M: Into<String>>(
    holds: bool,
    message: impl FnOnce() -> M,
) -> Result<(), ApiError> {
    if holds {
        Ok(())
    } else {
        Err(ApiError::invalid(message()))
    }
}
