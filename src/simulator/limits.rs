//! Rate limits: token buckets for each API key and model.
//!
//! A bucket holds one minute's worth and refills continuously. Output is
//! charged by `max_tokens` when a request begins and settled when it ends.

use super::config::SimulatorLimitsConfig;
use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// Figures that the headers tell when there is no limit.
const GENEROUS_REQUESTS: u64 = 100_000;
const GENEROUS_TOKENS: u64 = 100_000_000;

/// Most pairs of key and model that are kept apart.
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

/// The three buckets of one key and model.
#[derive(Debug)]
struct KeyBuckets {
    requests: Bucket,
    input: Bucket,
    output: Bucket,
}

/// A bucket: what it holds is `level` at `at`, and grows from there.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// What it holds when full, and how much flows in a minute; 0 is no limit.
    limit: u64,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn new(limit: u64) -> Self {
        Bucket {
            limit,
            level: limit as f64,
            at: Instant::now(),
        }
    }

    fn per_second(&self) -> f64 {
        self.limit as f64 / 60.0
    }

    fn refill(&mut self) {
        let now = Instant::now();
        let flown = (now - self.at).as_secs_f64() * self.per_second();
        self.level = (self.level + flown).min(self.limit as f64);
        self.at = now;
    }

    /// What is charged for an amount: a request that wants more than there can
    /// ever be waits for the full bucket.
    fn charge(&self, amount: u64) -> f64 {
        amount.min(self.limit) as f64
    }

    /// How long until an amount fits; `None` when it does now.
    fn wait(&self, amount: u64) -> Option<Duration> {
        let missing = self.charge(amount) - self.level;
        // A bucket is full again a rounding error below its limit.
        (self.limit > 0 && missing > 1e-6)
            .then(|| Duration::from_secs_f64(missing / self.per_second()))
    }

    fn left(&self) -> BucketHeaders {
        let until_full = match self.limit {
            0 => 0.0,
            _ => (self.limit as f64 - self.level).max(0.0) / self.per_second(),
        };
        BucketHeaders {
            limit: self.limit,
            remaining: self.level.max(0.0) as u64,
            until_full: Duration::from_secs_f64(until_full),
        }
    }
}

/// What is left of one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct BucketHeaders {
    limit: u64,
    remaining: u64,
    until_full: Duration,
}

/// What the headers tell of the limits.
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
    /// What the headers tell.
    pub(super) remaining: RateLimitHeaders,
}

/// Output that has been charged by `max_tokens`; dropping it gives back what
/// was not used.
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

    /// Charges a request.
    ///
    /// # Errors
    /// When one of the buckets does not hold enough; then none is charged.
    pub(super) fn charge(
        &self,
        key: &str,
        model: &str,
        input: u64,
        max_tokens: u64,
    ) -> Result<(OutputReservation, RateLimitHeaders), Box<RateLimitExceeded>> {
        if self.config == SimulatorLimitsConfig::default() {
            let charged = OutputReservation {
                account: None,
                output: 0.0,
                used: 0,
            };
            return Ok((charged, RateLimitHeaders::unlimited()));
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
        let output = account.output.charge(max_tokens);
        account.requests.level -= account.requests.charge(1);
        account.input.level -= account.input.charge(input);
        account.output.level -= output;
        let remaining = account.remaining();
        drop(account);
        let charged = OutputReservation {
            account: Some(shared),
            output,
            used: 0,
        };
        Ok((charged, remaining))
    }

    fn account(&self, key: &str, model: &str) -> SharedBuckets {
        let mut accounts = self.accounts.lock();
        if accounts.len() >= MAX_ACCOUNTS {
            // An account that nobody holds and that is full is like a new one.
            accounts
                .retain(|_, account| Arc::strong_count(account) > 1 || !account.lock().is_full());
        }
        let new = || {
            Arc::new(Mutex::new(KeyBuckets {
                requests: Bucket::new(self.config.requests_per_minute),
                input: Bucket::new(self.config.input_tokens_per_minute),
                output: Bucket::new(self.config.output_tokens_per_minute),
            }))
        };
        let account = accounts.entry((key.to_owned(), model.to_owned()));
        Arc::clone(account.or_insert_with(new))
    }
}

impl KeyBuckets {
    fn buckets(&mut self) -> [&mut Bucket; 3] {
        [&mut self.requests, &mut self.input, &mut self.output]
    }

    fn refill(&mut self) {
        self.buckets().into_iter().for_each(Bucket::refill);
    }

    fn is_full(&mut self) -> bool {
        self.refill();
        self.buckets()
            .iter()
            .all(|bucket| bucket.level >= bucket.limit as f64)
    }

    /// The longest wait, and for which limit.
    fn waits(&mut self, input: u64, max_tokens: u64) -> Option<(&'static str, Duration)> {
        self.refill();
        [
            ("requests", self.requests.wait(1)),
            ("input tokens", self.input.wait(input)),
            ("output tokens", self.output.wait(max_tokens)),
        ]
        .into_iter()
        .filter_map(|(what, wait)| Some((what, wait?)))
        .max_by_key(|(_, wait)| *wait)
    }

    fn remaining(&self) -> RateLimitHeaders {
        RateLimitHeaders {
            requests: self.requests.left(),
            input: self.input.left(),
            output: self.output.left(),
        }
    }
}

impl Drop for OutputReservation {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            let mut account = account.lock();
            let output = &mut account.output;
            output.refill();
            let unused = self.output - output.charge(self.used);
            output.level = (output.level + unused).min(output.limit as f64);
        }
    }
}

impl RateLimitHeaders {
    /// When there are no limits.
    pub(super) fn unlimited() -> Self {
        RateLimitHeaders::default()
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

/// Names of the headers that tell the limit, what remains and when it is full.
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
            drop(limiter.charge("key", "model", 1, 1).unwrap());
        }
        let refused = limiter.charge("key", "model", 1, 1).unwrap_err();
        assert_eq!(refused.what, "requests");
        assert_eq!(refused.retry_after, Duration::from_secs(1));
        assert!(limiter.charge("other", "model", 1, 1).is_ok());
        assert!(limiter.charge("key", "other", 1, 1).is_ok());
        tokio::time::advance(Duration::from_millis(500)).await;
        let refused = limiter.charge("key", "model", 1, 1).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_millis(500));
        tokio::time::advance(refused.retry_after).await;
        assert!(limiter.charge("key", "model", 1, 1).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn output_is_charged_by_max_tokens_and_settled_by_use() {
        let limiter = limiter();
        let (mut charged, remaining) = limiter.charge("key", "model", 10, 600).unwrap();
        assert_eq!(remaining.output.remaining, 0);
        let refused = limiter.charge("key", "model", 10, 300).unwrap_err();
        assert_eq!(refused.what, "output tokens");
        assert_eq!(refused.retry_after, Duration::from_secs(30));
        charged.used = 100;
        drop(charged);
        let (_charged, remaining) = limiter.charge("key", "model", 10, 300).unwrap();
        assert_eq!(remaining.output.remaining, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_a_bucket_holds_takes_the_whole_bucket() {
        let limiter = limiter();
        let (charged, _) = limiter.charge("key", "model", 1_000_000, 1).unwrap();
        drop(charged);
        let refused = limiter.charge("key", "model", 1_000_000, 1).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(60));
    }
}
