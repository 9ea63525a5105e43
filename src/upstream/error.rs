//! How a call to the API can fail.

use crate::access::limits::AccessError;
use std::time::Duration;
use thiserror::Error;

/// A call failed. No variant carries a key, a header or a prompt.
#[derive(Debug, Clone, Error)]
pub enum UpstreamError {
    /// The API answered with an error, by status or by an `error` event.
    #[error("the Claude API answered {}", .0.describe())]
    Api(Box<ApiFailure>),
    /// No connection could be made.
    #[error("failed to connect to the Claude API")]
    Connect,
    /// The connection broke, or a stream ended before its end.
    #[error("the connection to the Claude API broke")]
    Broken,
    /// No byte came, or none could be sent, for so long that the connection is
    /// taken for dead.
    #[error("the Claude API sent no data for {}", humantime(.0))]
    Stalled(Duration),
    /// The API's answer is not what it documents.
    #[error("failed to read the response of the Claude API: {0}")]
    Malformed(&'static str),
    /// The request is larger than the API takes; it was not sent.
    #[error("the request body is {bytes} bytes; the limit is 33554432")]
    TooLarge {
        /// Its size as JSON.
        bytes: usize,
    },
    /// The caller's deadline passed, or would pass before it makes sense to go
    /// on.
    #[error("deadline exceeded {0}")]
    DeadlineExceeded(&'static str),
    /// No permit was free for as long as a call may wait.
    #[error("the concurrency limit of the Claude API is reached")]
    ConcurrencyLimitExceeded {
        /// When a permit is likely to be free.
        retry_after: Duration,
    },
    /// The circuit breaker is open: the API is failing.
    #[error("the Claude API is failing; the circuit breaker is open")]
    CircuitOpen {
        /// When the next attempt is let through.
        retry_after: Duration,
    },
    /// The API's own limits leave no room before the caller's deadline.
    #[error("the rate limit of the Claude API has no room before the deadline")]
    QuotaExhausted {
        /// When there will be room.
        retry_after: Duration,
    },
    /// The store of the shared limits does not answer, and then nothing goes.
    #[error("rate limit state is unavailable")]
    StoreUnreachable,
    /// The caller may not make this call, or not now. It was not sent.
    #[error(transparent)]
    AccessDenied(AccessError),
    /// Every configured key has been refused.
    #[error("no usable API key")]
    NoUsableKey,
}

/// What the API said when it refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiFailure {
    /// HTTP status. For an `error` event in a stream, the status that its type
    /// has.
    pub status: u16,
    /// The API's error type, for example `overloaded_error`; empty when the
    /// body was not the API's.
    pub kind: String,
    /// The API's explanation. May quote the request: for the caller, never for
    /// logs.
    pub message: String,
    /// `error.details.error_code`.
    pub code: Option<String>,
    /// The API's id of the request.
    pub request_id: Option<String>,
    /// When the API wants to be asked again.
    pub retry_after: Option<Duration>,
    /// `x-should-retry`: decides over the status.
    pub should_retry: Option<bool>,
}

/// The `error_code` of a 429 that lasts until the month ends.
pub const SPEND_LIMIT_REACHED: &str = "enforced_spend_limit_reached";

impl ApiFailure {
    fn describe(&self) -> String {
        match self.kind.as_str() {
            "" => self.status.to_string(),
            kind => format!("{} {kind}", self.status),
        }
    }

    /// Whether the organization's spend limit is used up: no retry helps.
    pub fn is_spend_limit(&self) -> bool {
        self.code.as_deref() == Some(SPEND_LIMIT_REACHED)
    }
}

fn humantime(duration: &Duration) -> String {
    format!("{:.0} s", duration.as_secs_f64())
}
