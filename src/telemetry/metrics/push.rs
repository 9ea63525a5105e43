//! Histograms of the SDK beside ours, when metrics are pushed.

use super::histogram::{self, Bounds, Pushed};
use crate::telemetry::{
    names::{Metric, metric as m},
    otlp,
};
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter},
};
use std::{borrow::Cow, collections::HashMap};

/// All histograms, and the bounds of their buckets.
static HISTOGRAMS: [(&Metric, &Bounds); 6] = [
    (&m::CALL_DURATION, &histogram::CALLS),
    (&m::OWN_DURATION, &histogram::OWN),
    (&m::FIRST_CHUNK, &histogram::FIRST_CHUNKS),
    (&m::PER_CHUNK, &histogram::CHUNKS),
    (&m::ATTEMPT_DURATION, &histogram::ATTEMPTS),
    (&m::TOKEN_USAGE, &histogram::TOKENS),
];

/// The SDK's histograms, by name.
#[derive(Debug)]
pub struct Pushing(HashMap<&'static str, Histogram<f64>>);

impl Pushing {
    /// Makes them.
    pub fn new(meter: &Meter) -> Self {
        let all = HISTOGRAMS.iter().map(|(metric, bounds)| {
            let histogram = otlp::metrics::histogram(meter, metric, bounds.in_units().collect());
            (metric.name, histogram)
        });
        Pushing(all.collect())
    }

    /// One series of a metric; empty attributes say nothing and are left out.
    pub fn series(
        &self,
        metric: &Metric,
        attributes: &[(&'static str, Cow<'static, str>)],
    ) -> Option<Pushed> {
        let given = attributes.iter().filter(|(_, value)| !value.is_empty());
        Some(Pushed {
            histogram: self.0.get(metric.name)?.clone(),
            attributes: given
                .map(|(name, value)| KeyValue::new(*name, value.to_string()))
                .collect(),
        })
    }
}
