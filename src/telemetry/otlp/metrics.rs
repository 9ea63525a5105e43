//! Metrics in OTLP.

use super::{
    environment::Settings,
    value::{self, Attributes, unix_nanos},
};
use crate::telemetry::{
    metrics::{Family, Point, Value, histogram::Shape},
    names::{self, Kind},
};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{
        AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric,
        NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar, metric::Data,
        number_data_point,
    },
};
use std::time::SystemTime;

/// Since when figures count, and as of when they are.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Since.
    pub since: SystemTime,
    /// As of.
    pub now: SystemTime,
}

/// All families as they are sent, and how many points they have.
pub fn request(
    families: Vec<Family>,
    settings: &Settings,
    span: Span,
) -> (ExportMetricsServiceRequest, usize) {
    let points = families.iter().map(|family| family.points.len()).sum();
    let metrics = families
        .into_iter()
        .filter(|family| !family.points.is_empty())
        .map(|family| metric(family, span))
        .collect();
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(value::resource(&settings.resource)),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(value::scope()),
                metrics,
                schema_url: names::SCHEMA_URL.to_owned(),
            }],
            schema_url: names::SCHEMA_URL.to_owned(),
        }],
    };
    (request, points)
}

fn metric(family: Family, span: Span) -> Metric {
    let described = family.metric;
    let cumulative = AggregationTemporality::Cumulative.into();
    let data = match described.kind {
        Kind::Histogram => Data::Histogram(Histogram {
            data_points: family
                .points
                .into_iter()
                .filter_map(|point| histogram(point, span))
                .collect(),
            aggregation_temporality: cumulative,
        }),
        Kind::Counter => Data::Sum(Sum {
            data_points: numbers(family.points, span),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        Kind::Gauge => Data::Gauge(Gauge {
            data_points: numbers(family.points, span),
        }),
    };
    Metric {
        name: described.name.to_owned(),
        description: described.help.to_owned(),
        unit: described.unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn attributes(point: &Point) -> Attributes {
    let mut attributes = Attributes(Vec::with_capacity(point.attributes.len()));
    for (name, value) in &point.attributes {
        attributes.text(name, value.to_string());
    }
    attributes
}

fn numbers(points: Vec<Point>, span: Span) -> Vec<NumberDataPoint> {
    points
        .into_iter()
        .filter_map(|point| {
            let Value::Number(number) = point.value else {
                return None;
            };
            Some(NumberDataPoint {
                attributes: attributes(&point).0,
                start_time_unix_nano: unix_nanos(span.since),
                time_unix_nano: unix_nanos(span.now),
                value: Some(number_data_point::Value::AsDouble(number)),
                ..NumberDataPoint::default()
            })
        })
        .collect()
}

fn histogram(point: Point, span: Span) -> Option<HistogramDataPoint> {
    let Value::Shape(shape) = &point.value else {
        return None;
    };
    Some(HistogramDataPoint {
        attributes: attributes(&point).0,
        start_time_unix_nano: unix_nanos(span.since),
        time_unix_nano: unix_nanos(span.now),
        count: shape.count(),
        sum: Some(shape.sum()),
        bucket_counts: shape.buckets.clone(),
        explicit_bounds: shape.upper().collect(),
        exemplars: exemplars(shape),
        ..HistogramDataPoint::default()
    })
}

fn exemplars(shape: &Shape) -> Vec<Exemplar> {
    let kept = shape.exemplars.iter().flatten();
    kept.map(|kept| Exemplar {
        time_unix_nano: unix_nanos(kept.at),
        span_id: kept.span.0.to_vec(),
        trace_id: kept.trace.0.to_vec(),
        value: Some(exemplar::Value::AsDouble(
            kept.value as f64 / shape.bounds.per_unit,
        )),
        ..Exemplar::default()
    })
    .collect()
}
