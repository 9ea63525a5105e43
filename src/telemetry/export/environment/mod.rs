//! The `OTEL_*` variables: all that the specification defines for what the
//! service does, as it defines them.
//!
//! The SDK reads the rest of `OTEL_BSP_*` and `OTEL_BLRP_*` and
//! `OTEL_METRIC_EXPORT_INTERVAL` itself, and the exporters endpoints, headers,
//! compression, insecurity and the temporality of metrics. Here is what they do
//! not read, or read otherwise than the specification has it, or what has to
//! be known beside them. docs/telemetry.md lists every variable.
//!
//! One thing differs from the specification: nothing is exported before a
//! variable asks for it, by an endpoint or an exporter, so that a service
//! without a collector does not look for one. A value that cannot be used is
//! told and ignored.

mod limits;
mod reader;
mod resource;
mod target;

pub use limits::{LogLimits, SpanLimits, shortened};
pub use reader::GetVariable;
pub use target::{ExportTarget, OtlpProtocol, OtlpTarget};

use crate::telemetry::sampler::{ExemplarFilter, Sampler};
use reader::VariableReader;

/// Variables of the specification that this service has nothing for, and what
/// to use instead.
const NOT_HERE: [(&str, &str); 5] = [
    (
        "OTEL_CONFIG_FILE",
        "is not supported: use the variables of each setting",
    ),
    (
        "OTEL_EXPORTER_PROMETHEUS_HOST",
        "is not supported: set admin.listen",
    ),
    (
        "OTEL_EXPORTER_PROMETHEUS_PORT",
        "is not supported: set admin.listen",
    ),
    ("OTEL_LOG_LEVEL", "is not supported: set log.level"),
    (
        "OTEL_EXPORTER_ZIPKIN_ENDPOINT",
        "is not supported: use OTLP",
    ),
];

/// What the variables say.
#[derive(Debug, Clone)]
pub struct OtelSettings {
    /// Which calls are traced.
    pub sampler: Sampler,
    /// Whether callers' contexts are taken.
    pub takes_context: bool,
    /// Whether callers' baggage is read.
    pub takes_baggage: bool,
    /// Whether and how spans are exported.
    pub traces: Option<ExportTarget>,
    /// Whether and how metrics are pushed.
    pub metrics: Option<ExportTarget>,
    /// Whether and how log records are exported.
    pub logs: Option<ExportTarget>,
    /// Attributes of the resource, with its name.
    pub resource: Vec<(String, String)>,
    /// Most spans that wait.
    pub span_queue: usize,
    /// Most log records that wait.
    pub log_queue: usize,
    /// Limits of spans.
    pub span_limits: SpanLimits,
    /// Limits of log records.
    pub log_limits: LogLimits,
    /// Which calls may be exemplars.
    pub exemplars: ExemplarFilter,
    /// Whether histograms are pushed with exponential buckets.
    pub exponential_histograms: bool,
    /// Whether spans may show prompts and answers.
    pub content: bool,
    /// Values that were ignored, and why.
    pub ignored: Vec<String>,
}

// === impl OtelSettings ===

impl OtelSettings {
    /// What the variables say.
    pub fn read(get: GetVariable<'_>) -> OtelSettings {
        let mut reader = VariableReader::new(get);
        for (name, instead) in NOT_HERE {
            if reader.text(name).is_some() {
                reader.ignore(name, instead);
            }
        }
        let is_on = !reader.boolean("OTEL_SDK_DISABLED");
        let propagators = reader.list("OTEL_PROPAGATORS", &["tracecontext", "baggage"]);
        let propagates = |name: &str| match &propagators {
            Some(list) => list.iter().any(|one| one == name),
            None => true,
        };
        let (span_limits, log_limits) = reader.limits();
        OtelSettings {
            sampler: reader.sampler(),
            takes_context: propagates("tracecontext"),
            takes_baggage: propagates("baggage"),
            traces: reader.target("TRACES", "OTEL_BSP_EXPORT_TIMEOUT", is_on),
            metrics: reader.target("METRICS", "OTEL_METRIC_EXPORT_TIMEOUT", is_on),
            logs: reader.target("LOGS", "OTEL_BLRP_EXPORT_TIMEOUT", is_on),
            resource: reader.resource(),
            span_queue: reader.queue("OTEL_BSP_MAX_QUEUE_SIZE"),
            log_queue: reader.queue("OTEL_BLRP_MAX_QUEUE_SIZE"),
            span_limits,
            log_limits,
            exemplars: reader.exemplars(),
            exponential_histograms: reader.exponential_histograms(),
            content: reader.boolean("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"),
            ignored: reader.ignored,
        }
    }
}

impl Default for OtelSettings {
    /// As without any variable.
    fn default() -> Self {
        OtelSettings::read(&|_| None)
    }
}

// === impl VariableReader ===

impl VariableReader<'_> {
    /// The SDK's default for spans and log records.
    fn queue(&mut self, name: &str) -> usize {
        let given = self.integer(name);
        given.filter(|most| *most > 0).unwrap_or(2048)
    }

    fn sampler(&mut self) -> Sampler {
        let Some(name) = self.word("OTEL_TRACES_SAMPLER") else {
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

    fn exemplars(&mut self) -> ExemplarFilter {
        let choices = [
            ("trace_based", ExemplarFilter::TraceBased),
            ("always_on", ExemplarFilter::AlwaysOn),
            ("always_off", ExemplarFilter::AlwaysOff),
        ];
        self.choice("OTEL_METRICS_EXEMPLAR_FILTER", &choices)
            .unwrap_or_default()
    }

    fn exponential_histograms(&mut self) -> bool {
        let choices = [
            ("explicit_bucket_histogram", false),
            ("base2_exponential_bucket_histogram", true),
        ];
        let name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
        self.choice(name, &choices).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests;
