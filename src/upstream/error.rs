//! The errors of a call to the API.

use crate::access::limits::AccessError;
use std::time::Duration;
use thiserror::Error;

/// Why a call failed. No variant contains a key, a header or a prompt.
#[derive(Debug, Clone, Error)]
pub enum UpstreamError {
    /// The API returned an error, as a status or as an `error` event.
    #[error("the Claude API answered {}", .0.describe())]
    Api(Box<ApiFailure>),
    /// No connection could be established.
    #[error("failed to connect to the Claude API")]
    Connect,
    /// The connection broke, or a stream was cut off.
    #[error("the connection to the Claude API broke")]
    Broken,
    /// No data was received or could be sent for this time, so the connection
    /// counts as dead.
    #[error("the Claude API sent no data for {}", humantime(.0))]
    Stalled(Duration),
    /// The response is not in the documented format.
    #[error("failed to read the response of the Claude API: {0}")]
    Malformed(&'static str),
    /// The request is larger than the API accepts; it was not sent.
    #[error("the request body is {bytes} bytes; the limit is 33554432")]
    TooLarge {
        /// Size of the JSON body in bytes.
        bytes: usize,
    },
    /// The caller's deadline was exceeded, or would be before it makes sense to
    /// continue.
    #[error("deadline exceeded {0}")]
    DeadlineExceeded(&'static str),
    /// No permit became available within the maximum wait.
    #[error("the concurrency limit of the Claude API is reached")]
    ConcurrencyLimitExceeded {
        /// When a permit is likely to be available.
        retry_after: Duration,
    },
    /// The circuit breaker is open: the API is failing.
    #[error("the Claude API is failing; the circuit breaker is open")]
    CircuitOpen {
        /// When the next probe is let through.
        retry_after: Duration,
    },
    /// The API's own limits have no room before the caller's deadline.
    #[error("the rate limit of the Claude API has no room before the deadline")]
    QuotaExhausted {
        /// When there will be room.
        retry_after: Duration,
    },
    /// The store of the shared limits is unreachable and configured to fail
    /// closed.
    #[error("rate limit state is unavailable")]
    StoreUnreachable,
    /// The caller may not make this call, or not now. It was not sent.
    #[error(transparent)]
    AccessDenied(AccessError),
    /// The API rejected every configured key.
    #[error("no usable API key")]
    NoUsableKey,
}

/// An error that the API returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiFailure {
    /// HTTP status. For an `error` event in a stream, the status that belongs
    /// to its type.
    pub status: u16,
    /// The API's error type, for example `overloaded_error`; empty when the
    /// body did not come from the API.
    pub kind: String,
    /// The API's explanation. It may quote the request: for the caller, never
    /// for logs.
    pub message: String,
    /// `error.details.error_code`.
    pub code: Option<String>,
    /// The API's request id.
    pub request_id: Option<String>,
    /// When the API wants the call to be retried.
    pub retry_after: Option<Duration>,
    /// `x-should-retry`: takes precedence over the status.
    pub should_retry: Option<bool>,
}

/// Maximum time that callers are asked to wait because of the API: an hour
/// later it is worth asking again, whatever the API said.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// The `error_code` of a 429 that lasts until the end of the month.
pub const SPEND_LIMIT_REACHED: &str = "enforced_spend_limit_reached";

impl ApiFailure {
    fn describe(&self) -> String {
        match self.kind.as_str() {
            "" => self.status.to_string(),
            kind => format!("{} {kind}", self.status),
        }
    }

    /// Whether the body is an error of the API, and not that of a proxy.
    pub fn is_from_api(&self) -> bool {
        !self.kind.is_empty()
    }

    /// Whether the organization's spend limit is exhausted, so that retries do
    /// not help.
    pub fn is_spend_limit(&self) -> bool {
        self.code.as_deref() == Some(SPEND_LIMIT_REACHED)
    }
}

fn humantime(duration: &Duration) -> String {
    format!("{:.0} s", duration.as_secs_f64())
}
