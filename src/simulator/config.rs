//! `[simulator]`: the simulator of the Claude API.

pub use super::{
    batches::SimulatorBatchesConfig,
    files::SimulatorFilesConfig,
    host::{SimulatedHost, SimulatorToken},
};

use serde::{Deserialize, Serialize};
use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};
use thiserror::Error;

const MAX_BATCH_TIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// The simulator of the Claude API. It runs only under `serve --simulate` and
/// `simulate`.
// `Debug` is written by hand so that it does not show keys.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorConfig {
    /// Address and port to listen on. Port 0 picks a free port.
    pub listen: SocketAddr,
    /// Host of Claude whose dialect `simulate` speaks: `claude`, `claude_platform_aws`,
    /// `bedrock_mantle`, `bedrock_runtime`, `vertex`, `google_cloud` or `foundry`. Under
    /// `serve --simulate`, it is `claude`.
    pub host: SimulatedHost,
    /// API keys that the simulator accepts, tokens, or access key ids of AWS. If there
    /// are neither keys nor `tokens`, any non-empty one is accepted.
    pub api_keys: Vec<String>,
    /// Keys and tokens that expire.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<SimulatorToken>,
    /// Delay between receiving a complete request and sending the first byte of
    /// the response.
    #[serde(with = "humantime_serde")]
    pub time_to_first_token: Duration,
    /// Output tokens per second of each response, 0 to 1,000,000,000. 0 means
    /// unlimited.
    pub tokens_per_second: f64,
    /// `retry-after` of the 429 responses of `faults.rate_limited`, sent in whole
    /// seconds.
    #[serde(with = "humantime_serde")]
    pub retry_after: Duration,
    /// Whether to keep the last 20,000 requests in memory for inspection, bodies
    /// included.
    pub record: bool,
    /// Whether requests need only the fields, types and values that the API knows, as
    /// with the mock servers that tests of the official SDKs are written for. Rules of
    /// models, of schemas and between fields are not applied, and any name in
    /// `anthropic-beta` allows all of the beta API.
    pub shapes_only: bool,
    /// File with models, batches and files that exist from the start, with ids of your
    /// choice (TOML).
    pub fixtures_file: Option<PathBuf>,
    /// TLS of `simulate`.
    pub tls: SimulatorTlsConfig,
    /// Limits of each connection.
    pub connections: ConnectionsConfig,
    /// Injected faults.
    pub faults: FaultRates,
    /// Rate limits per API key and model.
    pub limits: SimulatorLimitsConfig,
    /// Message Batches.
    pub batches: SimulatorBatchesConfig,
    /// The Files API.
    pub files: SimulatorFilesConfig,
}

impl fmt::Debug for SimulatorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorConfig")
            .field("listen", &self.listen)
            .field("host", &self.host)
            .field("api_keys", &format_args!("{} keys", self.api_keys.len()))
            .field("tokens", &self.tokens)
            .field("time_to_first_token", &self.time_to_first_token)
            .field("tokens_per_second", &self.tokens_per_second)
            .field("retry_after", &self.retry_after)
            .field("record", &self.record)
            .field("shapes_only", &self.shapes_only)
            .field("fixtures_file", &self.fixtures_file)
            .field("tls", &self.tls)
            .field("connections", &self.connections)
            .field("faults", &self.faults)
            .field("limits", &self.limits)
            .field("batches", &self.batches)
            .field("files", &self.files)
            .finish()
    }
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        SimulatorConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            host: SimulatedHost::default(),
            api_keys: Vec::new(),
            tokens: Vec::new(),
            time_to_first_token: Duration::ZERO,
            tokens_per_second: 0.0,
            retry_after: Duration::from_secs(1),
            record: false,
            shapes_only: false,
            fixtures_file: None,
            tls: SimulatorTlsConfig::default(),
            connections: ConnectionsConfig::default(),
            faults: FaultRates::default(),
            limits: SimulatorLimitsConfig::default(),
            batches: SimulatorBatchesConfig::default(),
            files: SimulatorFilesConfig::default(),
        }
    }
}

/// TLS of `simulate`, with HTTP/2 and HTTP/1.1; without a certificate, the
/// simulator serves plaintext. Under `serve --simulate` it always does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorTlsConfig {
    /// File with the certificate (PEM), followed by its intermediate
    /// certificates. Requires `key_file`.
    pub cert_file: Option<PathBuf>,
    /// File with the private key of the certificate (PEM). Must be readable by its
    /// owner only. Requires `cert_file`.
    pub key_file: Option<PathBuf>,
    /// File to write a CA to (PEM) that is made at each start, with a certificate
    /// for `localhost`, `127.0.0.1` and `::1`. Enables TLS without `cert_file`;
    /// clients must trust the CA.
    pub generated_ca_file: Option<PathBuf>,
}

/// Limits of each connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionsConfig {
    /// Maximum number of concurrent HTTP/2 streams per connection
    /// (`SETTINGS_MAX_CONCURRENT_STREAMS`). 0 means unlimited.
    pub max_concurrent_streams: u32,
    /// Number of requests after which a connection is closed gracefully: with
    /// GOAWAY, or `connection: close` in HTTP/1.1. 0 means never.
    pub max_requests: u32,
    /// Age at which a connection is closed gracefully. `0s` means never.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
}

/// Injected faults. Each rate is the fraction of requests to `/v1/messages` and
/// `count_tokens` that it affects, from 0 to 1. The rates must add up to at most
/// 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultRates {
    /// Seed of the random choice. The same seed produces the same sequence of
    /// faults.
    pub seed: u64,
    /// Rate of responses with status 429 and `retry-after`.
    pub rate_limited: f64,
    /// Rate of responses with status 529 (`overloaded_error`).
    pub overloaded: f64,
    /// Rate of responses with status 500 (`api_error`).
    pub error: f64,
    /// Rate of connections that are closed without a response. In HTTP/2, the
    /// stream is reset.
    pub drop: f64,
    /// Rate of requests that close their connection at once, with every stream
    /// on it.
    pub disconnect: f64,
    /// Rate of requests that are refused without being processed
    /// (`REFUSED_STREAM`). In HTTP/1.1, as `drop`.
    pub refused_stream: f64,
    /// Rate of responses that are truncated in the middle.
    pub cut: f64,
    /// Rate of streams with an `error` event in the middle. A request without a
    /// stream gets status 529.
    pub error_event: f64,
    /// Rate of requests that are never answered.
    pub hang: f64,
    /// Rate of responses that are not valid JSON.
    pub garbage: f64,
    /// Rate of responses that are sent in small pieces, 50 ms apart.
    pub slow_body: f64,
}

impl FaultRates {
    /// All rates by the name of their key.
    pub(super) fn named(&self) -> [(&'static str, f64); 11] {
        [
            ("rate_limited", self.rate_limited),
            ("overloaded", self.overloaded),
            ("error", self.error),
            ("drop", self.drop),
            ("disconnect", self.disconnect),
            ("refused_stream", self.refused_stream),
            ("cut", self.cut),
            ("error_event", self.error_event),
            ("hang", self.hang),
            ("garbage", self.garbage),
            ("slow_body", self.slow_body),
        ]
    }
}

/// Rate limits per API key and model: token buckets that hold one minute's worth
/// and refill continuously. 0 means unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorLimitsConfig {
    /// Maximum requests per minute.
    pub requests_per_minute: u64,
    /// Maximum input tokens per minute. Tokens read from the prompt cache do not
    /// count.
    pub input_tokens_per_minute: u64,
    /// Maximum output tokens per minute. A request reserves its `max_tokens` and
    /// is settled with the tokens that were written.
    pub output_tokens_per_minute: u64,
}

/// A fault in the `[simulator]` section.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("simulator.{field}: {problem}")]
pub struct ConfigError {
    /// The dotted key, without the leading `simulator.`.
    pub field: String,
    /// The requirement that its value violates.
    pub problem: &'static str,
}

impl SimulatorConfig {
    /// Validates what the types do not express.
    ///
    /// # Errors
    /// The first key whose value is out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |field: String, problem| Err(ConfigError { field, problem });
        let rates = self.faults.named();
        for (name, rate) in rates {
            if !(0.0..=1.0).contains(&rate) {
                return wrong(format!("faults.{name}"), "must be between 0 and 1");
            }
        }
        // In binary, ten times 0.1 can be a little more than 1.
        if rates.iter().map(|(_, rate)| rate).sum::<f64>() > 1.0 + 1e-9 {
            return wrong("faults".to_owned(), "must add up to at most 1");
        }
        if !(0.0..=1e9).contains(&self.tokens_per_second) {
            return wrong("tokens_per_second".to_owned(), "must be between 0 and 1e9");
        }
        if self.tls.cert_file.is_some() != self.tls.key_file.is_some() {
            return wrong(
                "tls.cert_file".to_owned(),
                "cert_file and key_file must be set together",
            );
        }
        if self.tls.cert_file.is_some() && self.tls.generated_ca_file.is_some() {
            return wrong(
                "tls.generated_ca_file".to_owned(),
                "must not be set together with cert_file",
            );
        }
        for (name, time) in [
            ("duration", self.batches.duration),
            ("expires_after", self.batches.expires_after),
        ] {
            if time > MAX_BATCH_TIME {
                return wrong(format!("batches.{name}"), "must be at most 30 days");
            }
        }
        if self.api_keys.iter().any(String::is_empty) {
            return wrong("api_keys".to_owned(), "must not contain an empty key");
        }
        for (index, token) in self.tokens.iter().enumerate() {
            if token.token.is_empty() {
                return wrong(format!("tokens.{index}.token"), "must not be empty");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        let problem = |change: fn(&mut SimulatorConfig)| {
            let mut config = SimulatorConfig::default();
            change(&mut config);
            config.check().map_err(|error| error.to_string())
        };
        assert_eq!(problem(|_| {}), Ok(()));
        let negative = problem(|config| config.faults.cut = -0.1).unwrap_err();
        assert_eq!(negative, "simulator.faults.cut: must be between 0 and 1");
        let sum = problem(|config| {
            config.faults.cut = 0.6;
            config.faults.hang = 0.6;
        });
        assert_eq!(
            sum.unwrap_err(),
            "simulator.faults: must add up to at most 1"
        );
        let nan = problem(|config| config.tokens_per_second = f64::NAN).unwrap_err();
        assert!(nan.contains("tokens_per_second"), "{nan}");
    }

    #[test]
    fn an_unknown_field_is_refused() {
        assert!(toml::from_str::<SimulatorConfig>("lissten = '127.0.0.1:1'").is_err());
        let text = "time_to_first_token = '250ms'\n[faults]\noverloaded = 0.5\n";
        let config: SimulatorConfig = toml::from_str(text).unwrap();
        assert_eq!(config.time_to_first_token, Duration::from_millis(250));
        assert_eq!(config.faults.overloaded, 0.5);
    }
}
