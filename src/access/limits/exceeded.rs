//! A client limit that is exceeded.

use crate::access::RejectReason;
use std::{sync::Arc, time::Duration};
use thiserror::Error;

/// One limit of a client, named as in the clients file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Calls per minute.
    RequestsPerMinute,
    /// Input tokens per minute.
    InputTokensPerMinute,
    /// Output tokens per minute.
    OutputTokensPerMinute,
    /// Concurrent calls.
    CallsInFlight,
    /// Tokens per day.
    TokensPerDay,
    /// Tokens per month.
    TokensPerMonth,
    /// Dollars per day.
    DollarsPerDay,
    /// Dollars per month.
    DollarsPerMonth,
}

/// All limits, in the order in which the stores number them.
pub const LIMITS: [Limit; 8] = [
    Limit::RequestsPerMinute,
    Limit::InputTokensPerMinute,
    Limit::OutputTokensPerMinute,
    Limit::CallsInFlight,
    Limit::TokensPerDay,
    Limit::TokensPerMonth,
    Limit::DollarsPerDay,
    Limit::DollarsPerMonth,
];

impl Limit {
    /// The name in the clients file.
    pub fn name(self) -> &'static str {
        match self {
            Limit::RequestsPerMinute => "requests_per_minute",
            Limit::InputTokensPerMinute => "input_tokens_per_minute",
            Limit::OutputTokensPerMinute => "output_tokens_per_minute",
            Limit::CallsInFlight => "calls_in_flight",
            Limit::TokensPerDay => "tokens_per_day",
            Limit::TokensPerMonth => "tokens_per_month",
            Limit::DollarsPerDay => "dollars_per_day",
            Limit::DollarsPerMonth => "dollars_per_month",
        }
    }
}

/// A call would exceed limits of its client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("client limit reached: {}", self.names())]
pub struct LimitExceeded {
    /// Name of the client.
    pub client: Arc<str>,
    /// Each exceeded limit, its value (dollars are rounded to whole ones), and
    /// the time until there is room for this call.
    pub limits: Vec<(Limit, u64, Duration)>,
}

impl LimitExceeded {
    /// The time until all of them have room, if no other call uses it.
    pub fn retry_after(&self) -> Duration {
        self.limits
            .iter()
            .map(|(.., after)| *after)
            .max()
            .unwrap_or_default()
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.limits.iter().map(|(limit, ..)| limit.name()).collect();
        names.join(", ")
    }
}

/// Why a call of a client is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AccessError {
    /// The call would exceed limits.
    #[error(transparent)]
    Limit(Box<LimitExceeded>),
    /// The cost of the call is not known, and a budget in dollars applies.
    #[error(
        "the price of the model {0:?} is unknown, and the client has a budget in dollars; \
         use another model, or add the price to limits.prices"
    )]
    UnpricedModel(Arc<str>),
    /// The cost of a feature is not known, and a budget in dollars applies.
    #[error(
        "the price of {0} is not known, and the client has a budget in dollars; call without it, \
         or ask the operator for a budget in tokens"
    )]
    UnpricedFeature(&'static str),
    /// The usage store is unreachable and configured to fail closed.
    #[error("client limits are unavailable")]
    StoreUnreachable,
    /// The client is not allowed to make such a call.
    #[error("the client is not allowed to make this call")]
    NotAllowed(RejectReason),
}
