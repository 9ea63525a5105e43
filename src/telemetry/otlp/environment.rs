//! The `OTEL_*` variables, as the OpenTelemetry specification has them.
//!
//! One thing differs: nothing is exported before a variable asks for it, by an
//! endpoint or an exporter, so that a service without a collector does not
//! look for one. A value that cannot be used is told and ignored, as the
//! specification says.

use crate::telemetry::{context::percent_decoded, sampler::Sampler};
use std::{path::PathBuf, time::Duration};

/// What the variables say.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `service.name` and the like.
    pub resource: Vec<(String, String)>,
    /// Which calls are traced.
    pub sampler: Sampler,
    /// Whether callers' contexts are taken.
    pub takes_context: bool,
    /// Whether callers' baggage is read.
    pub takes_baggage: bool,
    /// Where spans go.
    pub traces: Option<Target>,
    /// Where metrics go.
    pub metrics: Option<Target>,
    /// Where log records go.
    pub logs: Option<Target>,
    /// How spans are gathered.
    pub span_batch: Batch,
    /// How log records are gathered.
    pub log_batch: Batch,
    /// How often metrics are sent.
    pub metric_interval: Duration,
    /// Longest text of an attribute, in characters.
    pub value_limit: Option<usize>,
    /// Most attributes of a span.
    pub attribute_limit: usize,
    /// Most events of a span.
    pub event_limit: usize,
    /// Whether spans may show prompts and answers.
    pub content: bool,
    /// Values that were ignored, and why.
    pub ignored: Vec<String>,
}

/// Where one signal goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The whole address: for HTTP with its path.
    pub endpoint: String,
    /// How.
    pub protocol: Protocol,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// Longest time for one try.
    pub timeout: Duration,
    /// Whether bodies are compressed.
    pub gzip: bool,
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

/// How items are gathered before they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Longest time until they are sent.
    pub delay: Duration,
    /// Most that wait.
    pub queue: usize,
    /// Most sent at once.
    pub batch: usize,
    /// Longest time to send them.
    pub timeout: Duration,
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
            resource: reader.resource(),
            sampler: reader.sampler(),
            takes_context: propagates("tracecontext"),
            takes_baggage: propagates("baggage"),
            traces: reader.target("TRACES", "traces").filter(|_| is_on),
            metrics: reader.target("METRICS", "metrics").filter(|_| is_on),
            logs: reader.target("LOGS", "logs").filter(|_| is_on),
            span_batch: reader.batch("BSP", 5_000),
            log_batch: reader.batch("BLRP", 1_000),
            metric_interval: reader.millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000),
            value_limit: reader
                .integer("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")
                .or(general),
            attribute_limit: reader
                .integer("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")
                .or(general_count)
                .unwrap_or(128),
            event_limit: reader.integer("OTEL_SPAN_EVENT_COUNT_LIMIT").unwrap_or(128),
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

    fn millis(&mut self, name: &str, default: u64) -> Duration {
        let millis = self.integer(name).filter(|it| *it > 0);
        Duration::from_millis(millis.map_or(default, |it| it as u64))
    }

    fn batch(&mut self, of: &str, delay: u64) -> Batch {
        let queue = self.integer(&format!("OTEL_{of}_MAX_QUEUE_SIZE"));
        let batch = self.integer(&format!("OTEL_{of}_MAX_EXPORT_BATCH_SIZE"));
        let queue = queue.filter(|it| *it > 0).unwrap_or(2048);
        Batch {
            delay: self.millis(&format!("OTEL_{of}_SCHEDULE_DELAY"), delay),
            queue,
            batch: batch.filter(|it| *it > 0).unwrap_or(512).min(queue),
            timeout: self.millis(&format!("OTEL_{of}_EXPORT_TIMEOUT"), 30_000),
        }
    }

    fn sampler(&mut self) -> Sampler {
        let Some(name) = self.text("OTEL_TRACES_SAMPLER") else {
            return Sampler::PARENT_BASED_ALWAYS_ON;
        };
        let argument = self.text("OTEL_TRACES_SAMPLER_ARG");
        match Sampler::named(&name, argument.as_deref()) {
            Ok(sampler) => sampler,
            Err(problem) => {
                self.ignore("OTEL_TRACES_SAMPLER", &problem);
                // A wrong argument is as none.
                Sampler::named(&name, None).unwrap_or(Sampler::PARENT_BASED_ALWAYS_ON)
            }
        }
    }

    fn resource(&mut self) -> Vec<(String, String)> {
        let mut resource = Vec::new();
        if let Some(list) = self.text("OTEL_RESOURCE_ATTRIBUTES") {
            match pairs(&list) {
                Some(pairs) => resource = pairs,
                // One wrong pair makes all of them void.
                None => self.ignore("OTEL_RESOURCE_ATTRIBUTES", "is no list of key=value"),
            }
        }
        let name = self.text("OTEL_SERVICE_NAME");
        let has_name = resource.iter().any(|(key, _)| key == "service.name");
        if name.is_some() || !has_name {
            resource.retain(|(key, _)| key != "service.name");
            let name = name.unwrap_or_else(|| "claude-grpc".to_owned());
            resource.insert(0, ("service.name".to_owned(), name));
        }
        for (key, value) in [
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("telemetry.sdk.name", "claude-grpc"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ] {
            if !resource.iter().any(|(given, _)| given == key) {
                resource.push((key.to_owned(), value.to_owned()));
            }
        }
        resource
    }

    /// A variable of one signal, or else the one of all.
    fn either(&self, signal: &str, what: &str) -> Option<String> {
        self.text(&format!("OTEL_EXPORTER_OTLP_{signal}_{what}"))
            .or_else(|| self.text(&format!("OTEL_EXPORTER_OTLP_{what}")))
    }

    fn target(&mut self, signal: &str, path: &str) -> Option<Target> {
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
        let is_insecure = self
            .either(signal, "INSECURE")
            .is_some_and(|it| it.eq_ignore_ascii_case("true"));
        let endpoint = match (protocol, own, general) {
            (_, Some(own), _) => with_scheme(&own, is_insecure),
            (Protocol::Grpc, None, general) => {
                let general = general.unwrap_or_else(|| "http://localhost:4317".to_owned());
                with_scheme(&general, is_insecure)
            }
            (Protocol::Http, None, general) => {
                let general = general.unwrap_or_else(|| "http://localhost:4318".to_owned());
                format!("{}/v1/{path}", general.trim_end_matches('/'))
            }
        };
        let headers = self.either(signal, "HEADERS").and_then(|list| {
            let pairs = pairs(&list);
            if pairs.is_none() {
                self.ignore("OTEL_EXPORTER_OTLP_HEADERS", "is no list of key=value");
            }
            pairs
        });
        let timeout = self
            .either(signal, "TIMEOUT")
            .and_then(|it| it.parse().ok());
        let file = |what| self.either(signal, what).map(PathBuf::from);
        Some(Target {
            endpoint,
            protocol,
            headers: headers.unwrap_or_default(),
            timeout: Duration::from_millis(timeout.unwrap_or(10_000)),
            gzip: self.either(signal, "COMPRESSION").as_deref() == Some("gzip"),
            certificate: file("CERTIFICATE"),
            identity: file("CLIENT_CERTIFICATE").zip(file("CLIENT_KEY")),
        })
    }
}

/// gRPC endpoints may come without a scheme.
fn with_scheme(endpoint: &str, is_insecure: bool) -> String {
    match (endpoint.contains("://"), is_insecure) {
        (true, _) => endpoint.to_owned(),
        (false, true) => format!("http://{endpoint}"),
        (false, false) => format!("https://{endpoint}"),
    }
}

/// `a=b,c=d`, percent-encoded.
fn pairs(list: &str) -> Option<Vec<(String, String)>> {
    list.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let key = key.trim();
            (!key.is_empty()).then(|| (key.to_owned(), percent_decoded(value.trim())))
        })
        .collect()
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
        assert_eq!(settings.resource[0].1, "claude-grpc");
        assert_eq!(settings.span_batch.queue, 2048);
        assert_eq!(settings.span_batch.batch, 512);
    }

    #[test]
    fn an_endpoint_is_completed_for_http_and_taken_as_it_is_otherwise() {
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1/base/");
        let endpoint = |variables: &[(&str, &str)]| read(variables).traces.unwrap().endpoint;
        assert_eq!(endpoint(&[all]), "http://c:1/base/v1/traces");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://d:2/x");
        assert_eq!(endpoint(&[all, own]), "http://d:2/x");
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        assert_eq!(endpoint(&[all, grpc]), "http://c:1/base/");
        let bare = ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317");
        assert_eq!(endpoint(&[bare, grpc]), "https://c:4317");
        let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
        assert_eq!(endpoint(&[bare, grpc, insecure]), "http://c:4317");
        let asked = ("OTEL_TRACES_EXPORTER", "otlp");
        assert_eq!(endpoint(&[asked]), "http://localhost:4318/v1/traces");
        assert_eq!(endpoint(&[asked, grpc]), "http://localhost:4317");
    }

    #[test]
    fn signals_are_chosen_one_by_one() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b%20c,d=e"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ]);
        assert!(settings.logs.is_none() && settings.metrics.is_none());
        let traces = settings.traces.unwrap();
        assert_eq!(traces.headers[0], ("a".to_owned(), "b c".to_owned()));
        assert_eq!(traces.timeout, Duration::from_millis(250));
        assert!(traces.gzip);
        let disabled = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"),
            ("OTEL_SDK_DISABLED", "true"),
        ]);
        assert!(disabled.traces.is_none());
    }

    #[test]
    fn the_resource_is_as_specified() {
        let settings = read(&[
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=a,deployment=b%2Cc",
            ),
            ("OTEL_SERVICE_NAME", "mine"),
        ]);
        let of = |key: &str| {
            let mut found = settings.resource.iter().filter(|(one, _)| one == key);
            let value = found.next().map(|(_, value)| value.as_str());
            assert!(found.next().is_none());
            value
        };
        assert_eq!(of("service.name"), Some("mine"));
        assert_eq!(of("deployment"), Some("b,c"));
        assert_eq!(of("telemetry.sdk.language"), Some("rust"));
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
        assert_eq!(settings.sampler, Sampler::PARENT_BASED_ALWAYS_ON);
    }
}
