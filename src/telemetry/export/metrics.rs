//! The registry as instruments of the SDK.
//!
//! Counters and gauges are observed when the SDK's reader asks for them.
//! Histograms cannot be: the SDK has no producer for figures that were
//! gathered elsewhere, so each figure is recorded in an SDK histogram as well,
//! with the same bounds, when metrics are pushed. The SDK keeps no exemplars:
//! they are in the Prometheus text only.

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
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

/// Most series of one metric that are pushed. The registry bounds clients and
/// models, and with them the series; the SDK's own bound of 2000 would cut
/// what the Prometheus text shows. It takes room for all of them beforehand:
/// some 10 MiB.
const MOST_SERIES: usize = 10_000;

/// The specification's defaults for exponential histograms.
const EXPONENTIAL: Aggregation = Aggregation::Base2ExponentialHistogram {
    max_size: 160,
    max_scale: 20,
    record_min_max: true,
};

/// How an instrument is gathered.
pub fn stream(instrument: &Instrument, is_exponential: bool) -> Option<Stream> {
    let mut stream = Stream::builder().with_cardinality_limit(MOST_SERIES);
    if is_exponential && instrument.kind() == InstrumentKind::Histogram {
        stream = stream.with_aggregation(EXPONENTIAL);
    }
    stream.build().ok()
}

/// All families as of one collection of the reader, which asks each instrument
/// once.
#[derive(Default)]
struct Snapshot {
    families: Vec<Family>,
    asked: HashSet<&'static str>,
}

/// Makes an instrument of every metric.
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
        let mut snapshot = snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever asks again begins the next collection.
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
