//! The logs: lines on stderr, records to a collector, and a level that can be
//! changed while the service runs.

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
use lines::{Flush, Lines};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use std::{
    fmt,
    io::{self, IsTerminal},
    sync::{Arc, Mutex, PoisonError},
};
use tracing::Metadata;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::filter_fn, layer::SubscriberExt, reload,
    util::SubscriberInitExt,
};

/// Changes the level of the logs. Cloning is cheap.
#[derive(Clone)]
pub struct LogLevel {
    filter: reload::Handle<EnvFilter, Registry>,
    text: Arc<Mutex<String>>,
}

/// The logs of this process. Dropping it writes what still waits.
pub struct LogGuard {
    level: LogLevel,
    _flush: Flush,
}

impl LogGuard {
    /// The handle that changes the level.
    pub fn level(&self) -> LogLevel {
        self.level.clone()
    }
}

impl LogLevel {
    /// Logs by this filter from now on.
    ///
    /// # Errors
    /// When it is no filter.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        let config = LogConfig {
            level: filter.to_owned(),
            ..LogConfig::default()
        };
        let parsed = config.filter()?;
        self.filter
            .reload(parsed)
            .map_err(|error| error.to_string())?;
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        filter.clone_into(&mut text);
        Ok(())
    }

    /// The filter that logs are made by.
    pub fn get(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.clone()
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogLevel({})", self.get())
    }
}

/// Sets up the logs of this process: on stderr, since stdout is for answers,
/// as log records and spans to a collector. `metrics` is told of lines that were dropped
/// because stderr stood still.
///
/// # Errors
/// When the filter is none, or a subscriber is there already.
pub fn init(
    config: &LogConfig,
    export: &Export,
    metrics: Option<Arc<Metrics>>,
) -> Result<LogGuard, TelemetryError> {
    let filter = config.filter().map_err(TelemetryError::Level)?;
    let (filter, handle) = reload::Layer::new(filter);
    let (writer, flush) = Lines::new(metrics);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match config.format {
        LogFormat::Pretty => {
            let lines = lines.with_ansi(io::stderr().is_terminal());
            lines.fmt_fields(Fields).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // A line shows its own fields, and not those of the spans around it.
    let lines = lines.with_filter(filter_fn(|metadata| metadata.is_event()));
    let records = export
        .logs
        .as_ref()
        .map(|logs| OpenTelemetryTracingBridge::new(logs).with_filter(filter_fn(is_ours)));
    let spans = export.tracer().map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_filter(filter_fn(is_beside_calls))
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

/// What the exporters and their connections log must not be exported: each
/// export would make the next.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("claude_grpc")
}

/// Calls are no spans of `tracing`: theirs are made of their records.
fn is_beside_calls(metadata: &Metadata<'_>) -> bool {
    is_ours(metadata) && metadata.target() != "claude_grpc::call"
}
