//! Errors of setting up telemetry.

use super::export::ExportError;
use thiserror::Error;

/// Telemetry failed to start.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// `log.level` is not a valid filter.
    #[error("log.level: {0}")]
    Level(String),
    /// The process already has a `tracing` subscriber.
    #[error("logging is already set up")]
    Twice,
    /// An exporter failed to start.
    #[error("failed to start the OTLP exporter: {0}")]
    Export(#[from] ExportError),
}
