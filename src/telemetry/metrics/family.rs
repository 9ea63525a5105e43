//! A snapshot of metrics, in the form that exporters read.

use super::histogram::HistogramSnapshot;
use crate::telemetry::names::Metric;
use std::{borrow::Cow, sync::Arc};

/// Names and values of attributes.
pub type MetricAttributes = Vec<(&'static str, Cow<'static, str>)>;

/// A metric with its points.
#[derive(Debug, Clone)]
pub struct Family {
    /// Name, unit and help text.
    pub metric: &'static Metric,
    /// One point per set of attributes.
    pub points: Vec<Point>,
}

/// A value with its attributes.
#[derive(Debug, Clone)]
pub struct Point {
    /// The attributes. Empty values are not exported.
    pub attributes: MetricAttributes,
    /// The value.
    pub value: PointValue,
}

/// The value of a point.
#[derive(Debug, Clone)]
pub enum PointValue {
    /// The value of a counter or gauge.
    Number(f64),
    /// The buckets of a histogram.
    Histogram(Box<HistogramSnapshot>),
}

impl Family {
    /// Creates a family without points.
    pub fn new(metric: &'static Metric) -> Self {
        Family {
            metric,
            points: Vec::new(),
        }
    }

    /// Creates a family of one point without attributes.
    pub fn single(metric: &'static Metric, number: f64) -> Self {
        let mut family = Family::new(metric);
        family.number(&[], number);
        family
    }

    /// Adds a point.
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

/// An attribute value from a shared name.
pub fn shared(text: &Arc<str>) -> Cow<'static, str> {
    Cow::Owned(text.to_string())
}
