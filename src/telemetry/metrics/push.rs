//! The histograms of the SDK, in which values are also recorded when metrics
//! are pushed.

use super::histogram::{self, BucketBounds};
use crate::telemetry::names::{Metric, metric as m};
use opentelemetry::{
    KeyValue,
    metrics::{BoundHistogram, Histogram, Meter},
};
use std::{borrow::Cow, collections::HashMap};

/// All histograms with their bucket bounds.
static HISTOGRAMS: [(&Metric, &BucketBounds); 6] = [
    (&m::CALL_DURATION, &histogram::CALLS),
    (&m::OVERHEAD_DURATION, &histogram::OVERHEAD),
    (&m::FIRST_CHUNK, &histogram::FIRST_CHUNKS),
    (&m::PER_CHUNK, &histogram::CHUNKS),
    (&m::ATTEMPT_DURATION, &histogram::ATTEMPTS),
    (&m::TOKEN_USAGE, &histogram::TOKENS),
];

/// The histograms of the SDK, by name.
#[derive(Debug)]
pub struct PushedHistograms(HashMap<&'static str, Histogram<f64>>);

impl PushedHistograms {
    /// Creates all histograms.
    pub fn new(meter: &Meter) -> Self {
        let all = HISTOGRAMS.iter().map(|(metric, bounds)| {
            let histogram = histogram_of_sdk(meter, metric, bounds.in_units().collect());
            (metric.name, histogram)
        });
        PushedHistograms(all.collect())
    }

    /// One series of a metric, so that recording needs no lookup. Empty
    /// attributes are omitted.
    pub fn series(
        &self,
        metric: &Metric,
        attributes: &[(&'static str, Cow<'static, str>)],
    ) -> Option<BoundHistogram<f64>> {
        let given = attributes.iter().filter(|(_, value)| !value.is_empty());
        let given = given.map(|(name, value)| KeyValue::new(*name, value.to_string()));
        let attributes: Vec<KeyValue> = given.collect();
        Some(self.0.get(metric.name)?.bind(&attributes))
    }
}

/// A histogram of the SDK with the same bounds.
fn histogram_of_sdk(meter: &Meter, described: &'static Metric, bounds: Vec<f64>) -> Histogram<f64> {
    meter
        .f64_histogram(described.name)
        .with_unit(described.unit)
        .with_description(described.help)
        .with_boundaries(bounds)
        .build()
}
