//! What the service tells about itself: metrics, traces, logs.
//!
//! A call has one record ([`CallRecord`]), which goes with it from the way in
//! to the attempts at the API. At its end the record is counted, logged, and,
//! if the call is sampled, left as spans for OpenTelemetry's batch processor,
//! which exports them on a thread of its own. Nothing that a call does here
//! waits for anybody.

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

use crate::pricing::PriceTable;
use export::{Export, SpanQueue, spans::SpanFactory};
use record::{
    AttemptData, CallData, CallEnd, CallObserver, CallSubscriber, RecentFailures, TracePolicy,
};
use std::{fmt, sync::Arc, time::Duration};

/// Observes calls; or, by default, does not. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Telemetry(Option<Arc<CallObserver>>);

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
        prices: PriceTable,
        models: &[String],
        settings: OtelSettings,
    ) -> Result<(Telemetry, TelemetryGuard), TelemetryError> {
        let models = models.iter().map(String::as_str);
        let metrics = Arc::new(Metrics::new(prices, models));
        let export = Export::start(&settings, &metrics)?;
        let baggage_keys = match settings.takes_baggage {
            true => config.baggage.clone(),
            false => Vec::new(),
        };
        let policy = TracePolicy {
            is_on: export.spans.is_some(),
            sampler: settings.sampler,
            takes_context: settings.takes_context,
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

    /// The figures, if there are any.
    pub fn metrics(&self) -> Option<&Arc<Metrics>> {
        self.0.as_ref().map(|observer| &observer.metrics)
    }

    /// The last calls that failed, newest first.
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
