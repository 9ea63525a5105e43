//! Rate limits: token buckets for each API key and model.
//!
//! A bucket holds one minute's worth and refills continuously. Output is
//! reserved according to `max_tokens` when a request begins and settled when it ends.

use super::config::SimulatorLimitsConfig;
use crate::token_bucket::TokenBucket;
use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// Limits that the headers state where there is none.
const GENEROUS_REQUESTS: u64 = 100_000;
const GENEROUS_TOKENS: u64 = 100_000_000;

/// Maximum pairs of key and model with buckets of their own.
const MAX_ACCOUNTS: usize = 10_000;

/// The buckets of every key and model.
#[derive(Debug)]
pub(super) struct Limiter {
    config: SimulatorLimitsConfig,
    accounts: Mutex<HashMap<KeyAndModel, SharedBuckets>>,
}

/// API key and model.
type KeyAndModel = (String, String);

type SharedBuckets = Arc<Mutex<KeyBuckets>>;

/// The three buckets of one key and model. A limit of 0 means unlimited.
#[derive(Debug)]
struct KeyBuckets {
    requests: TokenBucket,
    input: TokenBucket,
    output: TokenBucket,
    /// When the buckets were refilled last.
    at: Instant,
}

/// What the headers say of one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct BucketHeaders {
    limit: u64,
    remaining: u64,
    until_full: Duration,
}

/// The `anthropic-ratelimit-…` headers of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RateLimitHeaders {
    requests: BucketHeaders,
    input: BucketHeaders,
    output: BucketHeaders,
}

/// A request that is too much for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RateLimitExceeded {
    /// The limit, as an error message names it.
    pub(super) what: &'static str,
    /// When the request would fit.
    pub(super) retry_after: Duration,
    /// The headers of the refusal.
    pub(super) remaining: RateLimitHeaders,
}

/// Output tokens reserved according to `max_tokens`; dropping it returns those
/// that were not used.
#[derive(Debug)]
pub(super) struct OutputReservation {
    account: Option<SharedBuckets>,
    output: f64,
    /// Output tokens of the answer.
    pub(super) used: u64,
}

impl Limiter {
    pub(super) fn new(config: SimulatorLimitsConfig) -> Self {
        Limiter {
            config,
            accounts: Mutex::default(),
        }
    }

    /// Takes a request, its input and its `max_tokens` from the buckets.
    ///
    /// # Errors
    /// When one of the buckets does not hold enough; then nothing is taken.
    pub(super) fn reserve(
        &self,
        key: &str,
        model: &str,
        input: u64,
        max_tokens: u64,
    ) -> Result<(OutputReservation, RateLimitHeaders), Box<RateLimitExceeded>> {
        if self.config == SimulatorLimitsConfig::default() {
            let reservation = OutputReservation {
                account: None,
                output: 0.0,
                used: 0,
            };
            return Ok((reservation, RateLimitHeaders::unlimited()));
        }
        let shared = self.account(key, model);
        let mut account = shared.lock();
        let waits = account.waits(input, max_tokens);
        if let Some((what, retry_after)) = waits {
            return Err(Box::new(RateLimitExceeded {
                what,
                retry_after,
                remaining: account.remaining(),
            }));
        }
        let requests = charge(&account.requests, 1);
        let input = charge(&account.input, input);
        let output = charge(&account.output, max_tokens);
        account.requests.take(requests);
        account.input.take(input);
        account.output.take(output);
        let remaining = account.remaining();
        drop(account);
        let reservation = OutputReservation {
            account: Some(shared),
            output,
            used: 0,
        };
        Ok((reservation, remaining))
    }

    fn account(&self, key: &str, model: &str) -> SharedBuckets {
        let mut accounts = self.accounts.lock();
        if accounts.len() >= MAX_ACCOUNTS {
            // A full account without a request in flight is like a new one.
            accounts
                .retain(|_, account| Arc::strong_count(account) > 1 || !account.lock().is_full());
        }
        let full = |limit: u64| TokenBucket::full(limit as f64);
        let new = || {
            Arc::new(Mutex::new(KeyBuckets {
                requests: full(self.config.requests_per_minute),
                input: full(self.config.input_tokens_per_minute),
                output: full(self.config.output_tokens_per_minute),
                at: Instant::now(),
            }))
        };
        let account = accounts.entry((key.to_owned(), model.to_owned()));
        Arc::clone(account.or_insert_with(new))
    }
}

impl KeyBuckets {
    fn refill(&mut self) {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.at);
        for bucket in [&mut self.requests, &mut self.input, &mut self.output] {
            bucket.refill(elapsed);
        }
        self.at = now;
    }

    fn is_full(&mut self) -> bool {
        self.refill();
        [self.requests, self.input, self.output]
            .iter()
            .all(|bucket| bucket.full_in().is_zero())
    }

    /// The longest wait, and for which limit.
    fn waits(&mut self, input: u64, max_tokens: u64) -> Option<(&'static str, Duration)> {
        self.refill();
        [
            ("requests", self.requests.ready_in(1.0)),
            ("input tokens", self.input.ready_in(input as f64)),
            ("output tokens", self.output.ready_in(max_tokens as f64)),
        ]
        .into_iter()
        .filter(|(_, wait)| !wait.is_zero())
        .max_by_key(|(_, wait)| *wait)
    }

    fn remaining(&self) -> RateLimitHeaders {
        RateLimitHeaders {
            requests: BucketHeaders::of(&self.requests),
            input: BucketHeaders::of(&self.input),
            output: BucketHeaders::of(&self.output),
        }
    }
}

impl Drop for OutputReservation {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            let mut account = account.lock();
            account.refill();
            let unused = self.output - charge(&account.output, self.used);
            account.output.take(-unused);
        }
    }
}

/// What an amount is charged: a request for more than a bucket can hold is
/// charged the whole bucket.
fn charge(bucket: &TokenBucket, amount: u64) -> f64 {
    (amount as f64).min(bucket.limit())
}

impl RateLimitHeaders {
    /// When there are no limits.
    pub(super) fn unlimited() -> Self {
        RateLimitHeaders::default()
    }

    /// Removes the `anthropic-ratelimit-…` headers.
    pub(super) fn remove(headers: &mut HeaderMap) {
        for name in [REQUESTS, INPUT, OUTPUT, TOKENS].iter().flatten() {
            headers.remove(*name);
        }
    }

    /// Writes the `anthropic-ratelimit-…` headers.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let tokens = BucketHeaders {
            limit: self.input.limit_or(GENEROUS_TOKENS) + self.output.limit_or(GENEROUS_TOKENS),
            remaining: self.input.remaining_or(GENEROUS_TOKENS)
                + self.output.remaining_or(GENEROUS_TOKENS),
            until_full: self.input.until_full.max(self.output.until_full),
        };
        self.requests
            .write(headers, &REQUESTS, GENEROUS_REQUESTS, 1);
        self.input.write(headers, &INPUT, GENEROUS_TOKENS, 1000);
        self.output.write(headers, &OUTPUT, GENEROUS_TOKENS, 1000);
        tokens.write(headers, &TOKENS, GENEROUS_TOKENS, 1000);
    }
}

/// Names of the headers for the limit, what remains and when it is full.
type Names = [&'static str; 3];

const REQUESTS: Names = [
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
];
const INPUT: Names = [
    "anthropic-ratelimit-input-tokens-limit",
    "anthropic-ratelimit-input-tokens-remaining",
    "anthropic-ratelimit-input-tokens-reset",
];
const OUTPUT: Names = [
    "anthropic-ratelimit-output-tokens-limit",
    "anthropic-ratelimit-output-tokens-remaining",
    "anthropic-ratelimit-output-tokens-reset",
];
const TOKENS: Names = [
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
];

impl BucketHeaders {
    fn of(bucket: &TokenBucket) -> Self {
        BucketHeaders {
            limit: bucket.limit() as u64,
            remaining: bucket.level().max(0.0) as u64,
            until_full: bucket.full_in(),
        }
    }

    fn limit_or(&self, generous: u64) -> u64 {
        if self.limit == 0 {
            generous
        } else {
            self.limit
        }
    }

    fn remaining_or(&self, generous: u64) -> u64 {
        if self.limit == 0 {
            generous
        } else {
            self.remaining
        }
    }

    fn write(&self, headers: &mut HeaderMap, names: &Names, generous: u64, round_to: u64) {
        let [limit, remaining, reset] = *names;
        let rounded = (self.remaining_or(generous) + round_to / 2) / round_to * round_to;
        headers.insert(limit, HeaderValue::from(self.limit_or(generous)));
        headers.insert(remaining, HeaderValue::from(rounded));
        // In whole seconds, rounded up.
        let full_at = SystemTime::now() + self.until_full + Duration::from_nanos(999_999_999);
        let full_at = humantime::format_rfc3339_seconds(full_at).to_string();
        if let Ok(full_at) = HeaderValue::from_str(&full_at) {
            headers.insert(reset, full_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter() -> Limiter {
        Limiter::new(SimulatorLimitsConfig {
            requests_per_minute: 60,
            input_tokens_per_minute: 6000,
            output_tokens_per_minute: 600,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_refills_continuously() {
        let limiter = limiter();
        for _ in 0..60 {
            drop(limiter.reserve("key", "model", 1, 1).unwrap());
        }
        let refused = limiter.reserve("key", "model", 1, 1).unwrap_err();
        assert_eq!(refused.what, "requests");
        assert_eq!(refused.retry_after, Duration::from_secs(1));
        assert!(limiter.reserve("other", "model", 1, 1).is_ok());
        assert!(limiter.reserve("key", "other", 1, 1).is_ok());
        tokio::time::advance(Duration::from_millis(500)).await;
        let refused = limiter.reserve("key", "model", 1, 1).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_millis(500));
        tokio::time::advance(refused.retry_after).await;
        assert!(limiter.reserve("key", "model", 1, 1).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn output_is_charged_by_max_tokens_and_settled_by_use() {
        let limiter = limiter();
        let (mut reservation, remaining) = limiter.reserve("key", "model", 10, 600).unwrap();
        assert_eq!(remaining.output.remaining, 0);
        let refused = limiter.reserve("key", "model", 10, 300).unwrap_err();
        assert_eq!(refused.what, "output tokens");
        assert_eq!(refused.retry_after, Duration::from_secs(30));
        reservation.used = 100;
        drop(reservation);
        let (_reservation, remaining) = limiter.reserve("key", "model", 10, 300).unwrap();
        assert_eq!(remaining.output.remaining, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_a_bucket_holds_takes_the_whole_bucket() {
        let limiter = limiter();
        let (reservation, _) = limiter.reserve("key", "model", 1_000_000, 1).unwrap();
        drop(reservation);
        let refused = limiter.reserve("key", "model", 1_000_000, 1).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(60));
    }
}
