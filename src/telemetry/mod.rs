//! What the service tells about itself.

mod config;

pub use config::{LogConfig, LogFormat};

use std::io::{self, IsTerminal};
use thiserror::Error;
use tracing_subscriber::{Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// Logging cannot be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// `log.level` is no filter.
    #[error("log.level: {0}")]
    Level(String),
    /// The process has its subscriber already.
    #[error("logging is already set up")]
    Twice,
}

/// Sets up the logs of this process, on stderr: stdout is for answers.
///
/// # Errors
/// When the filter is none, or a subscriber is there already.
pub fn init(config: &LogConfig) -> Result<(), TelemetryError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match config.format {
        LogFormat::Pretty => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(config.filter().map_err(TelemetryError::Level)?)
        .with(lines)
        .try_init()
        .map_err(|_| TelemetryError::Twice)
}
