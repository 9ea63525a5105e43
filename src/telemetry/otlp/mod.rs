//! Export over OTLP, by the SDK and exporters of OpenTelemetry: their batch
//! processors and reader run on threads of their own. Nothing here is ever
//! waited for by a call.

mod batch;
mod counted;
pub mod environment;
mod exporters;
pub mod metrics;
pub mod spans;

pub use batch::Spans;
pub use environment::Settings;
pub use exporters::ExportError;

use super::{
    metrics::{Metrics, Signal},
    names,
};
use batch::Records;
use counted::{Counted, Room};
use opentelemetry::{InstrumentationScope, Key, trace::TracerProvider};
use opentelemetry_sdk::{
    Resource,
    logs::SdkLoggerProvider,
    metrics::{PeriodicReader, SdkMeterProvider, Stream},
    trace::{SdkTracer, SdkTracerProvider},
};
use std::{sync::Arc, time::Duration};
use tokio::{task::spawn_blocking, time::timeout};

/// Most series of one metric that are pushed. The registry bounds clients and
/// models, and with them the series; the SDK's own bound of 2000 would cut
/// what the Prometheus text shows.
const MOST_SERIES: usize = 100_000;

/// What exports, by signal.
#[derive(Default, Clone)]
pub struct Export {
    /// Where spans are left.
    pub spans: Option<Spans>,
    tracers: Option<SdkTracerProvider>,
    /// Where events of `tracing` go.
    pub logs: Option<SdkLoggerProvider>,
    metrics: Option<SdkMeterProvider>,
}

impl Export {
    /// Exports what the settings ask for. Has to be called on a runtime, which
    /// drives the connections of OTLP/gRPC.
    ///
    /// # Errors
    /// When a target cannot be used.
    pub fn start(settings: &Settings, metrics: &Arc<Metrics>) -> Result<Export, ExportError> {
        let resource = resource();
        let mut export = Export::default();
        if let Some(target) = &settings.traces {
            let exporter = exporters::of_spans(target)?;
            let spans = Spans::new(exporter, &resource, metrics, settings.span_queue);
            let tracers = SdkTracerProvider::builder()
                .with_span_processor(spans.clone())
                .with_sampler(settings.sampler.of_sdk())
                .with_resource(resource.clone());
            export.spans = Some(spans);
            export.tracers = Some(tracers.build());
        }
        if let Some(target) = &settings.logs {
            let exporter = exporters::of_logs(target)?;
            let logs = SdkLoggerProvider::builder()
                .with_log_processor(Records::new(exporter, metrics, settings.log_queue))
                .with_resource(resource.clone());
            export.logs = Some(logs.build());
        }
        if let Some(target) = &settings.metrics {
            let room = Room::new(metrics, Signal::Metrics, usize::MAX);
            let exporter = Counted::new(exporters::of_metrics(target)?, room);
            let provider = SdkMeterProvider::builder()
                .with_reader(PeriodicReader::builder(exporter).build())
                .with_view(|_: &_| {
                    let stream = Stream::builder().with_cardinality_limit(MOST_SERIES);
                    stream.build().ok()
                })
                .with_resource(resource)
                .build();
            self::metrics::instrument(&provider, scope(), metrics);
            export.metrics = Some(provider);
        }
        Ok(export)
    }

    /// Makes spans of those of `tracing`.
    pub fn tracer(&self) -> Option<SdkTracer> {
        let tracers = self.tracers.as_ref();
        tracers.map(|tracers| tracers.tracer_with_scope(scope()))
    }

    /// Sends what still waits, and ends; it takes no longer than `longest`.
    pub async fn shut_down(self, longest: Duration) {
        // The SDK blocks, and what it waits for may need this thread.
        let ending = spawn_blocking(move || {
            let results = [
                self.tracers.map(|it| it.shutdown_with_timeout(longest)),
                self.logs.map(|it| it.shutdown_with_timeout(longest)),
                self.metrics.map(|it| it.shutdown_with_timeout(longest)),
            ];
            for error in results.into_iter().flatten().filter_map(Result::err) {
                tracing::debug!(%error, "the last export failed");
            }
        });
        let _ = timeout(longest, ending).await;
    }
}

/// Who tells: what `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` say, with
/// a name of ours where they say none.
fn resource() -> Resource {
    let given = Resource::builder().build();
    let has = |key: &'static str| given.get(&Key::new(key)).map(|it| it.to_string());
    let mut resource = Resource::builder();
    if has("service.name").is_none_or(|name| name.starts_with("unknown_service")) {
        resource = resource.with_service_name("claude-grpc");
    }
    if has("service.version").is_none() {
        let version = env!("CARGO_PKG_VERSION");
        resource =
            resource.with_attribute(opentelemetry::KeyValue::new("service.version", version));
    }
    resource.build()
}

/// What of it tells.
pub fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(names::SCOPE)
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(names::SCHEMA_URL)
        .build()
}
