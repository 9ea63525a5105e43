//! `[simulator]`: where the stand-in for the Claude API listens, and how it
//! behaves.

use serde::{Deserialize, Serialize};
use std::{fmt, net::SocketAddr, time::Duration};
use thiserror::Error;

/// Where the simulator listens, and how it behaves.
// `Debug` is written by hand: it shows no key.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorConfig {
    /// Address and port to listen on; port 0 for any free one.
    pub listen: SocketAddr,
    /// Accepted API keys; when empty, any non-empty key is accepted.
    pub api_keys: Vec<String>,
    /// Time from a whole request to the first byte of its answer.
    #[serde(with = "humantime_serde")]
    pub time_to_first_token: Duration,
    /// Output tokens per second of one answer; 0 for as fast as possible.
    pub tokens_per_second: f64,
    /// `retry-after` of the 429 that `faults.rate_limited` produces, in whole
    /// seconds.
    #[serde(with = "humantime_serde")]
    pub retry_after: Duration,
    /// Keeps the last 20,000 requests for inspection, bodies included.
    pub record: bool,
    /// Rates of injected faults.
    pub faults: FaultRates,
    /// Rate limits, for each API key and model.
    pub limits: SimulatorLimitsConfig,
}

impl fmt::Debug for SimulatorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorConfig")
            .field("listen", &self.listen)
            .field("api_keys", &format_args!("{} keys", self.api_keys.len()))
            .field("time_to_first_token", &self.time_to_first_token)
            .field("tokens_per_second", &self.tokens_per_second)
            .field("retry_after", &self.retry_after)
            .field("record", &self.record)
            .field("faults", &self.faults)
            .field("limits", &self.limits)
            .finish()
    }
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        SimulatorConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            api_keys: Vec::new(),
            time_to_first_token: Duration::ZERO,
            tokens_per_second: 0.0,
            retry_after: Duration::from_secs(1),
            record: false,
            faults: FaultRates::default(),
            limits: SimulatorLimitsConfig::default(),
        }
    }
}

/// Rates of injected faults: each is a share of the requests to `/v1/messages`
/// and `count_tokens`, from 0 to 1; their sum must not exceed 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultRates {
    /// Seed of the random choice: the same seed produces the same faults in the
    /// same order.
    pub seed: u64,
    /// Share answered with 429 and `retry-after`.
    pub rate_limited: f64,
    /// Share answered with 529, overloaded.
    pub overloaded: f64,
    /// Share answered with 500.
    pub error: f64,
    /// Share whose connection is closed without an answer.
    pub drop: f64,
    /// Share whose answer breaks off in the middle.
    pub cut: f64,
    /// Share with an `error` event in the middle of the stream; a plain answer is
    /// a 529.
    pub error_event: f64,
    /// Share that is never answered.
    pub hang: f64,
    /// Share answered with a body that is not JSON.
    pub garbage: f64,
    /// Share answered slowly, in small pieces.
    pub slow_body: f64,
}

impl FaultRates {
    /// Each rate with its key.
    pub(super) fn named(&self) -> [(&'static str, f64); 9] {
        [
            ("rate_limited", self.rate_limited),
            ("overloaded", self.overloaded),
            ("error", self.error),
            ("drop", self.drop),
            ("cut", self.cut),
            ("error_event", self.error_event),
            ("hang", self.hang),
            ("garbage", self.garbage),
            ("slow_body", self.slow_body),
        ]
    }
}

/// Rate limits: token buckets that hold one minute's worth and refill
/// continuously. 0 means unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorLimitsConfig {
    /// Maximum requests per minute.
    pub requests_per_minute: u64,
    /// Maximum input tokens per minute; tokens read from the prompt cache do not
    /// count.
    pub input_tokens_per_minute: u64,
    /// Maximum output tokens per minute: `max_tokens` is reserved at the start,
    /// and what was not written is returned at the end.
    pub output_tokens_per_minute: u64,
}

/// An invalid value in the configuration of the simulator.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("simulator.{field} {problem}")]
pub struct ConfigError {
    /// Dotted key below `simulator`.
    pub field: String,
    /// What the value must be.
    pub problem: &'static str,
}

impl SimulatorConfig {
    /// Checks the ranges of all values.
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
        // Rates such as ten times 0.1 make a little more than 1 in binary.
        if rates.iter().map(|(_, rate)| rate).sum::<f64>() > 1.0 + 1e-9 {
            return wrong("faults".to_owned(), "must not exceed 1 in sum");
        }
        if !(0.0..=1e9).contains(&self.tokens_per_second) {
            return wrong("tokens_per_second".to_owned(), "must be between 0 and 1e9");
        }
        if self.api_keys.iter().any(String::is_empty) {
            return wrong("api_keys".to_owned(), "must not contain an empty key");
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
        assert_eq!(negative, "simulator.faults.cut must be between 0 and 1");
        let sum = problem(|config| {
            config.faults.cut = 0.6;
            config.faults.hang = 0.6;
        });
        assert_eq!(
            sum.unwrap_err(),
            "simulator.faults must not exceed 1 in sum"
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
