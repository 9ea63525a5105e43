//! Traces of the calls that a command makes: a span for the command, a child
//! span for each call, and its context in the metadata of the call.

use super::{
    error::TelemetryError,
    export::{Export, OtelSettings, environment::GetVariable},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use std::{sync::Arc, time::Duration};
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt};

/// The environment variables by which a parent process passes its span.
const VARIABLES: [(&str, &str); 2] = [("traceparent", "TRACEPARENT"), ("tracestate", "TRACESTATE")];

/// Exports the spans of a command.
pub struct CommandTracing {
    export: Export,
    parent: opentelemetry::Context,
}

impl CommandTracing {
    /// Traces this process, if the `OTEL_*` variables enable it. Must be called
    /// on a Tokio runtime.
    ///
    /// # Errors
    /// Fails when they name an unusable export target.
    pub fn start(get: GetVariable<'_>) -> Result<Option<CommandTracing>, TelemetryError> {
        let settings = OtelSettings {
            metrics: None,
            logs: None,
            ..OtelSettings::read(get)
        };
        if settings.traces.is_none() {
            return Ok(None);
        }
        let metrics = Arc::new(super::metrics::Metrics::new(
            crate::models::PriceTable::default(),
            [],
        ));
        let export = Export::start(&settings, &metrics)?;
        let spans = export.tracer().map(|tracer| {
            tracing_opentelemetry::layer()
                .with_tracer(tracer)
                .with_location(false)
                .with_threads(false)
                .with_filter(filter_fn(|it| it.target().starts_with("claude_grpc")))
        });
        tracing_subscriber::registry()
            .with(spans)
            .try_init()
            .map_err(|_| TelemetryError::Twice)?;
        let given = Variables(VARIABLES.map(|(name, variable)| (name, get(variable))));
        Ok(Some(CommandTracing {
            export,
            parent: TraceContextPropagator::new().extract(&given),
        }))
    }

    /// The span of a command, a child of the span that started the process.
    pub fn span(&self, command: &'static str) -> Span {
        let span = tracing::info_span!("command", otel.name = command, otel.status_code = Empty);
        // Fails only when nothing is traced.
        let _ = span.set_parent(self.parent.clone());
        span
    }

    /// Exports what is queued, and stops after `longest` at the latest.
    pub async fn shut_down(self, longest: Duration) {
        self.export.shut_down(longest).await;
    }
}

/// The span of a call. `method` is the full name of the method.
pub fn call_span(method: &'static str) -> Span {
    tracing::info_span!(
        "call",
        otel.name = method,
        otel.kind = "client",
        rpc.system.name = super::names::GRPC,
        rpc.method = method,
        otel.status_code = Empty
    )
}

/// Marks a span as failed.
pub fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

/// The headers that propagate a span; none when nothing is traced.
pub fn headers(span: &Span) -> HeaderMap {
    let mut headers = Headers(HeaderMap::new());
    TraceContextPropagator::new().inject_context(&span.context(), &mut headers);
    headers.0
}

struct Headers(HeaderMap);

impl Injector for Headers {
    fn set(&mut self, name: &str, value: String) {
        let name = HeaderName::try_from(name);
        // An empty `tracestate` is omitted.
        if let (Ok(name), Ok(value), false) =
            (name, HeaderValue::try_from(&value), value.is_empty())
        {
            self.0.insert(name, value);
        }
    }
}

struct Variables([(&'static str, Option<String>); 2]);

impl Extractor for Variables {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(one, _)| *one == name)?;
        found.1.as_deref()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }
}
