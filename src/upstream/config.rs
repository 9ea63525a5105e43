//! `[upstream]`: the way to the Claude API.

use crate::claude;
use http::HeaderValue;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};
use tokio::sync::Semaphore;

/// No time is longer than this, so that adding them up cannot overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The API's address, and how it is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Address of the API, without `/v1`.
    pub base_url: String,
    /// File with the API key, or with several, one a line. The variables
    /// `ANTHROPIC_API_KEY_FILE` and `CLAUDE_API_KEY_FILE` go before it,
    /// `ANTHROPIC_API_KEY` and `CLAUDE_API_KEY` come after it.
    pub api_key_file: Option<PathBuf>,
    /// Value of the `anthropic-version` header.
    pub api_version: String,
    /// Most calls in flight to the API at once, streams included.
    pub max_in_flight: usize,
    /// Maximum time that a call waits for a permit before it is shed.
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
    /// Longest time to make a connection.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest time that sent bytes may go unacknowledged (TCP_USER_TIMEOUT,
    /// so on Linux only).
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// Longest silence while an answer is awaited or read.
    #[serde(with = "humantime_serde")]
    pub read_timeout: Duration,
    /// Idle connections kept.
    pub max_idle_connections: usize,
    /// How long an idle connection is kept.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How failed attempts are repeated.
    pub retry: RetryConfig,
    /// When calls fail at once because the API does.
    pub breaker: BreakerConfig,
    /// Whether calls are held back until the API's own limits have room for
    /// them, instead of being sent to be refused. Replicas do so together
    /// when `limits.store` is a Redis.
    pub pacing: bool,
}

/// How failed attempts are repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// Most attempts after the first.
    pub max_retries: u32,
    /// Upper bound of the first backoff; it doubles with each retry. The
    /// backoff itself is drawn evenly from 0 to the bound (full jitter).
    #[serde(with = "humantime_serde")]
    pub initial_backoff: Duration,
    /// Highest that the bound gets.
    #[serde(with = "humantime_serde")]
    pub max_backoff: Duration,
    /// The longest `retry-after` that is waited for; a longer one goes to the
    /// caller instead.
    #[serde(with = "humantime_serde")]
    pub max_retry_after: Duration,
    /// Retries allowed as a share of the calls that succeeded in the last ten
    /// seconds, so that retries cannot double an outage. More than 0, at most
    /// 1.
    pub budget_ratio: f32,
    /// Retries a second that are allowed in any case.
    pub min_retries_per_second: u32,
}

/// When calls fail at once because the API does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// Calls that fail one after the other, after their retries.
    pub consecutive_failures: u32,
    /// Or: the share of the calls in the window that fail, more than 0 and at
    /// most 1,
    pub failure_rate: f64,
    /// when there were at least so many.
    pub min_calls: u32,
    /// The window.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// How long calls then fail at once, before one of them is let through to
    /// see whether the API is back.
    #[serde(with = "humantime_serde")]
    pub open_duration: Duration,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        UpstreamConfig {
            base_url: "https://api.anthropic.com".to_owned(),
            api_key_file: None,
            api_version: claude::API_VERSION.to_owned(),
            max_in_flight: 200,
            acquire_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            max_idle_connections: 50,
            idle_timeout: Duration::from_secs(300),
            retry: RetryConfig::default(),
            breaker: BreakerConfig::default(),
            pacing: true,
        }
    }
}

impl Default for BreakerConfig {
    fn default() -> Self {
        BreakerConfig {
            consecutive_failures: 5,
            failure_rate: 0.5,
            min_calls: 20,
            window: Duration::from_secs(30),
            open_duration: Duration::from_secs(60),
        }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig {
            max_retries: 3,
            // The figures of the official SDKs.
            initial_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(8),
            max_retry_after: Duration::from_secs(60),
            budget_ratio: 0.2,
            min_retries_per_second: 10,
        }
    }
}

impl UpstreamConfig {
    /// Checks what the types do not say. `wrong` is told the key and the
    /// problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if let Err(problem) = base_url(&self.base_url) {
            wrong("base_url", problem.to_owned());
        }
        if self.api_version.is_empty() || HeaderValue::from_str(&self.api_version).is_err() {
            let problem = "has to be text that an HTTP header can carry";
            wrong("api_version", problem.to_owned());
        }
        if self.max_in_flight == 0 || self.max_in_flight > Semaphore::MAX_PERMITS {
            let most = Semaphore::MAX_PERMITS;
            wrong("max_in_flight", format!("has to be from 1 to {most}"));
        }
        for (key, time, may_be_zero) in [
            ("acquire_timeout", self.acquire_timeout, true),
            ("connect_timeout", self.connect_timeout, false),
            ("write_timeout", self.write_timeout, false),
            ("read_timeout", self.read_timeout, false),
            ("idle_timeout", self.idle_timeout, true),
            ("retry.initial_backoff", self.retry.initial_backoff, true),
            ("retry.max_backoff", self.retry.max_backoff, true),
            ("retry.max_retry_after", self.retry.max_retry_after, true),
            ("breaker.window", self.breaker.window, false),
            ("breaker.open_duration", self.breaker.open_duration, false),
        ] {
            if time > LONGEST || (time.is_zero() && !may_be_zero) {
                let least = if may_be_zero { "" } else { "more than 0 and " };
                wrong(key, format!("has to be {least}at most a year"));
            }
        }
        self.retry.check(wrong);
        self.breaker.check(wrong);
    }
}

impl BreakerConfig {
    fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if self.consecutive_failures == 0 {
            wrong(
                "breaker.consecutive_failures",
                "has to be at least 1".to_owned(),
            );
        }
        if !(self.failure_rate > 0.0 && self.failure_rate <= 1.0) {
            let problem = "has to be more than 0 and at most 1";
            wrong("breaker.failure_rate", problem.to_owned());
        }
        if self.min_calls == 0 {
            wrong("breaker.min_calls", "has to be at least 1".to_owned());
        }
    }
}

impl RetryConfig {
    fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if self.max_backoff < self.initial_backoff {
            let problem = "has to be at least upstream.retry.initial_backoff";
            wrong("retry.max_backoff", problem.to_owned());
        }
        // Not `<= 0.0 || > 1.0`: NaN is in no range.
        if !(self.budget_ratio > 0.0 && self.budget_ratio <= 1.0) {
            let problem = "has to be more than 0 and at most 1";
            wrong("retry.budget_ratio", problem.to_owned());
        }
        // `TpsBudget` panics at more.
        let most = i32::MAX.unsigned_abs() - 1;
        if self.min_retries_per_second > most {
            wrong(
                "retry.min_retries_per_second",
                format!("has to be at most {most}"),
            );
        }
    }
}

/// The problem of an address does not show the address: a password may be in
/// it.
fn base_url(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text).map_err(|_| "is no address such as https://api.anthropic.com")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("has to be an http or https address");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a name or a password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or a fragment");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(change: impl FnOnce(&mut UpstreamConfig)) -> Vec<String> {
        let mut config = UpstreamConfig::default();
        change(&mut config);
        let mut keys = Vec::new();
        config.check(&mut |key, _| keys.push(key.to_owned()));
        keys
    }

    #[test]
    fn what_would_break_is_named() {
        assert!(wrong(|_| {}).is_empty());
        assert!(wrong(|config| config.acquire_timeout = Duration::ZERO).is_empty());
        let zero = wrong(|config| config.read_timeout = Duration::ZERO);
        assert_eq!(zero, ["read_timeout"]);
        assert_eq!(wrong(|config| config.max_in_flight = 0), ["max_in_flight"]);
        for share in [0.0, 1.1, -1.0, f32::NAN, f32::INFINITY] {
            let keys = wrong(|config| config.retry.budget_ratio = share);
            assert_eq!(keys, ["retry.budget_ratio"], "{share}");
        }
        let keys = wrong(|config| config.retry.min_retries_per_second = i32::MAX.unsigned_abs());
        assert_eq!(keys, ["retry.min_retries_per_second"]);
        let keys = wrong(|config| config.retry.max_backoff = Duration::from_millis(1));
        assert_eq!(keys, ["retry.max_backoff"]);
        let keys = wrong(|config| config.api_version = "2023\n".to_owned());
        assert_eq!(keys, ["api_version"]);
    }

    #[test]
    fn the_address_is_one_that_can_be_called() {
        for good in [
            "https://api.anthropic.com",
            "http://127.0.0.1:80",
            "https://a.b/c/",
        ] {
            assert_eq!(base_url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "api.anthropic.com",
            "ftp://a",
            "https://",
            "https://me:hush@a",
        ] {
            let problem = base_url(bad).unwrap_err();
            assert!(!problem.contains("hush"), "{problem}");
        }
    }
}
