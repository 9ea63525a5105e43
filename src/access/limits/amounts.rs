//! What is asked of a store, and what it answers: the same for each store.

use super::{
    calendar::Date,
    exceeded::{Limit, LimitExceeded},
};
use crate::{
    access::{ClientLimits, Identity},
    pricing::Nanodollars,
};
use std::{sync::Arc, time::Duration};

/// When a call in flight ends nobody knows; this is when to look again.
pub const IN_FLIGHT_RETRY: Duration = Duration::from_secs(1);

/// What a call would use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageAmounts {
    /// Calls.
    pub requests: u64,
    /// Places among the calls in flight.
    pub in_flight: u64,
    /// Input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// What it costs.
    pub nanodollars: Nanodollars,
}

/// The difference between what was charged and what was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Correction {
    /// Input tokens.
    pub input: i64,
    /// Output tokens.
    pub output: i64,
    /// Cost.
    pub nanodollars: i64,
    /// The day that was charged.
    pub day: u64,
    /// The month that was charged.
    pub month: u64,
}

impl UsageAmounts {
    /// Tokens, as budgets count them.
    pub fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// What is to be corrected when this was charged and `used` was used.
    pub fn corrected_by(&self, used: &UsageAmounts, date: Date) -> Correction {
        let difference = |charged: u64, used: u64| {
            let signed = |it| i64::try_from(it).unwrap_or(i64::MAX);
            signed(used) - signed(charged)
        };
        Correction {
            input: difference(self.input, used.input),
            output: difference(self.output, used.output),
            nanodollars: difference(self.nanodollars, used.nanodollars),
            day: date.day,
            month: date.month,
        }
    }
}

/// The limits of a client as figures, in the order of
/// [`LIMITS`](super::exceeded::LIMITS).
pub fn figures(limits: &ClientLimits) -> [Option<u64>; 8] {
    let nanodollars = |dollars: f64| (dollars * 1e9).round() as Nanodollars;
    [
        limits.requests_per_minute,
        limits.input_tokens_per_minute,
        limits.output_tokens_per_minute,
        limits.calls_in_flight,
        limits.tokens_per_day,
        limits.tokens_per_month,
        limits.dollars_per_day.map(nanodollars),
        limits.dollars_per_month.map(nanodollars),
    ]
}

/// The refusal of a call, from the limits that it would go over.
pub fn exceeded(identity: &Identity, over: Vec<(Limit, Duration)>) -> LimitExceeded {
    let figures = figures(&identity.limits);
    let limits = over.into_iter().map(|(limit, after)| {
        let figure = figures[limit as usize].unwrap_or(0);
        let value = match limit {
            Limit::DollarsPerDay | Limit::DollarsPerMonth => figure / 1_000_000_000,
            _ => figure,
        };
        (limit, value, after)
    });
    LimitExceeded {
        client: Arc::clone(&identity.name),
        limits: limits.collect(),
    }
}
