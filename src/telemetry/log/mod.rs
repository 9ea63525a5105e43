//! The logs: lines on stderr, records exported to a collector, and a level
//! that can be changed at run time.

mod call;
mod fields;
mod lines;

pub(super) use call::call;

use super::{
    config::{LogConfig, LogFormat},
    error::TelemetryError,
    export::Export,
    metrics::Metrics,
};
use fields::Fields;
use lines::LineQueue;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use parking_lot::Mutex;
use std::{
    fmt,
    io::{self, IsTerminal},
    sync::Arc,
};
use tracing::Metadata;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::filter_fn, layer::SubscriberExt, reload,
    util::SubscriberInitExt,
};

/// Changes the log level at run time. Cloning is cheap.
#[derive(Clone)]
pub struct LogLevel {
    filter: reload::Handle<EnvFilter, Registry>,
    text: Arc<Mutex<String>>,
}

/// Keeps the logs of this process running. Dropping it writes the queued lines.
pub struct LogGuard {
    level: LogLevel,
    _flush: WorkerGuard,
}

impl LogGuard {
    /// The handle that changes the log level.
    pub fn level(&self) -> LogLevel {
        self.level.clone()
    }
}

impl LogLevel {
    /// Replaces the filter.
    ///
    /// # Errors
    /// Fails when the filter is invalid.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        let config = LogConfig {
            level: filter.to_owned(),
            ..LogConfig::default()
        };
        let parsed = config.filter()?;
        self.filter
            .reload(parsed)
            .map_err(|error| error.to_string())?;
        let mut text = self.text.lock();
        filter.clone_into(&mut text);
        Ok(())
    }

    /// The current filter.
    pub fn get(&self) -> String {
        let text = self.text.lock();
        text.clone()
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogLevel({})", self.get())
    }
}

/// Sets up the logs of this process: lines on stderr, since stdout is for
/// results, and log records and spans for a collector. `metrics` counts the
/// lines written, and those dropped because stderr blocked.
///
/// # Errors
/// Fails when the filter is invalid or logging is already set up.
pub fn init(
    config: &LogConfig,
    export: &Export,
    metrics: Option<Arc<Metrics>>,
) -> Result<LogGuard, TelemetryError> {
    let filter = config.filter().map_err(TelemetryError::Level)?;
    let (filter, handle) = reload::Layer::new(filter);
    let (writer, flush) = LineQueue::start(metrics);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match config.format {
        LogFormat::Pretty => {
            let lines = lines.with_ansi(io::stderr().is_terminal());
            lines.fmt_fields(Fields).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // A line shows its own fields, not those of the enclosing spans.
    let lines = lines.with_filter(filter_fn(|metadata| metadata.is_event()));
    let records = export
        .logs
        .as_ref()
        .map(|logs| OpenTelemetryTracingBridge::new(logs).with_filter(filter_fn(is_ours)));
    let spans = export.tracer().map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_filter(filter_fn(is_not_a_call))
    });
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(records)
        .with(spans)
        .try_init()
        .map_err(|_| TelemetryError::Twice)?;
    Ok(LogGuard {
        level: LogLevel {
            filter: handle,
            text: Arc::new(Mutex::new(config.level.clone())),
        },
        _flush: flush,
    })
}

/// Logs of the exporters and their connections must not be exported: each
/// export would cause another one.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("claude_grpc")
}

/// The spans of calls are made from their records, not by `tracing`.
fn is_not_a_call(metadata: &Metadata<'_>) -> bool {
    is_ours(metadata) && metadata.target() != "claude_grpc::call"
}
