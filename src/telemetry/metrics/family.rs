//! Metrics as of one moment, before they take the form of an exporter.

use super::histogram::HistogramSnapshot;
use crate::telemetry::names::Metric;
use std::{borrow::Cow, sync::Arc};

/// Names and values.
pub type MetricAttributes = Vec<(&'static str, Cow<'static, str>)>;

/// All points of one metric.
#[derive(Debug, Clone)]
pub struct Family {
    /// The metric.
    pub metric: &'static Metric,
    /// Its points.
    pub points: Vec<Point>,
}

/// One point.
#[derive(Debug, Clone)]
pub struct Point {
    /// Names and values of its attributes.
    pub attributes: MetricAttributes,
    /// Its figure.
    pub value: PointValue,
}

/// A figure.
#[derive(Debug, Clone)]
pub enum PointValue {
    /// Of a counter or gauge.
    Number(f64),
    /// Of a histogram.
    Histogram(Box<HistogramSnapshot>),
}

impl Family {
    /// A metric without points.
    pub fn new(metric: &'static Metric) -> Self {
        Family {
            metric,
            points: Vec::new(),
        }
    }

    /// A metric of one point without attributes.
    pub fn single(metric: &'static Metric, number: f64) -> Self {
        let mut family = Family::new(metric);
        family.number(&[], number);
        family
    }

    /// Adds a number.
    pub fn number(&mut self, attributes: &[(&'static str, &str)], number: f64) {
        let attributes = attributes
            .iter()
            .map(|(name, value)| (*name, Cow::Owned((*value).to_owned())))
            .collect();
        self.points.push(Point {
            attributes,
            value: PointValue::Number(number),
        });
    }
}

/// A value of an attribute that is shared.
pub fn shared(text: &Arc<str>) -> Cow<'static, str> {
    Cow::Owned(text.to_string())
}
