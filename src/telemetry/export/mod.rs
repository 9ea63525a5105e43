//! Export over OTLP, by the SDK and the exporters of OpenTelemetry, whose batch
//! processors and reader run on their own threads. A call never waits for an
//! export.

mod batch;
mod content;
mod counted;
pub mod environment;
mod exporters;
pub mod metrics;
mod resource;
pub mod spans;

pub use batch::SpanQueue;
pub use environment::OtelSettings;
pub use exporters::ExportError;

use super::metrics::{ExportSignal, Metrics};
use batch::LogQueue;
use counted::{CountingExporter, QueueBudget};
use environment::ExportTarget;
use futures::future::join_all;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::SdkLoggerProvider,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{SdkTracer, SdkTracerProvider},
};
use resource::{resource, scope};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

/// The exporters, by signal.
#[derive(Default, Clone)]
pub struct Export {
    /// The queue of spans, if traces are exported.
    pub spans: Option<SpanQueue>,
    tracers: Option<SdkTracerProvider>,
    /// The provider that exports events of `tracing`, if logs are exported.
    pub logs: Option<SdkLoggerProvider>,
    metrics: Option<SdkMeterProvider>,
}

impl Export {
    /// Starts the exporters that the settings enable. Must be called on a Tokio
    /// runtime, which drives the connections of OTLP/gRPC.
    ///
    /// # Errors
    /// Fails when a target is unusable.
    pub fn start(settings: &OtelSettings, metrics: &Arc<Metrics>) -> Result<Export, ExportError> {
        let resource = resource(settings);
        let mut export = Export::default();
        if let Some(target) = &settings.traces {
            let (most, limits) = (settings.span_queue, settings.span_limits);
            let spans = match target {
                ExportTarget::Otlp(otlp) => {
                    let exporter = exporters::of_spans(otlp)?;
                    SpanQueue::new(exporter, &resource, metrics, most, limits)
                }
                ExportTarget::Console => {
                    let exporter = opentelemetry_stdout::SpanExporter::default();
                    SpanQueue::new(exporter, &resource, metrics, most, limits)
                }
            };
            let tracers = SdkTracerProvider::builder()
                .with_span_processor(spans.clone())
                .with_sampler(settings.sampler.of_sdk())
                .with_resource(resource.clone());
            export.spans = Some(spans);
            export.tracers = Some(tracers.build());
        }
        if let Some(target) = &settings.logs {
            let (most, limits) = (settings.log_queue, settings.log_limits);
            let records = match target {
                ExportTarget::Otlp(otlp) => {
                    LogQueue::new(exporters::of_logs(otlp)?, metrics, most, limits)
                }
                ExportTarget::Console => {
                    let exporter = opentelemetry_stdout::LogExporter::default();
                    LogQueue::new(exporter, metrics, most, limits)
                }
            };
            let logs = SdkLoggerProvider::builder()
                .with_log_processor(records)
                .with_resource(resource.clone());
            export.logs = Some(logs.build());
        }
        if let Some(target) = &settings.metrics {
            let budget = QueueBudget::new(metrics, ExportSignal::Metrics, usize::MAX);
            let provider = SdkMeterProvider::builder();
            let provider = match target {
                ExportTarget::Otlp(otlp) => {
                    let exporter = CountingExporter::new(exporters::of_metrics(otlp)?, budget);
                    provider.with_reader(PeriodicReader::builder(exporter).build())
                }
                ExportTarget::Console => {
                    let exporter = opentelemetry_stdout::MetricExporter::default();
                    let exporter = CountingExporter::new(exporter, budget);
                    provider.with_reader(PeriodicReader::builder(exporter).build())
                }
            };
            let is_exponential = settings.exponential_histograms;
            let provider = provider
                .with_view(move |instrument: &_| self::metrics::stream(instrument, is_exponential))
                .with_resource(resource)
                .build();
            self::metrics::instrument(&provider, scope(), metrics);
            export.metrics = Some(provider);
        }
        Ok(export)
    }

    /// A tracer for the spans of `tracing`, if traces are exported.
    pub fn tracer(&self) -> Option<SdkTracer> {
        let tracers = self.tracers.as_ref();
        tracers.map(|tracers| tracers.tracer_with_scope(scope()))
    }

    /// Exports what is queued and stops, after `longest` at the latest.
    pub async fn shut_down(self, longest: Duration) {
        let Export {
            tracers,
            logs,
            metrics,
            ..
        } = self;
        // Concurrently: a collector of one signal that hangs must not use up the
        // time of the others.
        let ending = join_all(
            [
                tracers.map(|it| ending(move || it.shutdown_with_timeout(longest))),
                logs.map(|it| ending(move || it.shutdown_with_timeout(longest))),
                metrics.map(|it| ending(move || it.shutdown_with_timeout(longest))),
            ]
            .into_iter()
            .flatten(),
        );
        let _ = timeout(longest, ending).await;
    }
}

/// The SDK blocks, and what it waits for may need this thread.
fn ending(shut_down: impl FnOnce() -> OTelSdkResult + Send + 'static) -> JoinHandle<()> {
    spawn_blocking(move || {
        if let Err(error) = shut_down() {
            tracing::debug!(%error, "failed to export the last items");
        }
    })
}
