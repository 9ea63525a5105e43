//! The errors of a call to the API.

use super::connect_failure::ConnectFailure;
use crate::{access::limits::AccessError, claude::unreadable::Unreadable};
use std::time::Duration;
use thiserror::Error;

/// Why a call failed. No variant contains a key, a header or a prompt.
#[derive(Debug, Clone, Error)]
pub enum UpstreamError {
    /// The API returned an error, as a status or as an `error` event.
    #[error("the Claude API answered {}", .0.describe())]
    Api(Box<ApiFailure>),
    /// No connection could be established.
    #[error("failed to connect to the Claude API: {0}")]
    Connect(ConnectFailure),
    /// The connection broke, or a stream was cut off.
    #[error("the connection to the Claude API broke")]
    Broken,
    /// No data was received or could be sent for this time, so the connection
    /// counts as dead.
    #[error("the Claude API sent no data for {}", humantime(.0))]
    Stalled(Duration),
    /// The response is not in the documented format.
    #[error("failed to read the response of the Claude API: {0}")]
    Malformed(Unreadable),
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

/// Every `error_code` of a 429 that is a spend limit.
const SPEND_LIMITS: [&str; 2] = [SPEND_LIMIT_REACHED, "contract_spend_limit_reached"];

/// How the message of a 400 begins that is a spend limit: the API gives it no
/// code. Nothing that a caller sends can stand there, since the API names the
/// field before it quotes it.
const SPEND_LIMIT_MESSAGE: &str = "You have reached your specified API usage limits";

/// As [`SPEND_LIMIT_MESSAGE`], for an account without credit.
const NO_CREDIT_MESSAGE: &str = "Your credit balance is too low";

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

    /// Whether a spend limit of the account is reached, in any of the forms in
    /// which the API says so. Retries do not help.
    pub fn is_spend_limit(&self) -> bool {
        let is_code = |code: &str| SPEND_LIMITS.contains(&code);
        self.code.as_deref().is_some_and(is_code) || self.is_rejected_with(SPEND_LIMIT_MESSAGE)
    }

    /// Whether the account cannot be billed. Retries do not help.
    pub fn is_billing(&self) -> bool {
        self.kind == "billing_error" || self.is_rejected_with(NO_CREDIT_MESSAGE)
    }

    /// Whether it is an `invalid_request_error` whose message begins like this.
    fn is_rejected_with(&self, message: &str) -> bool {
        self.kind == "invalid_request_error" && self.message.trim_start().starts_with(message)
    }
}

fn humantime(duration: &Duration) -> String {
    format!("{:.0} s", duration.as_secs_f64())
}
