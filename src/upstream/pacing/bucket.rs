//! One of the API's token buckets, as far as it can be known from outside.

use crate::{token_bucket::TokenBucket, upstream::limits};
use std::time::Duration;
use tokio::time::Instant;

/// However much others use, this share of the refill is assumed to be left, so
/// that the wait stays finite.
const LEAST_LEFT: f64 = 0.02;

/// The cost of one call, or of several, per bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Number of requests.
    pub requests: f64,
    /// Input tokens.
    pub input_tokens: f64,
    /// Output tokens.
    pub output_tokens: f64,
}

impl Cost {
    /// The sum of two costs.
    pub fn plus(self, more: Cost) -> Cost {
        Cost {
            requests: self.requests + more.requests,
            input_tokens: self.input_tokens + more.input_tokens,
            output_tokens: self.output_tokens + more.output_tokens,
        }
    }

    /// The cost, multiplied by a factor.
    pub fn times(self, factor: f64) -> Cost {
        Cost {
            requests: self.requests * factor,
            input_tokens: self.input_tokens * factor,
            output_tokens: self.output_tokens * factor,
        }
    }

    /// The difference of two costs.
    pub fn minus(self, less: Cost) -> Cost {
        Cost {
            requests: self.requests - less.requests,
            input_tokens: self.input_tokens - less.input_tokens,
            output_tokens: self.output_tokens - less.output_tokens,
        }
    }
}

/// A bucket of the API: our own count, corrected by the reports of the API.
#[derive(Debug, Clone, Copy)]
pub struct ApiBucket {
    tokens: TokenBucket,
    at: Instant,
    /// The API's numbers may be off by this much because of rounding.
    rounding: f64,
}

impl ApiBucket {
    /// A bucket as reported by the API.
    pub fn new(reported: &limits::Bucket, rounding: f64, now: Instant) -> Self {
        ApiBucket::with(
            reported.limit as f64,
            reported.remaining as f64,
            rounding,
            now,
        )
    }

    /// A bucket at a known level.
    pub fn with(limit: f64, level: f64, rounding: f64, now: Instant) -> Self {
        ApiBucket {
            tokens: TokenBucket::with_level(limit, level),
            at: now,
            rounding,
        }
    }

    /// The capacity of the bucket.
    pub fn limit(&self) -> f64 {
        self.tokens.limit()
    }

    /// What is left; negative when in debt.
    pub fn level(&self) -> f64 {
        self.tokens.level()
    }

    /// Refills up to `now`.
    pub fn refill(&mut self, now: Instant) {
        self.tokens.refill(now.saturating_duration_since(self.at));
        self.at = now;
    }

    /// Takes an amount, even if it is more than is left; a negative amount is
    /// returned.
    pub fn take(&mut self, amount: f64) {
        self.tokens.take(amount);
    }

    /// Time until an amount is available. An amount above the limit is
    /// available when the bucket is full.
    pub fn ready_in(&self, amount: f64) -> Duration {
        self.tokens.ready_in(amount)
    }

    /// Time until several calls that need an amount together have had their
    /// turns, while others take `others` per second before them.
    pub fn ready_in_turn(&self, amount: f64, others: f64) -> Duration {
        let missing = amount - self.level();
        if missing <= 0.0 || amount <= 0.0 {
            return Duration::ZERO;
        }
        let inflow = self.tokens.per_second();
        let left = (inflow - others).max(inflow * LEAST_LEFT);
        Duration::try_from_secs_f64(missing / left).unwrap_or(Duration::MAX)
    }

    /// Adopts the API's report where it differs from our own count, since
    /// others may use the same key. The API took its number some time between
    /// the reservation (when our count was `at_reservation`) and now, so any value
    /// between our two counts agrees with it.
    pub fn correct(&mut self, reported: &limits::Bucket, at_reservation: f64) {
        let level = self.believed(reported, at_reservation, self.level());
        self.tokens = TokenBucket::with_level(reported.limit as f64, level);
    }

    /// As [`correct`](Self::correct), for a response that rejected a call: the
    /// API has not counted it, and its reservation will be returned. That too
    /// little is left for it is exact, despite rounding; otherwise each next
    /// call would come too early by the same amount again.
    pub fn correct_refused(
        &mut self,
        reported: &limits::Bucket,
        at_reservation: f64,
        charged: f64,
    ) {
        let mut level = self.believed(reported, at_reservation + charged, self.level() + charged);
        let (limit, remaining) = (reported.limit as f64, reported.remaining as f64);
        if remaining < charged.min(limit) {
            level = level.min(remaining);
        }
        self.tokens = TokenBucket::with_level(limit, level - charged);
    }

    /// The level that agrees with the API's report, at most the limit.
    fn believed(&self, reported: &limits::Bucket, at_reservation: f64, level: f64) -> f64 {
        let (limit, remaining) = (reported.limit as f64, reported.remaining as f64);
        let (low, high) = (at_reservation.min(level), at_reservation.max(level));
        let believed = if remaining < low - self.rounding {
            level - (low - remaining)
        } else if remaining > high + self.rounding {
            level + (remaining - high)
        } else {
            level
        };
        believed.min(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(limit: u64, remaining: u64) -> limits::Bucket {
        limits::Bucket { limit, remaining }
    }

    #[tokio::test(start_paused = true)]
    async fn it_refills_over_a_minute() {
        let mut bucket = ApiBucket::new(&reported(60, 0), 0.0, Instant::now());
        assert_eq!(bucket.ready_in(1.0), Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(30)).await;
        bucket.refill(Instant::now());
        assert_eq!(bucket.level(), 30.0);
        assert_eq!(bucket.ready_in(30.0), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(300)).await;
        bucket.refill(Instant::now());
        assert_eq!(bucket.level(), 60.0);
        assert_eq!(bucket.ready_in(1000.0), Duration::ZERO, "when it is full");
    }

    #[tokio::test(start_paused = true)]
    async fn the_api_is_believed_only_where_it_really_differs() {
        let mut bucket = ApiBucket::new(&reported(1000, 500), 1.0, Instant::now());
        bucket.take(100.0);
        // Any value between the count at the reservation and the count now.
        bucket.correct(&reported(1000, 450), 500.0);
        assert_eq!(bucket.level(), 400.0);
        bucket.correct(&reported(1000, 300), 400.0);
        assert_eq!(bucket.level(), 300.0);
        bucket.correct(&reported(1000, 900), 400.0);
        assert_eq!(bucket.level(), 800.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_tells_exactly_that_too_little_is_left() {
        let mut bucket = ApiBucket::new(&reported(60, 1), 1.0, Instant::now());
        bucket.take(1.0);
        // Within the rounding, and still too high.
        bucket.correct_refused(&reported(60, 0), 0.0, 1.0);
        bucket.take(-1.0);
        assert_eq!(bucket.level(), 0.0);
        // If there was room, the rejection says nothing about this bucket.
        let mut bucket = ApiBucket::new(&reported(60, 40), 1.0, Instant::now());
        bucket.take(10.0);
        bucket.correct_refused(&reported(60, 40), 30.0, 10.0);
        assert_eq!(bucket.level(), 30.0);
    }
}
