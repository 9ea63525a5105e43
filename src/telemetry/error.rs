//! What can fail when telemetry is set up.

use super::export::ExportError;
use thiserror::Error;

/// Telemetry cannot be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// `log.level` is no filter.
    #[error("log.level: {0}")]
    Level(String),
    /// The process has its subscriber already.
    #[error("logging is already set up")]
    Twice,
    /// The exporter cannot be started.
    #[error("the OTEL_EXPORTER_OTLP_* variables: {0}")]
    Export(#[from] ExportError),
}
