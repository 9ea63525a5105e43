//! What a store is asked to reserve, and what it answers: the same for every
//! store.

use super::{
    calendar::Date,
    exceeded::{Limit, LimitExceeded},
};
use crate::{
    access::{ClientLimits, Identity},
    models::Nanodollars,
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// Nobody knows when a call in flight will end; retry after this time.
pub const IN_FLIGHT_RETRY: Duration = Duration::from_secs(1);

/// What a call is expected to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageAmounts {
    /// Number of calls.
    pub requests: u64,
    /// Number of concurrent calls.
    pub in_flight: u64,
    /// Input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Cost in billionths of a dollar.
    pub nanodollars: Nanodollars,
}

/// The difference between what was reserved and what was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Correction {
    /// Input tokens to add; negative to give back.
    pub input: i64,
    /// Output tokens to add; negative to give back.
    pub output: i64,
    /// Billionths of a dollar to add; negative to give back.
    pub nanodollars: i64,
    /// The day that the reservation counts for.
    pub day: u64,
    /// The month that the reservation counts for.
    pub month: u64,
}

impl UsageAmounts {
    /// Input and output tokens together, as budgets count them.
    pub fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// The sum of two usages.
    pub fn plus(self, more: UsageAmounts) -> UsageAmounts {
        UsageAmounts {
            requests: self.requests.saturating_add(more.requests),
            in_flight: self.in_flight.saturating_add(more.in_flight),
            input: self.input.saturating_add(more.input),
            output: self.output.saturating_add(more.output),
            nanodollars: self.nanodollars.saturating_add(more.nanodollars),
        }
    }

    /// The correction when this was reserved and `used` was used.
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

/// The limits of a client, in the order of [`LIMITS`](super::exceeded::LIMITS).
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

/// The error for a call that would exceed these limits.
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
