//! The SDK's batch processors, with a bound that is counted.

use super::counted::{Counted, Room};
use crate::telemetry::{
    context::{SpanId, TraceId},
    metrics::{Metrics, Signal},
};
use opentelemetry::{
    Context, InstrumentationScope,
    logs::{AnyValue, LogRecord},
    trace::TraceFlags,
};
use opentelemetry_otlp::{LogExporter, SpanExporter};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{self, BatchLogProcessor, LogProcessor, SdkLogRecord},
    trace::{self, BatchSpanProcessor, Span, SpanData, SpanProcessor},
};
use std::{sync::Arc, time::Duration};

/// Where spans are left: those that are made of the records of calls, and, as
/// the processor of a provider, those of `tracing`. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Spans(Arc<SpanBatch>);

#[derive(Debug)]
struct SpanBatch {
    processor: BatchSpanProcessor,
    room: Room,
}

/// Where log records are left.
#[derive(Debug)]
pub struct Records {
    processor: BatchLogProcessor,
    room: Room,
}

// === impl Spans ===

impl Spans {
    /// Spans to a collector; at most so many wait. The SDK reads the other
    /// `OTEL_BSP_*` variables.
    pub fn new(
        exporter: SpanExporter,
        resource: &Resource,
        metrics: &Arc<Metrics>,
        most: usize,
    ) -> Self {
        let room = Room::new(metrics, Signal::Traces, most);
        let config = trace::BatchConfigBuilder::default().with_max_queue_size(most);
        let mut processor = BatchSpanProcessor::builder(Counted::new(exporter, room.clone()))
            .with_batch_config(config.build())
            .build();
        processor.set_resource(resource);
        Spans(Arc::new(SpanBatch { processor, room }))
    }

    /// Leaves all of these spans, or, without room, none.
    pub fn leave(&self, spans: Vec<SpanData>) {
        if self.0.room.take(spans.len()) {
            for span in spans {
                self.0.processor.on_end(span);
            }
        }
    }
}

impl SpanProcessor for Spans {
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

// === impl Records ===

impl Records {
    /// Log records to a collector; at most so many wait. The SDK reads the
    /// other `OTEL_BLRP_*` variables.
    pub fn new(exporter: LogExporter, metrics: &Arc<Metrics>, most: usize) -> Self {
        let room = Room::new(metrics, Signal::Logs, most);
        let config = logs::BatchConfigBuilder::default().with_max_queue_size(most);
        let processor = BatchLogProcessor::builder(Counted::new(exporter, room.clone()))
            .with_batch_config(config.build())
            .build();
        Records { processor, room }
    }
}

impl LogProcessor for Records {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if !self.room.take(1) {
            return;
        }
        if let Some((trace, span)) = ids(record) {
            let (trace, span) = (trace.into(), span.into());
            record.set_trace_context(trace, span, Some(TraceFlags::default()));
        }
        self.processor.emit(record, scope);
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

/// The ids of the line of a call, which is logged outside of any span of
/// `tracing`.
fn ids(record: &SdkLogRecord) -> Option<(TraceId, SpanId)> {
    let text = |name: &str| {
        let mut all = record.attributes_iter();
        match all.find(|(key, _)| key.as_str() == name) {
            Some((_, AnyValue::String(text))) => Some(text.as_str().to_owned()),
            _ => None,
        }
    };
    let trace = text("trace_id")?.parse().ok()?;
    let span = text("span_id")?.parse().ok()?;
    Some((trace, span))
}
