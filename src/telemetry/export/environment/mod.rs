//! The `OTEL_*` variables: all that the specification defines for what the
//! service does, as it defines them.
//!
//! The SDK itself reads `OTEL_METRIC_EXPORT_INTERVAL` and the rest of
//! `OTEL_BSP_*` and `OTEL_BLRP_*`; the exporters read endpoints, headers,
//! compression, insecurity and the temporality of metrics. This module reads
//! what they do not read, what they read differently from the specification, and
//! what the service must know as well. docs/telemetry.md lists every variable.
//!
//! One thing differs from the specification: nothing is exported unless a
//! variable names an endpoint or an exporter, so that a service without a
//! collector does not try to connect to one. An invalid value is reported and
//! ignored.

mod limits;
mod reader;
mod resource;
mod target;

pub use limits::{LogLimits, SpanLimits, shortened};
pub use reader::GetVariable;
pub use target::{ExportTarget, OtlpProtocol, OtlpTarget};

use crate::telemetry::sampler::{ExemplarFilter, Sampler};
use reader::VariableReader;

/// Variables of the specification that the service does not support, and what to
/// use instead.
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

/// The settings of OpenTelemetry that the variables define.
#[derive(Debug, Clone)]
pub struct OtelSettings {
    /// Which calls are sampled.
    pub sampler: Sampler,
    /// Whether the trace context of callers is continued.
    pub accepts_context: bool,
    /// Whether the baggage of callers is read.
    pub accepts_baggage: bool,
    /// Where spans are exported, if anywhere.
    pub traces: Option<ExportTarget>,
    /// Where metrics are pushed, if anywhere.
    pub metrics: Option<ExportTarget>,
    /// Where log records are exported, if anywhere.
    pub logs: Option<ExportTarget>,
    /// Attributes of the resource, including the service name.
    pub resource: Vec<(String, String)>,
    /// Maximum number of queued spans.
    pub span_queue: usize,
    /// Maximum number of queued log records.
    pub log_queue: usize,
    /// Limits of exported spans.
    pub span_limits: SpanLimits,
    /// Limits of exported log records.
    pub log_limits: LogLimits,
    /// Which calls may be exemplars.
    pub exemplars: ExemplarFilter,
    /// Whether histograms are pushed with exponential buckets.
    pub exponential_histograms: bool,
    /// Whether spans contain prompts and responses.
    pub content: bool,
    /// Messages about ignored values.
    pub ignored: Vec<String>,
}

// === impl OtelSettings ===

impl OtelSettings {
    /// Reads the variables.
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
            accepts_context: propagates("tracecontext"),
            accepts_baggage: propagates("baggage"),
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
    /// The settings without any variable.
    fn default() -> Self {
        OtelSettings::read(&|_| None)
    }
}

// === impl VariableReader ===

impl VariableReader<'_> {
    /// A queue size, which defaults to that of the SDK.
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
                // An invalid argument is treated as absent.
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
