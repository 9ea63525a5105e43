//! Events of `tracing` as OTLP log records.

use super::{
    environment::Settings,
    queue::Queue,
    value::{self, Attributes, unix_nanos},
};
use crate::telemetry::{
    context::{SpanId, TraceId},
    names,
};
use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{AnyValue, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber},
};
use std::{fmt, sync::Arc, time::SystemTime};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// Puts every event that is logged into the queue as well.
#[derive(Clone)]
pub struct LogsLayer(pub Arc<Queue<LogRecord>>);

impl<S: Subscriber> Layer<S> for LogsLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        // What the exporter's own transport logs must not be exported: each
        // export would make the next.
        if !metadata.target().starts_with("claude_grpc") {
            return;
        }
        let level = *metadata.level();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let now = unix_nanos(SystemTime::now());
        let body = fields.message.map(|text| AnyValue {
            value: Some(Value::StringValue(text)),
        });
        self.0.push(
            LogRecord {
                time_unix_nano: now,
                observed_time_unix_nano: now,
                severity_number: severity(level).into(),
                severity_text: level.as_str().to_owned(),
                body,
                attributes: fields.attributes.0,
                trace_id: fields.trace.map_or_else(Vec::new, |it| it.0.to_vec()),
                span_id: fields.span.map_or_else(Vec::new, |it| it.0.to_vec()),
                ..LogRecord::default()
            },
            1,
        );
    }
}

fn severity(level: Level) -> SeverityNumber {
    match level {
        Level::ERROR => SeverityNumber::Error,
        Level::WARN => SeverityNumber::Warn,
        Level::INFO => SeverityNumber::Info,
        Level::DEBUG => SeverityNumber::Debug,
        Level::TRACE => SeverityNumber::Trace,
    }
}

#[derive(Default)]
struct Fields {
    message: Option<String>,
    trace: Option<TraceId>,
    span: Option<SpanId>,
    attributes: Attributes,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = Some(text),
            "trace_id" => self.trace = text.parse().ok(),
            "span_id" => self.span = text.parse().ok(),
            name => self.attributes.text(name, text),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = Some(value.to_owned()),
            name => self.attributes.text(name, value),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.attributes.number(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attributes.integer(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.attributes.integer(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.attributes.boolean(field.name(), value);
    }
}

/// A batch as it is sent.
pub fn request(batch: Vec<LogRecord>, settings: &Settings) -> (ExportLogsServiceRequest, usize) {
    let count = batch.len();
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(value::resource(&settings.resource)),
            scope_logs: vec![ScopeLogs {
                scope: Some(value::scope()),
                log_records: batch,
                schema_url: names::SCHEMA_URL.to_owned(),
            }],
            schema_url: names::SCHEMA_URL.to_owned(),
        }],
    };
    (request, count)
}
