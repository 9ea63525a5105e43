//! A limit that is reached.

use crate::access::RejectReason;
use std::{sync::Arc, time::Duration};
use thiserror::Error;

/// One limit of a client, as the clients file names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Calls in a minute.
    RequestsPerMinute,
    /// Input tokens in a minute.
    InputTokensPerMinute,
    /// Output tokens in a minute.
    OutputTokensPerMinute,
    /// Calls at the same time.
    CallsInFlight,
    /// Tokens in a day.
    TokensPerDay,
    /// Tokens in a month.
    TokensPerMonth,
    /// Dollars in a day.
    DollarsPerDay,
    /// Dollars in a month.
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

/// A call would go over limits of its client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("client limit reached: {}", self.names())]
pub struct LimitExceeded {
    /// The client.
    pub client: Arc<str>,
    /// Each limit, how much it is (of dollars, whole ones), and when there is
    /// room for this call.
    pub limits: Vec<(Limit, u64, Duration)>,
}

impl LimitExceeded {
    /// When there is room in all of them, if no other call takes it.
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

/// Why a call of a client is not made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AccessError {
    /// It would go over limits.
    #[error(transparent)]
    Limit(Box<LimitExceeded>),
    /// The store of the limits does not answer, and then nobody goes.
    #[error("client limits are unavailable")]
    StoreUnreachable,
    /// The client may not make such a call.
    #[error("the client is not allowed to make this call")]
    NotAllowed(RejectReason),
}
