//! `[upstream]`: how the Claude API is called.

use super::{
    ApiHeaders,
    hosts::{self, HostConfig, RouteConfig},
    is_name,
};
use crate::{claude, duration_limits};
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};
use tokio::sync::Semaphore;

/// The Claude API: its address, timeouts, connections and concurrency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Base URL of the Claude API, `http` or `https`, without `/v1`. Must not
    /// contain credentials, a query or a fragment.
    pub base_url: String,
    /// File with one or more API keys, one per line. Must be readable by its owner
    /// only, or by its group if root owns it. The variables
    /// `ANTHROPIC_API_KEY_FILE` and `CLAUDE_API_KEY_FILE` take precedence over
    /// it, and it takes precedence over `ANTHROPIC_API_KEY` and
    /// `CLAUDE_API_KEY`. It is reloaded within seconds when it changes.
    pub api_key_file: Option<PathBuf>,
    /// File with CAs (PEM) that certificates of the API may be signed by, in
    /// addition to the CAs of the system: the CA of a proxy that inspects TLS, for
    /// example. It is read at the start.
    pub ca_file: Option<PathBuf>,
    /// Value of the `anthropic-version` header of every request.
    pub api_version: String,
    /// Names of the betas of every request (`anthropic-beta`), each of 1 to 128
    /// printable ASCII characters without commas. Those of a call
    /// (`service.passthrough.betas`) are added.
    pub betas: Vec<String>,
    /// Id of the workspace of every request (`anthropic-workspace-id`), for keys that
    /// are valid in several. That of a call (`service.passthrough.workspaces`) takes
    /// precedence.
    pub workspace_id: Option<String>,
    /// Id of the user profile of every request (`anthropic-user-profile-id`). That of a
    /// call (`service.passthrough.user_profiles`) takes precedence.
    pub user_profile_id: Option<String>,
    /// The hosts that Claude is called at, if there is another one than the Claude API
    /// of `base_url`. A host of the kind `claude` is that API.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostConfig>,
    /// Which hosts serve which RPCs. Unset, all hosts serve all of them, in their
    /// order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteConfig>,
    /// Maximum number of concurrent calls to the API, streams included; at least
    /// one. Further calls wait for a permit, up to `acquire_timeout`; tenants take
    /// turns by the `weight` of the clients file, and one may hold at most 16 times
    /// its weight as many permits as are free: alone, 189 of 200. Without a clients
    /// file, peers do.
    pub max_in_flight: usize,
    /// Maximum time that a call waits for a concurrency permit before it is
    /// shed. `0s` sheds it immediately.
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
    /// Maximum time to establish a connection, TLS handshake included. Must be
    /// greater than 0.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Maximum time that sent data may remain unacknowledged before the
    /// connection is closed (`TCP_USER_TIMEOUT`, Linux only). Must be greater
    /// than 0.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// Maximum time without received data, while waiting for a response and
    /// while reading it. A response that the API sends in one piece may take
    /// longer to begin, by the time that `max_tokens` tokens may take (at
    /// 128,000 tokens an hour). Must be greater than 0.
    #[serde(with = "humantime_serde")]
    pub read_timeout: Duration,
    /// Maximum number of HTTP/2 connections to the API; at least 1. They are
    /// opened when the streams that the API allows on the open ones are not
    /// enough: an API that allows one needs as many as `max_in_flight`. Over
    /// HTTP/1.1, each concurrent call has a connection of its own.
    pub max_connections: usize,
    /// Maximum number of idle connections in the pool. 0 disables connection
    /// reuse.
    pub max_idle_connections: usize,
    /// Time after which an idle connection is closed.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Maximum time that a call whose prompt begins with a marked prefix waits for the
    /// first call with the same one, so that it reads from the prompt cache what that
    /// has written. It is never longer than half of the time that the call has left.
    /// `0s` lets all calls go at once.
    #[serde(with = "humantime_serde")]
    pub prompt_cache_wait: Duration,
    /// Retries of failed attempts.
    pub retry: RetryConfig,
    /// Circuit breaker, which fails calls fast during an outage of the API.
    pub breaker: BreakerConfig,
    /// Whether to delay calls until the rate limits of the API allow them,
    /// instead of sending them to be rejected with 429. Tenants take turns by the
    /// `weight` of the clients file. Replicas share the state of the limits if
    /// `limits.store` is Redis.
    pub pacing: bool,
}

/// Retries of failed attempts, with exponential backoff and a retry budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// Maximum number of retries per call, after the first attempt. 0 disables
    /// retries.
    pub max_retries: u32,
    /// Upper bound of the first backoff; it doubles with each retry. The actual
    /// backoff is random between 0 and the bound (full jitter).
    #[serde(with = "humantime_serde")]
    pub initial_backoff: Duration,
    /// Maximum of the upper bound of the backoff. Must be at least
    /// `initial_backoff`.
    #[serde(with = "humantime_serde")]
    pub max_backoff: Duration,
    /// Maximum `retry-after` of the API to wait for. If the API asks for a
    /// longer wait, the call fails and passes it on in `RetryInfo`, up to an
    /// hour.
    #[serde(with = "humantime_serde")]
    pub max_retry_after: Duration,
    /// Retry budget: the maximum ratio of retries to successful calls of the
    /// last 10 seconds, so that retries cannot amplify an outage. Must be greater
    /// than 0 and at most 1.
    pub budget_ratio: f32,
    /// Minimum number of retries per second that are allowed regardless of
    /// `budget_ratio`.
    pub min_retries_per_second: u32,
}

/// Circuit breaker: while the API is failing, calls fail immediately. It has a
/// circuit for each configured or priced model, one for all other models, and
/// one for the connection. It counts calls after their retries; errors that the
/// caller or a rate limit causes, and answers that cannot be read, do not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// Number of consecutive failed calls that opens the breaker; at least 1.
    pub consecutive_failures: u32,
    /// Ratio of failed calls within `window` that opens the breaker, once there
    /// were `min_calls` calls. Must be greater than 0 and at most 1.
    pub failure_rate: f64,
    /// Minimum number of calls within `window` before `failure_rate` applies; at
    /// least 1.
    pub min_calls: u32,
    /// Sliding window over which `failure_rate` is measured. Must be greater
    /// than 0.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// Time that the breaker stays open before it lets a single call through as
    /// a probe. Must be greater than 0.
    #[serde(with = "humantime_serde")]
    pub open_duration: Duration,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        UpstreamConfig {
            base_url: "https://api.anthropic.com".to_owned(),
            api_key_file: None,
            ca_file: None,
            api_version: claude::API_VERSION.to_owned(),
            betas: Vec::new(),
            workspace_id: None,
            user_profile_id: None,
            hosts: Vec::new(),
            routes: Vec::new(),
            max_in_flight: 200,
            acquire_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            max_connections: 200,
            max_idle_connections: 50,
            idle_timeout: Duration::from_secs(300),
            prompt_cache_wait: Duration::from_secs(10),
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
    /// The headers of every request.
    pub fn headers(&self) -> ApiHeaders {
        let mut headers = ApiHeaders {
            workspace: self.workspace_id.clone(),
            user_profile: self.user_profile_id.clone(),
            ..ApiHeaders::default()
        };
        self.betas.iter().for_each(|beta| headers.add_beta(beta));
        headers
    }

    /// Validates what the types do not express. Calls `wrong` with the key and
    /// the problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if let Err(problem) = hosts::base_url(&self.base_url) {
            wrong("base_url", problem.to_owned());
        }
        hosts::check(&self.base_url, &self.hosts, &self.routes, wrong);
        for (index, host) in self.hosts.iter().enumerate() {
            if !self.pacing && !host.rate_limits.is_empty() {
                let problem = "must not be set without upstream.pacing";
                wrong(&format!("hosts.{index}.rate_limits"), problem.to_owned());
            }
        }
        if self.api_version.is_empty() || HeaderValue::from_str(&self.api_version).is_err() {
            let problem = "must be a valid HTTP header value";
            wrong("api_version", problem.to_owned());
        }
        for beta in &self.betas {
            if !is_name(beta) {
                wrong("betas", format!("invalid name {beta:?}"));
            }
        }
        for (key, id) in [
            ("workspace_id", &self.workspace_id),
            ("user_profile_id", &self.user_profile_id),
        ] {
            if id.as_deref().is_some_and(|id| !is_name(id)) {
                let problem =
                    "must be 1 to 128 printable ASCII characters without commas and spaces";
                wrong(key, problem.to_owned());
            }
        }
        if self.max_in_flight == 0 || self.max_in_flight > Semaphore::MAX_PERMITS {
            let maximum = Semaphore::MAX_PERMITS;
            wrong("max_in_flight", format!("must be between 1 and {maximum}"));
        }
        if self.max_connections == 0 {
            wrong("max_connections", "must be at least 1".to_owned());
        }
        let durations = [
            ("acquire_timeout", self.acquire_timeout, true),
            ("connect_timeout", self.connect_timeout, false),
            ("write_timeout", self.write_timeout, false),
            ("read_timeout", self.read_timeout, false),
            ("idle_timeout", self.idle_timeout, true),
            ("prompt_cache_wait", self.prompt_cache_wait, true),
            ("retry.initial_backoff", self.retry.initial_backoff, true),
            ("retry.max_backoff", self.retry.max_backoff, true),
            ("retry.max_retry_after", self.retry.max_retry_after, true),
            ("breaker.window", self.breaker.window, false),
            ("breaker.open_duration", self.breaker.open_duration, false),
        ];
        duration_limits::check(durations, wrong);
        self.retry.check(wrong);
        self.breaker.check(wrong);
    }
}

impl BreakerConfig {
    fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if self.consecutive_failures == 0 {
            wrong(
                "breaker.consecutive_failures",
                "must be at least 1".to_owned(),
            );
        }
        if !(self.failure_rate > 0.0 && self.failure_rate <= 1.0) {
            let problem = "must be greater than 0 and at most 1";
            wrong("breaker.failure_rate", problem.to_owned());
        }
        if self.min_calls == 0 {
            wrong("breaker.min_calls", "must be at least 1".to_owned());
        }
    }
}

impl RetryConfig {
    fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if self.max_backoff < self.initial_backoff {
            let problem = "must be at least upstream.retry.initial_backoff";
            wrong("retry.max_backoff", problem.to_owned());
        }
        // Not `<= 0.0 || > 1.0`, which NaN would pass.
        if !(self.budget_ratio > 0.0 && self.budget_ratio <= 1.0) {
            let problem = "must be greater than 0 and at most 1";
            wrong("retry.budget_ratio", problem.to_owned());
        }
        // `TpsBudget` panics at more.
        let maximum = i32::MAX.unsigned_abs() - 1;
        if self.min_retries_per_second > maximum {
            wrong(
                "retry.min_retries_per_second",
                format!("must be at most {maximum}"),
            );
        }
    }
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
        let keys = wrong(|config| config.max_connections = 0);
        assert_eq!(keys, ["max_connections"]);
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
}
