//! Traces of the calls that a command makes: a span for the command, one below
//! it for each call, and its context in the call's metadata.

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

/// The variables in which a process that starts another one names its span.
const VARIABLES: [(&str, &str); 2] = [("traceparent", "TRACEPARENT"), ("tracestate", "TRACESTATE")];

/// Exports the spans of a command.
pub struct CommandTracing {
    export: Export,
    parent: opentelemetry::Context,
}

impl CommandTracing {
    /// Traces this process, if the `OTEL_*` variables ask for it. Has to be
    /// called on a runtime.
    ///
    /// # Errors
    /// When they name what cannot be used.
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
            crate::pricing::PriceTable::default(),
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

    /// The span of a command, below the one that started the process.
    pub fn span(&self, command: &'static str) -> Span {
        let span = tracing::info_span!("command", otel.name = command, otel.status_code = Empty);
        // Fails only where nothing traces.
        let _ = span.set_parent(self.parent.clone());
        span
    }

    /// Sends what still waits, in no longer than this.
    pub async fn shut_down(self, longest: Duration) {
        self.export.shut_down(longest).await;
    }
}

/// The span of a call of this method, in full.
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

/// What happened in a span failed.
pub fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

/// The headers that name a span as the parent; none where nothing traces.
pub fn headers(span: &Span) -> HeaderMap {
    let mut headers = Headers(HeaderMap::new());
    TraceContextPropagator::new().inject_context(&span.context(), &mut headers);
    headers.0
}

struct Headers(HeaderMap);

impl Injector for Headers {
    fn set(&mut self, name: &str, value: String) {
        let name = HeaderName::try_from(name);
        // An empty `tracestate` says nothing.
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
