//! The text formats of Prometheus: OpenMetrics 1.0 with exemplars, or the older
//! format without.

use super::{
    family::{Family, PointValue},
    histogram::{Exemplar, HistogramSnapshot},
};
use crate::telemetry::names::{self, MetricKind};
use std::{borrow::Cow, fmt::Write as _, time::UNIX_EPOCH};

/// A text format of Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// `text/plain; version=0.0.4`.
    Plain,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl TextFormat {
    /// The format that an `Accept` header requests.
    pub fn accepted(accept: &str) -> TextFormat {
        if accept.contains("application/openmetrics-text") {
            TextFormat::OpenMetrics
        } else {
            TextFormat::Plain
        }
    }

    /// The media type of the format.
    pub fn content_type(self) -> &'static str {
        match self {
            TextFormat::Plain => "text/plain; version=0.0.4; charset=utf-8",
            TextFormat::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

type Labels<'a> = &'a [(&'static str, Cow<'static, str>)];

/// Encodes families as text.
pub fn render(families: &[Family], format: TextFormat) -> String {
    let mut text = String::with_capacity(32 * 1024);
    for family in families {
        render_family(&mut text, family, format);
    }
    if format == TextFormat::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn render_family(text: &mut String, family: &Family, format: TextFormat) {
    let metric = family.metric;
    let name = names::prometheus(metric);
    let samples = match metric.kind {
        MetricKind::Counter => format!("{name}_total"),
        _ => name.clone(),
    };
    let described = match format {
        TextFormat::OpenMetrics => &name,
        TextFormat::Plain => &samples,
    };
    let kind = match metric.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    };
    // Writing to a `String` never fails.
    let _ = writeln!(text, "# HELP {described} {}", metric.help);
    let _ = writeln!(text, "# TYPE {described} {kind}");
    for point in &family.points {
        match &point.value {
            PointValue::Number(number) => {
                text.push_str(&samples);
                labels(text, &point.attributes, None);
                let _ = writeln!(text, " {number}");
            }
            PointValue::Histogram(snapshot) => {
                render_histogram(text, &name, &point.attributes, snapshot, format)
            }
        }
    }
}

fn render_histogram(
    text: &mut String,
    name: &str,
    own: Labels<'_>,
    snapshot: &HistogramSnapshot,
    format: TextFormat,
) {
    let mut below = 0;
    let bounds = snapshot.upper().map(Some).chain([None]);
    for (index, (upper, count)) in bounds.zip(&snapshot.buckets).enumerate() {
        below += count;
        let upper = upper.map_or_else(|| "+Inf".to_owned(), |it| format!("{it:?}"));
        let _ = write!(text, "{name}_bucket");
        labels(text, own, Some(("le", &upper)));
        let _ = write!(text, " {below}");
        let exemplar = snapshot.exemplars.get(index).and_then(Option::as_ref);
        if let Some(exemplar) = exemplar.filter(|_| format == TextFormat::OpenMetrics) {
            render_exemplar(text, exemplar, snapshot.bounds.per_unit);
        }
        text.push('\n');
    }
    for (suffix, figure) in [("sum", snapshot.sum()), ("count", below as f64)] {
        let _ = write!(text, "{name}_{suffix}");
        labels(text, own, None);
        let _ = writeln!(text, " {figure}");
    }
}

fn render_exemplar(text: &mut String, exemplar: &Exemplar, per_unit: f64) {
    let at = exemplar.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let _ = write!(
        text,
        " # {{trace_id=\"{}\",span_id=\"{}\"}} {} {:.3}",
        exemplar.trace,
        exemplar.span,
        exemplar.value as f64 / per_unit,
        at.as_secs_f64()
    );
}

/// Labels with empty values are equivalent to absent ones, and omitted.
fn labels(text: &mut String, own: Labels<'_>, more: Option<(&str, &str)>) {
    let own = own.iter().map(|(name, value)| (*name, &**value));
    let mut separator = '{';
    for (name, value) in own.chain(more).filter(|(_, value)| !value.is_empty()) {
        text.push(separator);
        separator = ',';
        text.extend(name.chars().map(|c| if c == '.' { '_' } else { c }));
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    if separator == ',' {
        text.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{
        metrics::{
            Point,
            histogram::{self, Histogram},
        },
        names::{attribute as a, metric as m},
    };
    use opentelemetry::{SpanId, TraceId};
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_histogram_with_an_exemplar() {
        let histogram = Histogram::new(&histogram::OVERHEAD);
        let bucket = histogram.observe_time(Duration::from_millis(2));
        histogram.exemplify(
            bucket,
            Exemplar {
                trace: TraceId::from_bytes([1; 16]),
                span: SpanId::from_bytes([2; 8]),
                value: 2_000_000,
                at: SystemTime::UNIX_EPOCH + Duration::from_secs(5),
            },
        );
        let family = Family {
            metric: &m::OVERHEAD_DURATION,
            points: vec![Point {
                attributes: vec![(a::CLIENT, "a\"b".into()), (a::REQUEST_MODEL, "".into())],
                value: PointValue::Histogram(Box::new(histogram.snapshot())),
            }],
        };
        let text = render(&[family], TextFormat::OpenMetrics);
        let line = r#"claude_grpc_call_overhead_duration_seconds_bucket{claude_grpc_client="a\"b",le="0.0025"} 1 # {trace_id="01010101010101010101010101010101",span_id="0202020202020202"} 0.002 5.000"#;
        assert!(text.lines().any(|it| it == line), "{text}");
        assert!(text.contains("_sum{claude_grpc_client=\"a\\\"b\"} 0.002\n"));
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_counter_has_its_suffix() {
        let family = Family::single(&m::COST, 1.5);
        let plain = render(std::slice::from_ref(&family), TextFormat::Plain);
        assert!(plain.contains("# TYPE claude_grpc_cost_usd_total counter"));
        assert!(plain.ends_with("claude_grpc_cost_usd_total 1.5\n"));
        let open = render(&[family], TextFormat::OpenMetrics);
        assert!(open.contains("# TYPE claude_grpc_cost_usd counter"));
    }
}
