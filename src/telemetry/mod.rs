//! Metrics, traces and logs of the service.
//!
//! Each call has one record ([`CallRecord`]), which travels with it from the
//! first inbound layer to the attempts at the API. When the call ends, the
//! record is counted, logged, and, if the call is sampled, queued as spans for
//! OpenTelemetry's batch processor, which exports them on its own thread. A
//! call never waits for telemetry.

pub mod command;
mod config;
pub mod context;
mod error;
pub mod export;
mod labels;
mod log;
pub mod metrics;
pub mod names;
mod record;
mod retirements;
mod sampler;

pub use config::{LogConfig, LogFormat, TelemetryConfig};
pub use error::TelemetryError;
pub use export::OtelSettings;
pub use log::{LogGuard, LogLevel};
pub use metrics::{ErrorType, Metrics, Operation, Wait};
pub use record::{
    AttemptRecord, AttemptRequest, CallRecord, CoalescedWait, FailedCall, RecordLayer,
    ResponseMetadata, ServerAddress,
};
pub use sampler::Sampler;

use crate::models::PriceTable;
use export::{Export, SpanQueue, spans::SpanFactory};
use record::{
    AttemptData, CallData, CallEnd, CallObserver, CallSubscriber, RecentFailures, TracePolicy,
};
use std::{fmt, sync::Arc, time::Duration};

/// Records calls. The default records nothing. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Telemetry(Option<Arc<CallObserver>>);

/// The exporters of a process, which must outlive the service.
#[derive(Default)]
pub struct TelemetryGuard {
    export: Export,
}

impl Telemetry {
    /// Starts recording calls, and the exporters that the settings enable.
    /// `models`, and those of the catalogue, have their own label in metrics from the
    /// start.
    ///
    /// # Errors
    /// Fails when the settings name an unusable export target.
    pub fn start(
        config: &TelemetryConfig,
        prices: PriceTable,
        models: &[String],
        settings: OtelSettings,
    ) -> Result<(Telemetry, TelemetryGuard), TelemetryError> {
        let models = models.iter().map(String::as_str);
        let metrics = Arc::new(Metrics::new(prices, models));
        let export = Export::start(&settings, &metrics)?;
        let baggage_keys = match settings.accepts_baggage {
            true => config.baggage.clone(),
            false => Vec::new(),
        };
        let policy = TracePolicy {
            is_on: export.spans.is_some(),
            sampler: settings.sampler,
            accepts_context: settings.accepts_context,
            baggage_keys,
            exemplars: settings.exemplars,
            shows_content: config.capture_content || settings.content,
        };
        let spans = export.spans.clone().map(|it| (it, SpanFactory::default()));
        let observer = CallObserver {
            metrics,
            policy,
            recent: RecentFailures::default(),
            subscriber: Box::new(EndedCalls { spans }),
        };
        let running = TelemetryGuard { export };
        Ok((Telemetry(Some(Arc::new(observer))), running))
    }

    /// The metrics, if calls are recorded.
    pub fn metrics(&self) -> Option<&Arc<Metrics>> {
        self.0.as_ref().map(|observer| &observer.metrics)
    }

    /// The most recent failed calls, newest first.
    pub fn failures(&self) -> Vec<FailedCall> {
        let observer = self.0.as_ref();
        observer.map_or_else(Vec::new, |observer| observer.recent.all())
    }

    /// The layer that records calls.
    pub fn record_layer(&self) -> RecordLayer {
        RecordLayer(self.0.clone())
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
    /// Fails when the filter is invalid or logging is already set up.
    pub fn init_logs(
        &self,
        config: &LogConfig,
        telemetry: &Telemetry,
    ) -> Result<LogGuard, TelemetryError> {
        log::init(config, &self.export, telemetry.metrics().cloned())
    }

    /// Exports what is queued, and stops after `longest` at the latest.
    pub async fn shut_down(self, longest: Duration) {
        self.export.shut_down(longest).await;
    }
}

/// Sets up the logs of a process that records no calls.
///
/// # Errors
/// Fails when the filter is invalid or logging is already set up.
pub fn init(config: &LogConfig) -> Result<LogGuard, TelemetryError> {
    log::init(config, &Export::default(), None)
}

/// Logs calls that ended, and exports the spans of those that are sampled.
struct EndedCalls {
    spans: Option<(SpanQueue, SpanFactory)>,
}

impl CallSubscriber for EndedCalls {
    fn call_ended(&self, call: &CallData, end: &CallEnd) {
        log::call(call, end);
        if call.sampled
            && let Some((queue, factory)) = &self.spans
        {
            queue.leave(factory.call(call, end));
        }
    }

    fn late_attempt_ended(&self, call: &CallData, attempt: AttemptData) {
        if let Some((queue, factory)) = &self.spans {
            queue.leave(vec![factory.attempt(call, attempt)]);
        }
    }
}
