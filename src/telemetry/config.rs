//! The sections `[log]` and `[telemetry]` of the configuration.

use serde::{Deserialize, Serialize};
use std::str::FromStr;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Level and format of the logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Log level: `off`, `error`, `warn`, `info`, `debug`, `trace`, or a
    /// `tracing` filter with levels by module, such as
    /// `warn,claude_grpc=debug`. The default is `info`.
    pub level: String,
    /// Format of the lines on stderr. The default is `pretty`.
    pub format: LogFormat,
}

/// The formats of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text for people.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// What is traced. The `OTEL_*` variables of OpenTelemetry configure where it
/// is exported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Keys of the callers' `baggage` that are copied to span attributes. None
    /// by default.
    pub baggage: Vec<String>,
    /// Whether spans contain prompts and responses. The variable
    /// `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` also enables it.
    /// The default is `false`.
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
    /// Validates the section. Calls `wrong` with the key and the problem of
    /// each invalid value.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if let Err(problem) = self.filter() {
            wrong("level", problem);
        }
    }

    /// Parses `level`.
    pub(super) fn filter(&self) -> Result<EnvFilter, String> {
        // `EnvFilter` accepts any word as the name of a module, so `inof` would
        // be a valid filter that logs nothing.
        for directive in self.level.split(',').map(str::trim) {
            let bare = !directive.contains(['=', '[']);
            if bare && LevelFilter::from_str(directive).is_err() || directive.is_empty() {
                return Err(format!(
                    "unknown level {directive:?}: must be off, error, warn, info, debug or trace"
                ));
            }
        }
        EnvFilter::try_new(&self.level).map_err(|error| format!("must be a log filter: {error}"))
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
