//! The batch processors of the SDK, with a queue budget that counts drops.

use super::{
    counted::{CountingExporter, QueueBudget},
    environment::{LogLimits, SpanLimits, shortened},
};
use crate::telemetry::metrics::{ExportSignal, Metrics};
use opentelemetry::{
    Context, InstrumentationScope, SpanId, TraceId,
    logs::{AnyValue, LogRecord, Logger, LoggerProvider},
    trace::TraceFlags,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{
        self, BatchLogProcessor, LogExporter, LogProcessor, SdkLogRecord, SdkLogger,
        SdkLoggerProvider,
    },
    trace::{self, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor},
};
use std::{sync::Arc, time::Duration};

/// Queues spans for export: those made from the records of calls, and, as the
/// processor of a provider, those of `tracing`. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct SpanQueue(Arc<SpanBatch>);

#[derive(Debug)]
struct SpanBatch {
    processor: BatchSpanProcessor,
    budget: QueueBudget,
    limits: SpanLimits,
}

/// Queues log records for export.
#[derive(Debug)]
pub struct LogQueue {
    processor: BatchLogProcessor,
    budget: QueueBudget,
    limits: LogLimits,
    /// Creates records to replace those that exceed the limits.
    blank: SdkLogger,
}

// === impl SpanQueue ===

impl SpanQueue {
    /// Creates a queue of at most `most` spans. The SDK reads the other
    /// `OTEL_BSP_*` variables.
    pub fn new(
        exporter: impl SpanExporter + 'static,
        resource: &Resource,
        metrics: &Arc<Metrics>,
        most: usize,
        limits: SpanLimits,
    ) -> Self {
        let budget = QueueBudget::new(metrics, ExportSignal::Traces, most);
        let config = trace::BatchConfigBuilder::default().with_max_queue_size(most);
        let mut processor =
            BatchSpanProcessor::builder(CountingExporter::new(exporter, budget.clone()))
                .with_batch_config(config.build())
                .build();
        processor.set_resource(resource);
        SpanQueue(Arc::new(SpanBatch {
            processor,
            budget,
            limits,
        }))
    }

    /// Queues all of these spans, or drops them all if the queue is too full.
    pub fn leave(&self, spans: Vec<SpanData>) {
        if self.0.budget.take(spans.len()) {
            for mut span in spans {
                // The SDK applies limits in its own tracer only, and not all of
                // them.
                self.0.limits.apply(&mut span);
                self.0.processor.on_end(span);
            }
        }
    }
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.leave(vec![span]);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.processor.shutdown_with_timeout(timeout)
    }
}

// === impl LogQueue ===

impl LogQueue {
    /// Creates a queue of at most `most` records. The SDK reads the other
    /// `OTEL_BLRP_*` variables.
    pub fn new(
        exporter: impl LogExporter + 'static,
        metrics: &Arc<Metrics>,
        most: usize,
        limits: LogLimits,
    ) -> Self {
        let budget = QueueBudget::new(metrics, ExportSignal::Logs, most);
        let config = logs::BatchConfigBuilder::default().with_max_queue_size(most);
        let processor = BatchLogProcessor::builder(CountingExporter::new(exporter, budget.clone()))
            .with_batch_config(config.build())
            .build();
        LogQueue {
            processor,
            budget,
            limits,
            blank: SdkLoggerProvider::builder().build().logger(""),
        }
    }
}

impl LogProcessor for LogQueue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if !self.budget.take(1) {
            return;
        }
        if let Some((trace, span, flags)) = context(record) {
            record.set_trace_context(trace, span, Some(flags));
        }
        match self.limited(record) {
            Some(mut limited) => self.processor.emit(&mut limited, scope),
            None => self.processor.emit(record, scope),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

impl LogQueue {
    /// The record cut to the limits, if it exceeds them.
    fn limited(&self, record: &SdkLogRecord) -> Option<SdkLogRecord> {
        let LogLimits { value, attributes } = self.limits;
        let is_long = |given: &AnyValue| match (given, value) {
            (AnyValue::String(text), Some(longest)) => shortened(text.as_str(), longest).is_some(),
            _ => false,
        };
        let has_many = record.attributes_iter().nth(attributes).is_some();
        if !has_many && !record.attributes_iter().any(|(_, given)| is_long(given)) {
            return None;
        }
        // Attributes of a record can be added but not changed.
        let mut limited = self.blank.create_log_record();
        if let Some(name) = record.event_name() {
            limited.set_event_name(name);
        }
        if let Some(target) = record.target() {
            limited.set_target(target.clone());
        }
        if let Some(at) = record.timestamp() {
            limited.set_timestamp(at);
        }
        if let Some(at) = record.observed_timestamp() {
            limited.set_observed_timestamp(at);
        }
        if let Some(severity) = record.severity_number() {
            limited.set_severity_number(severity);
        }
        if let Some(severity) = record.severity_text() {
            limited.set_severity_text(severity);
        }
        if let Some(body) = record.body() {
            limited.set_body(body.clone());
        }
        if let Some(context) = record.trace_context() {
            limited.set_trace_context(context.trace_id, context.span_id, context.trace_flags);
        }
        for (key, given) in record.attributes_iter().take(attributes) {
            let short = match (given, value) {
                (AnyValue::String(text), Some(longest)) => shortened(text.as_str(), longest),
                _ => None,
            };
            match short {
                Some(short) => limited.add_attribute(key.clone(), short.to_owned()),
                None => limited.add_attribute(key.clone(), given.clone()),
            }
        }
        Some(limited)
    }
}

/// The trace context of the log record of a call, which is logged outside any
/// span of `tracing`.
fn context(record: &SdkLogRecord) -> Option<(TraceId, SpanId, TraceFlags)> {
    let get = |name: &str| {
        let mut all = record.attributes_iter();
        all.find(|(key, _)| key.as_str() == name).map(|(_, it)| it)
    };
    let text = |name: &str| match get(name) {
        Some(AnyValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let trace = TraceId::from_hex(text("trace_id")?).ok()?;
    let span = SpanId::from_hex(text("span_id")?).ok()?;
    let is_sampled = matches!(get("sampled"), Some(AnyValue::Boolean(true)));
    Some((trace, span, TraceFlags::default().with_sampled(is_sampled)))
}
