//! A token bucket that holds the quota of one minute and refills continuously,
//! like the Claude API's rate limits.
//!
//! It has no clock: its owner passes the elapsed time. Taking more than is left
//! puts it into debt, which refills first. (`governor` can neither return tokens
//! nor adopt a level that somebody else has observed.)

use std::time::Duration;

/// The limits are stated per minute.
const PERIOD: Duration = Duration::from_secs(60);

/// A shortfall below this counts as zero: after rounding errors, a full bucket
/// may be slightly below its limit.
const TOLERANCE: f64 = 1e-6;

/// A level between a debt and the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenBucket {
    limit: f64,
    level: f64,
}

impl TokenBucket {
    /// A full bucket. The limit is its capacity, and the amount that it refills
    /// in a minute.
    pub fn full(limit: f64) -> Self {
        TokenBucket::with_level(limit, limit)
    }

    /// A bucket at a known level, which may be negative; capped at the limit.
    pub fn with_level(limit: f64, level: f64) -> Self {
        TokenBucket {
            limit,
            level: level.min(limit),
        }
    }

    /// The capacity of the bucket.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// What is left; negative when in debt.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// What is missing to the limit.
    pub fn used(&self) -> f64 {
        self.limit - self.level
    }

    /// The refill rate per second; positive even when the limit is 0.
    pub fn per_second(&self) -> f64 {
        (self.limit / PERIOD.as_secs_f64()).max(f64::MIN_POSITIVE)
    }

    /// Refills for the elapsed time.
    pub fn refill(&mut self, elapsed: Duration) {
        let inflow = elapsed.as_secs_f64() * self.per_second();
        self.level = (self.level + inflow).min(self.limit);
    }

    /// Takes an amount, even if it is more than is left. A negative amount is
    /// returned, up to the limit.
    pub fn take(&mut self, amount: f64) {
        self.level = (self.level - amount).min(self.limit);
    }

    /// Time until an amount is available; zero if it is available now. An
    /// amount above the limit is available when the bucket is full.
    pub fn ready_in(&self, amount: f64) -> Duration {
        if amount <= 0.0 {
            return Duration::ZERO;
        }
        self.inflow_time(amount.min(self.limit) - self.level)
    }

    /// Time until the bucket is full.
    pub fn full_in(&self) -> Duration {
        self.inflow_time(self.used())
    }

    fn inflow_time(&self, missing: f64) -> Duration {
        if missing <= TOLERANCE {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(missing / self.per_second()).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_refills_over_a_minute_and_no_further() {
        let mut bucket = TokenBucket::with_level(60.0, 0.0);
        assert_eq!(bucket.ready_in(1.0), Duration::from_secs(1));
        assert_eq!(bucket.full_in(), PERIOD);
        bucket.refill(Duration::from_secs(30));
        assert_eq!((bucket.level(), bucket.used()), (30.0, 30.0));
        assert_eq!(bucket.ready_in(30.0), Duration::ZERO);
        bucket.refill(Duration::from_secs(300));
        assert_eq!(bucket, TokenBucket::full(60.0));
    }

    #[test]
    fn debt_refills_first_and_what_is_given_back_does_not_overflow() {
        let mut bucket = TokenBucket::full(60.0);
        bucket.take(90.0);
        assert_eq!(bucket.ready_in(1.0), Duration::from_secs(31));
        bucket.take(-500.0);
        assert_eq!(bucket.level(), 60.0);
    }

    #[test]
    fn more_than_the_limit_waits_for_a_full_bucket() {
        let mut bucket = TokenBucket::full(60.0);
        assert_eq!(bucket.ready_in(1000.0), Duration::ZERO);
        bucket.take(1.0);
        assert_eq!(bucket.ready_in(1000.0), Duration::from_secs(1));
        assert_eq!(bucket.ready_in(0.0), Duration::ZERO);
    }

    #[test]
    fn a_limit_of_zero_never_refills() {
        let mut bucket = TokenBucket::full(0.0);
        assert_eq!(bucket.ready_in(5.0), Duration::ZERO);
        bucket.take(5.0);
        bucket.refill(Duration::from_secs(3600));
        assert_eq!(bucket.level(), -5.0);
        assert_eq!(bucket.ready_in(1.0), Duration::MAX);
    }
}
