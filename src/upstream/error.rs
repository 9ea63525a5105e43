//! The errors of a call to the API.

use super::{connect_failure::ConnectFailure, hosts::HostLacks, owned_kind::OwnedKind};
use crate::{
    access::limits::AccessError,
    claude::{
        error::{ErrorBody, status_of_type},
        unreadable::Unreadable,
    },
    credentials::CredentialsError,
};
use serde::{Deserialize, Serialize};
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
    /// The connection broke, which another attempt on it has reported already as
    /// [`UpstreamError::Broken`]. It is the same failure, so it counts only once.
    #[error("the connection to the Claude API broke")]
    BrokenWithOthers,
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
    /// No host can serve the call. It was not sent.
    #[error(transparent)]
    NotServed(HostLacks),
    /// The request names what its tenant does not own. It was not sent.
    #[error("unknown {} {id}", .kind.name())]
    NotOwned {
        /// What it names.
        kind: OwnedKind,
        /// Its id.
        id: String,
    },
    /// Nobody knows for now whether the tenant owns what the request names. It was not sent.
    #[error("the state of files is unavailable")]
    OwnershipUnknown,
    /// The request may name what its tenant does not own. It was not sent.
    #[error("the request must not be nested more than 127 levels deep")]
    Unsearchable,
    /// There are no valid credentials for the host. It was not asked.
    #[error(transparent)]
    NoCredentials(CredentialsError),
    /// The API rejected every configured key.
    #[error("no usable API key")]
    NoUsableKey,
}

/// An error that the API returned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// How every `error_code` ends that is a spend limit: of a tier, of a contract, of
/// a linked organization.
const SPEND_LIMIT_CODE: &str = "spend_limit_reached";

/// How the message of a 400 begins that is a spend limit: the API gives it no
/// code. Nothing that a caller sends can stand there, since the API names the
/// field before it quotes it.
const SPEND_LIMIT_MESSAGES: [&str; 4] = [
    "You have reached your specified API usage limits",
    "You have reached your specified workspace API usage limits",
    "You've hit your monthly spend limit",
    "You're out of extra usage",
];

/// As [`SPEND_LIMIT_MESSAGES`], for an account without credit.
const NO_CREDIT_MESSAGE: &str = "Your credit balance is too low";

/// The `error_code` of an account without credit.
const NO_CREDIT: &str = "credit_balance_too_low";

/// The `error_code` of a 400 to every request of a disabled organization.
const ORGANIZATION_ON_HOLD: &str = "organization_on_hold";

/// As [`SPEND_LIMIT_MESSAGES`], for an organization that is disabled for another
/// reason.
const ORGANIZATION_DISABLED_MESSAGE: &str = "This organization has been disabled";

impl UpstreamError {
    /// Whether it is certain that the API has not processed the request.
    pub fn was_not_processed(&self) -> bool {
        match self {
            UpstreamError::Api(failure) => {
                matches!(failure.status, 400..=407 | 410..=499 | 529)
            }
            UpstreamError::Connect(_)
            | UpstreamError::TooLarge { .. }
            | UpstreamError::ConcurrencyLimitExceeded { .. }
            | UpstreamError::CircuitOpen { .. }
            | UpstreamError::QuotaExhausted { .. }
            | UpstreamError::StoreUnreachable
            | UpstreamError::AccessDenied(_)
            | UpstreamError::NotServed(_)
            | UpstreamError::NotOwned { .. }
            | UpstreamError::OwnershipUnknown
            | UpstreamError::Unsearchable
            | UpstreamError::NoCredentials(_)
            | UpstreamError::NoUsableKey => true,
            UpstreamError::Broken
            | UpstreamError::BrokenWithOthers
            | UpstreamError::Stalled(_)
            | UpstreamError::Malformed(_)
            | UpstreamError::DeadlineExceeded(_) => false,
        }
    }

    /// Whether the host has said nothing of a request that it may have processed, and may
    /// charge for.
    pub fn is_lost(&self) -> bool {
        matches!(
            self,
            UpstreamError::Broken
                | UpstreamError::BrokenWithOthers
                | UpstreamError::Stalled(_)
                | UpstreamError::Malformed(_)
        )
    }

    /// Whether the failure says nothing about the request, but that the service could not
    /// or may not ask: no other failure is less useful to a caller.
    pub fn is_of_service(&self) -> bool {
        match self {
            UpstreamError::Api(failure) => matches!(failure.status, 401..=404),
            UpstreamError::ConcurrencyLimitExceeded { .. }
            | UpstreamError::CircuitOpen { .. }
            | UpstreamError::QuotaExhausted { .. }
            | UpstreamError::NoCredentials(_)
            | UpstreamError::NoUsableKey => true,
            _ => false,
        }
    }

    /// Whether the failure is one of the host, its account or the way to it, so that
    /// another host may serve the call.
    pub fn is_of_host(&self) -> bool {
        match self {
            UpstreamError::Api(failure) => !failure.is_of_request(),
            UpstreamError::Connect(_)
            | UpstreamError::Broken
            | UpstreamError::BrokenWithOthers
            | UpstreamError::Stalled(_)
            | UpstreamError::ConcurrencyLimitExceeded { .. }
            | UpstreamError::CircuitOpen { .. }
            | UpstreamError::QuotaExhausted { .. }
            | UpstreamError::NoCredentials(_)
            | UpstreamError::NoUsableKey => true,
            UpstreamError::Malformed(_)
            | UpstreamError::TooLarge { .. }
            | UpstreamError::DeadlineExceeded(_)
            | UpstreamError::StoreUnreachable
            | UpstreamError::AccessDenied(_)
            | UpstreamError::NotOwned { .. }
            | UpstreamError::OwnershipUnknown
            | UpstreamError::Unsearchable
            | UpstreamError::NotServed(_) => false,
        }
    }
}

impl From<ErrorBody> for ApiFailure {
    /// The failure that an error reports which came with the status of a success.
    fn from(body: ErrorBody) -> Self {
        ApiFailure {
            status: status_of_type(&body.kind),
            kind: body.kind,
            message: body.message,
            code: body.code,
            request_id: body.request_id,
            ..ApiFailure::default()
        }
    }
}

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

    /// Whether it is the fault of the request, which would be rejected again.
    pub fn is_of_request(&self) -> bool {
        let is_of_account = self.is_spend_limit() || self.is_billing() || self.is_disabled();
        matches!(self.status, 400 | 413 | 422) && !is_of_account
    }

    /// Whether the API does not have what was asked for. The page of a proxy with the
    /// same status does not say so.
    pub fn is_not_found(&self) -> bool {
        self.status == 404 && self.kind == "not_found_error"
    }

    /// Whether a spend limit of the account is reached, in any of the forms in
    /// which the API says so. Retries do not help.
    pub fn is_spend_limit(&self) -> bool {
        let code = self.code.as_deref();
        code.is_some_and(|code| code.ends_with(SPEND_LIMIT_CODE))
            || self.is_rejected_with(&SPEND_LIMIT_MESSAGES)
    }

    /// Whether the account cannot be billed. Retries do not help.
    pub fn is_billing(&self) -> bool {
        self.kind == "billing_error"
            || self.code.as_deref() == Some(NO_CREDIT)
            || self.is_rejected_with(&[NO_CREDIT_MESSAGE])
    }

    /// Whether the organization is disabled, which is not the fault of the request
    /// although the API says so.
    pub fn is_disabled(&self) -> bool {
        self.code.as_deref() == Some(ORGANIZATION_ON_HOLD)
            || self.is_rejected_with(&[ORGANIZATION_DISABLED_MESSAGE])
    }

    /// Whether it is an `invalid_request_error` whose message begins like one of
    /// these.
    fn is_rejected_with(&self, beginnings: &[&str]) -> bool {
        let message = self.message.trim_start();
        self.kind == "invalid_request_error" && beginnings.iter().any(|it| message.starts_with(it))
    }
}

fn humantime(duration: &Duration) -> String {
    format!("{:.0} s", duration.as_secs_f64())
}
