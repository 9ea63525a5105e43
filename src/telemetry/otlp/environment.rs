//! The `OTEL_*` variables that the SDK and its exporters do not read, or that
//! have to be known beside them: whether a signal is exported at all and by
//! which protocol, `OTEL_SDK_DISABLED`, `OTEL_PROPAGATORS`, the certificates,
//! the sampler and limits of the spans that are made of records, and the length
//! of the queues, which are counted.
//!
//! The SDK reads `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, the rest of
//! `OTEL_BSP_*` and `OTEL_BLRP_*`, and `OTEL_METRIC_EXPORT_INTERVAL`; the
//! exporters read endpoints, headers, timeouts and compression.
//!
//! One thing differs from the specification: nothing is exported before a
//! variable asks for it, by an endpoint or an exporter, so that a service
//! without a collector does not look for one. A value that cannot be used is
//! told and ignored.

use crate::telemetry::sampler::Sampler;
use std::{path::PathBuf, time::Duration};

/// What the variables say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which calls are traced.
    pub sampler: Sampler,
    /// Whether callers' contexts are taken.
    pub takes_context: bool,
    /// Whether callers' baggage is read.
    pub takes_baggage: bool,
    /// Whether and how spans are exported.
    pub traces: Option<Target>,
    /// Whether and how metrics are pushed.
    pub metrics: Option<Target>,
    /// Whether and how log records are exported.
    pub logs: Option<Target>,
    /// Most spans that wait.
    pub span_queue: usize,
    /// Most log records that wait.
    pub log_queue: usize,
    /// Limits of spans.
    pub limits: Limits,
    /// Whether spans may show prompts and answers.
    pub content: bool,
    /// Values that were ignored, and why.
    pub ignored: Vec<String>,
}

/// Limits of the spans that are made of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest text of an attribute, in characters.
    pub value: Option<usize>,
    /// Most attributes of a span.
    pub attributes: usize,
    /// Most events of a span.
    pub events: usize,
}

/// How one signal is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// How.
    pub protocol: Protocol,
    /// Longest time of a request over HTTP, if it is said.
    pub timeout: Option<Duration>,
    /// File with the certificates to trust, instead of the system's.
    pub certificate: Option<PathBuf>,
    /// Files with our own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How a signal is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP, binary.
    Http,
}

/// Reads one variable; set to nothing counts as not set.
pub type Get<'a> = &'a dyn Fn(&str) -> Option<String>;

struct Reader<'a> {
    get: Get<'a>,
    ignored: Vec<String>,
}

// === impl Settings ===

impl Settings {
    /// What the variables say.
    pub fn read(get: Get<'_>) -> Settings {
        let mut reader = Reader {
            get,
            ignored: Vec::new(),
        };
        let is_on = !reader.boolean("OTEL_SDK_DISABLED");
        let propagators = reader.text("OTEL_PROPAGATORS");
        let propagates = |name: &str| match &propagators {
            Some(list) => list.split(',').any(|one| one.trim() == name),
            None => true,
        };
        let general = reader.integer("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
        let general_count = reader.integer("OTEL_ATTRIBUTE_COUNT_LIMIT");
        Settings {
            sampler: reader.sampler(),
            takes_context: propagates("tracecontext"),
            takes_baggage: propagates("baggage"),
            traces: reader.target("TRACES").filter(|_| is_on),
            metrics: reader.target("METRICS").filter(|_| is_on),
            logs: reader.target("LOGS").filter(|_| is_on),
            span_queue: reader.queue("OTEL_BSP_MAX_QUEUE_SIZE"),
            log_queue: reader.queue("OTEL_BLRP_MAX_QUEUE_SIZE"),
            limits: Limits {
                value: reader
                    .integer("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")
                    .or(general),
                attributes: reader
                    .integer("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")
                    .or(general_count)
                    .unwrap_or(128),
                events: reader.integer("OTEL_SPAN_EVENT_COUNT_LIMIT").unwrap_or(128),
            },
            content: reader.boolean("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"),
            ignored: reader.ignored,
        }
    }
}

impl Default for Settings {
    /// As without any variable.
    fn default() -> Self {
        Settings::read(&|_| None)
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.get)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    fn ignore(&mut self, name: &str, problem: &str) {
        self.ignored.push(format!("{name}: {problem}"));
    }

    fn boolean(&mut self, name: &str) -> bool {
        match self.text(name) {
            Some(value) if value.eq_ignore_ascii_case("true") => true,
            Some(value) if !value.eq_ignore_ascii_case("false") => {
                self.ignore(name, "has to be true or false");
                false
            }
            _ => false,
        }
    }

    fn integer(&mut self, name: &str) -> Option<usize> {
        let value = self.text(name)?;
        let parsed = value.parse().ok();
        if parsed.is_none() {
            self.ignore(name, "has to be a whole number");
        }
        parsed
    }

    /// The SDK's default for spans and log records.
    fn queue(&mut self, name: &str) -> usize {
        let given = self.integer(name);
        given.filter(|most| *most > 0).unwrap_or(2048)
    }

    fn sampler(&mut self) -> Sampler {
        let Some(name) = self.text("OTEL_TRACES_SAMPLER") else {
            return Sampler::default();
        };
        let argument = self.text("OTEL_TRACES_SAMPLER_ARG");
        match Sampler::named(&name, argument.as_deref()) {
            Ok(sampler) => sampler,
            Err(problem) => {
                self.ignore("OTEL_TRACES_SAMPLER", &problem);
                // A wrong argument is as none.
                Sampler::named(&name, None).unwrap_or_default()
            }
        }
    }

    /// A variable of one signal, or else the one of all.
    fn either(&self, signal: &str, what: &str) -> Option<String> {
        self.text(&format!("OTEL_EXPORTER_OTLP_{signal}_{what}"))
            .or_else(|| self.text(&format!("OTEL_EXPORTER_OTLP_{what}")))
    }

    fn target(&mut self, signal: &str) -> Option<Target> {
        let own = self.text(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"));
        let general = self.text("OTEL_EXPORTER_OTLP_ENDPOINT");
        let chosen = format!("OTEL_{signal}_EXPORTER");
        match self.text(&chosen).as_deref() {
            Some("otlp") => {}
            None if own.is_some() || general.is_some() => {}
            // The admin port serves Prometheus in any case.
            None | Some("none" | "prometheus") => return None,
            Some(other) => {
                let problem = format!("{other:?} is no exporter of this service");
                self.ignore(&chosen, &problem);
                return None;
            }
        }
        let protocol = match self.either(signal, "PROTOCOL").as_deref() {
            None | Some("http/protobuf") => Protocol::Http,
            Some("grpc") => Protocol::Grpc,
            Some(other) => {
                let problem = format!("{other:?} is not supported; http/protobuf is used");
                self.ignore("OTEL_EXPORTER_OTLP_PROTOCOL", &problem);
                Protocol::Http
            }
        };
        let timeout = self
            .either(signal, "TIMEOUT")
            .and_then(|it| it.parse().ok());
        let file = |what| self.either(signal, what).map(PathBuf::from);
        Some(Target {
            protocol,
            timeout: timeout.map(Duration::from_millis),
            certificate: file("CERTIFICATE"),
            identity: file("CLIENT_CERTIFICATE").zip(file("CLIENT_KEY")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Settings {
        Settings::read(&|name| {
            let found = variables.iter().find(|(one, _)| *one == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_is_exported_unasked() {
        let settings = read(&[]);
        assert!(settings.traces.is_none() && settings.logs.is_none());
        assert_eq!(settings.span_queue, 2048);
    }

    #[test]
    fn a_protocol_is_chosen() {
        let asked = ("OTEL_TRACES_EXPORTER", "otlp");
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let protocol = |variables: &[(&str, &str)]| read(variables).traces.unwrap().protocol;
        assert_eq!(protocol(&[asked]), Protocol::Http);
        assert_eq!(protocol(&[asked, grpc]), Protocol::Grpc);
        let own = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf");
        assert_eq!(protocol(&[asked, grpc, own]), Protocol::Http);
    }

    #[test]
    fn signals_are_chosen_one_by_one() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
        ]);
        assert!(settings.logs.is_none() && settings.metrics.is_none());
        let traces = settings.traces.unwrap();
        assert_eq!(traces.timeout, Some(Duration::from_millis(250)));
        let disabled = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"),
            ("OTEL_SDK_DISABLED", "true"),
        ]);
        assert!(disabled.traces.is_none());
    }

    #[test]
    fn what_cannot_be_used_is_told_and_ignored() {
        let settings = read(&[
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "most"),
            ("OTEL_SDK_DISABLED", "yes"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
        ]);
        assert_eq!(settings.ignored.len(), 4, "{:?}", settings.ignored);
        let trace = crate::telemetry::context::TraceId::random();
        assert!(settings.sampler.samples(trace, None));
    }
}
