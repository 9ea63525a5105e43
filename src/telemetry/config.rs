//! `[log]` and `[telemetry]`: logs, and the attributes of traces.

use serde::{Deserialize, Serialize};
use std::str::FromStr;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// The log on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Log filter: a level (`off`, `error`, `warn`, `info`, `debug`, `trace`),
    /// optionally with levels per module, such as `warn,claude_grpc=debug`. The
    /// admin port can change it at run time.
    pub level: String,
    /// Format of log lines: `pretty` for people, or `json` for one JSON object
    /// per line.
    pub format: LogFormat,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text for people.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// Traces and metrics. The standard `OTEL_*` variables of OpenTelemetry configure
/// where they are exported to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Keys of the `baggage` of callers that are recorded as span attributes.
    /// Other keys are ignored.
    pub baggage: Vec<String>,
    /// Whether spans record prompts and answers. The variable
    /// `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` enables it as well.
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
    /// Validates what the types do not express. Calls `wrong` with the key and
    /// the problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if let Err(problem) = self.filter() {
            wrong("level", problem);
        }
    }

    /// Parses `level` as a filter.
    pub(super) fn filter(&self) -> Result<EnvFilter, String> {
        // `EnvFilter` reads any word as the name of a module, so that `inof`
        // would log nothing at all.
        for directive in self.level.split(',').map(str::trim) {
            let bare = !directive.contains(['=', '[']);
            if bare && LevelFilter::from_str(directive).is_err() || directive.is_empty() {
                return Err(format!(
                    "unknown level {directive:?}: must be off, error, warn, info, debug or trace"
                ));
            }
        }
        EnvFilter::try_new(&self.level).map_err(|error| format!("invalid log filter: {error}"))
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
