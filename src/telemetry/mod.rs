//! What the service tells about itself: metrics, traces, logs.
//!
//! A call has one record ([`CallRecord`]), which goes with it from the way in
//! to the attempts at the API. At its end the record is counted, logged, and,
//! if the call is sampled, left as spans for OpenTelemetry's batch processor,
//! which exports them on a thread of its own. Nothing that a call does here
//! waits for anybody.

mod attempt;
mod call;
pub mod command;
mod config;
mod content;
pub mod context;
mod inbound;
mod labels;
mod log;
pub mod metrics;
pub mod names;
pub mod otlp;
mod prices;
mod recent;
mod sampler;
mod spans;

pub use attempt::{AttemptRecord, AttemptRequest, ResponseMetadata, ServerAddress};
pub use call::{CallRecord, CoalescedWait};
pub use config::{LogConfig, LogFormat, TelemetryConfig};
pub use inbound::RecordLayer;
pub use log::{LogGuard, LogLevel};
pub use metrics::{ErrorType, Metrics, Operation, Wait};
pub use otlp::OtelSettings;
pub use prices::{Price, Tokens};
pub use recent::FailedCall;
pub use sampler::Sampler;

use http::HeaderMap;
use otlp::{Export, ExportError};
use recent::RecentFailures;
use spans::CallTracing;
use std::{fmt, sync::Arc, time::Duration};
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

/// Observes calls; or, by default, does not. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Telemetry(Option<Arc<CallObserver>>);

/// What is kept of all calls.
pub(crate) struct CallObserver {
    metrics: Arc<Metrics>,
    tracing: CallTracing,
    recent: RecentFailures,
}

/// What runs beside the service, and ends after it.
#[derive(Default)]
pub struct TelemetryGuard {
    export: Export,
}

impl Telemetry {
    /// Observes calls, and exports what the settings ask for. `models` are
    /// told apart in metrics from the beginning, as are those that have a
    /// price.
    ///
    /// # Errors
    /// When the settings name a target that cannot be used.
    pub fn start(
        config: &TelemetryConfig,
        prices: Vec<Price>,
        models: &[String],
        settings: OtelSettings,
    ) -> Result<(Telemetry, TelemetryGuard), TelemetryError> {
        let models = models.iter().map(String::as_str);
        let metrics = Arc::new(Metrics::new(prices, models));
        let export = Export::start(&settings, &metrics)?;
        let tracing = match &export.spans {
            Some(spans) => CallTracing::new(spans.clone(), settings.sampler),
            None => CallTracing::off(),
        };
        let baggage = match settings.takes_baggage {
            true => config.baggage.clone(),
            false => Vec::new(),
        };
        let tracing = tracing
            .taking_context(settings.takes_context)
            .with_baggage(baggage)
            .with_exemplars(settings.exemplars)
            .with_content(config.show_content || settings.content);
        let observed = CallObserver {
            metrics,
            tracing,
            recent: RecentFailures::default(),
        };
        let running = TelemetryGuard { export };
        Ok((Telemetry(Some(Arc::new(observed))), running))
    }

    /// The figures, if there are any.
    pub fn metrics(&self) -> Option<&Arc<Metrics>> {
        self.0.as_ref().map(|observed| &observed.metrics)
    }

    /// The last calls that failed, newest first.
    pub fn failures(&self) -> Vec<FailedCall> {
        let observed = self.0.as_ref();
        observed.map_or_else(Vec::new, |observed| observed.recent.all())
    }

    /// The record of a call that begins.
    fn begin(&self, path: &str, headers: &HeaderMap) -> CallRecord {
        match &self.0 {
            Some(observed) => CallRecord::begin(observed, path, headers),
            None => CallRecord::default(),
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Telemetry({})", self.0.is_some())
    }
}

impl TelemetryGuard {
    /// Sets up the logs of this process.
    ///
    /// # Errors
    /// When the filter is none, or a subscriber is there already.
    pub fn init_logs(
        &self,
        config: &LogConfig,
        telemetry: &Telemetry,
    ) -> Result<LogGuard, TelemetryError> {
        log::init(config, &self.export, telemetry.metrics().cloned())
    }

    /// Sends what still waits, in no longer than this.
    pub async fn shut_down(self, longest: Duration) {
        self.export.shut_down(longest).await;
    }
}

/// Sets up the logs of a process that observes nothing.
///
/// # Errors
/// When the filter is none, or a subscriber is there already.
pub fn init(config: &LogConfig) -> Result<LogGuard, TelemetryError> {
    log::init(config, &Export::default(), None)
}
