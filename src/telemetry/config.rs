//! `[log]` and `[telemetry]`: what the service tells about itself.

use serde::{Deserialize, Serialize};
use std::str::FromStr;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// A `tracing` filter: a level (`off`, `error`, `warn`, `info`, `debug`,
    /// `trace`) or several for parts, for example `warn,claude_grpc=debug`.
    pub level: String,
    /// How lines look on stderr.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// What is measured and traced. Where it is sent is said by the `OTEL_*`
/// variables of OpenTelemetry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Keys of the callers' `baggage` that become attributes of spans.
    pub baggage: Vec<String>,
    /// Whether spans show prompts and answers. So does the variable
    /// `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`.
    pub capture_content: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            level: "info".to_owned(),
            format: LogFormat::Pretty,
        }
    }
}

impl LogConfig {
    /// Checks what the types do not say. `wrong` is told the key and the
    /// problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if let Err(problem) = self.filter() {
            wrong("level", problem);
        }
    }

    /// The filter that `level` describes.
    pub(super) fn filter(&self) -> Result<EnvFilter, String> {
        // The filter takes any word for the name of a part, so that `inof`
        // would log all of nothing.
        for directive in self.level.split(',').map(str::trim) {
            let bare = !directive.contains(['=', '[']);
            if bare && LevelFilter::from_str(directive).is_err() || directive.is_empty() {
                return Err(format!(
                    "{directive:?} is no level (off, error, warn, info, debug, trace)"
                ));
            }
        }
        EnvFilter::try_new(&self.level).map_err(|error| format!("is no log filter: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_no_filter() {
        let filter = |level: &str| {
            let level = level.to_owned();
            LogConfig {
                level,
                ..LogConfig::default()
            }
            .filter()
        };
        for good in [
            "info",
            "off",
            "WARN",
            "warn,claude_grpc=debug",
            "claude_grpc::server=trace",
        ] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "inof",
            "claude_grpc",
            "claude_grpc=lots",
            "info,",
            "a=b=c",
        ] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
