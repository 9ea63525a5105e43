//! The registry as instruments of the SDK.
//!
//! Counters and gauges are observed when the reader of the SDK collects.
//! Histograms cannot be: the SDK has no producer for values that were aggregated
//! elsewhere, so each value is also recorded in a histogram of the SDK, with the
//! same bounds, when metrics are pushed. The SDK keeps no exemplars: they are in
//! the Prometheus text only.

use crate::telemetry::{
    metrics::{Family, Metrics, Point, PointValue},
    names::{Metric, MetricKind, metric},
};
use opentelemetry::{
    InstrumentationScope, KeyValue,
    metrics::{AsyncInstrument, MeterProvider},
};
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream,
};
use parking_lot::Mutex;
use std::{collections::HashSet, sync::Arc};

/// Maximum number of pushed series per metric. The registry bounds clients and
/// models, and so the series; the default of the SDK, 2,000, would cut what the
/// Prometheus text shows. The SDK preallocates memory for them: about 10 MiB.
const MAX_SERIES: usize = 10_000;

/// The defaults of the specification for exponential histograms.
const EXPONENTIAL: Aggregation = Aggregation::Base2ExponentialHistogram {
    max_size: 160,
    max_scale: 20,
    record_min_max: true,
};

/// The aggregation of an instrument.
pub fn stream(instrument: &Instrument, is_exponential: bool) -> Option<Stream> {
    let mut stream = Stream::builder().with_cardinality_limit(MAX_SERIES);
    if is_exponential && instrument.kind() == InstrumentKind::Histogram {
        stream = stream.with_aggregation(EXPONENTIAL);
    }
    stream.build().ok()
}

/// The families of one collection of the reader, which reads each instrument
/// once.
#[derive(Default)]
struct Snapshot {
    families: Vec<Family>,
    asked: HashSet<&'static str>,
}

/// Creates an instrument for every metric.
pub fn instrument(
    provider: &SdkMeterProvider,
    scope: InstrumentationScope,
    metrics: &Arc<Metrics>,
) {
    let meter = provider.meter_with_scope(scope);
    let snapshot = Arc::new(Mutex::new(Snapshot::default()));
    for described in metric::ALL {
        let observe = observer(described, metrics, &snapshot);
        match described.kind {
            MetricKind::Counter => {
                meter
                    .f64_observable_counter(described.name)
                    .with_unit(described.unit)
                    .with_description(described.help)
                    .with_callback(observe)
                    .build();
            }
            MetricKind::Gauge => {
                meter
                    .f64_observable_gauge(described.name)
                    .with_unit(described.unit)
                    .with_description(described.help)
                    .with_callback(observe)
                    .build();
            }
            MetricKind::Histogram => {}
        }
    }
    metrics.push_to(&meter);
}

fn observer(
    described: &'static Metric,
    metrics: &Arc<Metrics>,
    snapshot: &Arc<Mutex<Snapshot>>,
) -> impl Fn(&dyn AsyncInstrument<f64>) + Send + Sync + 'static {
    let (metrics, snapshot) = (Arc::clone(metrics), Arc::clone(snapshot));
    move |instrument| {
        let mut snapshot = snapshot.lock();
        // A second read of an instrument starts the next collection.
        if snapshot.asked.is_empty() || !snapshot.asked.insert(described.name) {
            snapshot.families = metrics.collect();
            snapshot.asked = HashSet::from([described.name]);
        }
        let families = snapshot.families.iter();
        let own = families.filter(|family| family.metric.name == described.name);
        for point in own.flat_map(|family| &family.points) {
            if let PointValue::Number(number) = point.value {
                instrument.observe(number, &attributes(point));
            }
        }
    }
}

fn attributes(point: &Point) -> Vec<KeyValue> {
    let given = point.attributes.iter();
    given
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| KeyValue::new(*name, value.to_string()))
        .collect()
}
