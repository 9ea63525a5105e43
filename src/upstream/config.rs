//! `[upstream]`: the way to the Claude API.

use crate::claude;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The API's address, and how it is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Address of the API, without `/v1`.
    pub base_url: String,
    /// Value of the `anthropic-version` header.
    pub api_version: String,
    /// Most calls in flight to the API at once, streams included.
    pub max_in_flight: usize,
    /// Longest time a call waits for one of these places before it is shed.
    #[serde(with = "humantime_serde")]
    pub place_timeout: Duration,
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
    /// them, instead of being sent to be refused.
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
    pub first_backoff: Duration,
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
    pub budget_share: f32,
    /// Retries a second that are allowed in any case.
    pub budget_floor: u32,
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
    pub open_for: Duration,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        UpstreamConfig {
            base_url: "https://api.anthropic.com".to_owned(),
            api_version: claude::API_VERSION.to_owned(),
            max_in_flight: 200,
            place_timeout: Duration::from_secs(5),
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
            open_for: Duration::from_secs(60),
        }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig {
            max_retries: 3,
            // The figures of the official SDKs.
            first_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(8),
            max_retry_after: Duration::from_secs(60),
            budget_share: 0.2,
            budget_floor: 10,
        }
    }
}
