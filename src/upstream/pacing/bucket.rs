//! One of the API's token buckets, as far as it can be known from outside.

use crate::upstream::limits;
use std::time::Duration;
use tokio::time::Instant;

/// The API states its limits for a minute.
const PERIOD: Duration = Duration::from_secs(60);

/// However much others take: something is always taken for left, so that the
/// time does not become infinite.
const LEAST_LEFT: f64 = 0.02;

/// What one call takes from each bucket, or several calls together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Requests.
    pub requests: f64,
    /// Input tokens.
    pub input_tokens: f64,
    /// Output tokens.
    pub output_tokens: f64,
}

impl Cost {
    /// Both together.
    pub fn plus(self, more: Cost) -> Cost {
        Cost {
            requests: self.requests + more.requests,
            input_tokens: self.input_tokens + more.input_tokens,
            output_tokens: self.output_tokens + more.output_tokens,
        }
    }

    /// So many times this.
    pub fn times(self, factor: f64) -> Cost {
        Cost {
            requests: self.requests * factor,
            input_tokens: self.input_tokens * factor,
            output_tokens: self.output_tokens * factor,
        }
    }

    /// This without that.
    pub fn minus(self, less: Cost) -> Cost {
        Cost {
            requests: self.requests - less.requests,
            input_tokens: self.input_tokens - less.input_tokens,
            output_tokens: self.output_tokens - less.output_tokens,
        }
    }
}

/// A bucket that refills continuously.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    limit: f64,
    level: f64,
    at: Instant,
    /// The API's figures may be off by this much, by rounding.
    rounding: f64,
}

impl Bucket {
    /// A bucket as the API told of it.
    pub fn new(told: &limits::Bucket, rounding: f64, now: Instant) -> Self {
        Bucket::with(told.limit as f64, told.remaining as f64, rounding, now)
    }

    /// A bucket that holds so much now.
    pub fn with(limit: f64, level: f64, rounding: f64, now: Instant) -> Self {
        Bucket {
            limit,
            level,
            at: now,
            rounding,
        }
    }

    /// What a full bucket holds.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// What is in it.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Refills up to now.
    pub fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at);
        self.level = (self.level + self.rate() * elapsed.as_secs_f64()).min(self.limit);
        self.at = now;
    }

    /// Takes out, also more than is in it; negative puts back.
    pub fn take(&mut self, amount: f64) {
        self.level = (self.level - amount).min(self.limit);
    }

    /// How long until so much can be taken. More than the bucket holds can be
    /// taken when it is full.
    pub fn ready_in(&self, amount: f64) -> Duration {
        let missing = amount.min(self.limit) - self.level;
        if missing <= 0.0 || amount <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(missing / self.rate()).unwrap_or(Duration::MAX)
    }

    /// How long until several calls that need so much together have had their
    /// turns, while others take so much a second before them.
    pub fn ready_in_turn(&self, amount: f64, others: f64) -> Duration {
        let missing = amount - self.level;
        if missing <= 0.0 || amount <= 0.0 {
            return Duration::ZERO;
        }
        let left = (self.rate() - others).max(self.rate() * LEAST_LEFT);
        Duration::try_from_secs_f64(missing / left).unwrap_or(Duration::MAX)
    }

    /// Believes the API where it differs from our own count, since others may
    /// use the same key. The API took its figure some time between the charge
    /// (when our count was `at_charge`) and now, so anything between our two
    /// counts agrees with it.
    pub fn correct(&mut self, told: &limits::Bucket, at_charge: f64) {
        self.limit = told.limit as f64;
        let told = told.remaining as f64;
        let (low, high) = (at_charge.min(self.level), at_charge.max(self.level));
        if told < low - self.rounding {
            self.level -= low - told;
        } else if told > high + self.rounding {
            self.level += told - high;
        }
        self.level = self.level.min(self.limit);
    }

    /// The same of an answer that refused a call: the API has not charged it,
    /// and here it is going to be given back. That too little is left for it is
    /// exact, whatever is rounded: else each next call would be too early by as
    /// much again.
    pub fn correct_refused(&mut self, told: &limits::Bucket, at_charge: f64, charged: f64) {
        self.level += charged;
        self.correct(told, at_charge + charged);
        let told = told.remaining as f64;
        if told < charged.min(self.limit) {
            self.level = self.level.min(told);
        }
        self.level -= charged;
    }

    fn rate(&self) -> f64 {
        (self.limit / PERIOD.as_secs_f64()).max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(limit: u64, remaining: u64) -> limits::Bucket {
        limits::Bucket { limit, remaining }
    }

    #[tokio::test(start_paused = true)]
    async fn it_refills_over_a_minute() {
        let mut bucket = Bucket::new(&told(60, 0), 0.0, Instant::now());
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
        let mut bucket = Bucket::new(&told(1000, 500), 1.0, Instant::now());
        bucket.take(100.0);
        // Anything between the count at the charge and the count of now.
        bucket.correct(&told(1000, 450), 500.0);
        assert_eq!(bucket.level(), 400.0);
        bucket.correct(&told(1000, 300), 400.0);
        assert_eq!(bucket.level(), 300.0);
        bucket.correct(&told(1000, 900), 400.0);
        assert_eq!(bucket.level(), 800.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_tells_exactly_that_too_little_is_left() {
        let mut bucket = Bucket::new(&told(60, 1), 1.0, Instant::now());
        bucket.take(1.0);
        // No more off than by rounding, and still too much.
        bucket.correct_refused(&told(60, 0), 0.0, 1.0);
        bucket.take(-1.0);
        assert_eq!(bucket.level(), 0.0);
        // Where there was room, nothing is concluded from it.
        let mut bucket = Bucket::new(&told(60, 40), 1.0, Instant::now());
        bucket.take(10.0);
        bucket.correct_refused(&told(60, 40), 30.0, 10.0);
        assert_eq!(bucket.level(), 30.0);
    }
}
