//! Counts what becomes of exported items. The SDK's batch processors drop
//! without telling, so [`Room`] refuses what would not fit before they can.

use crate::telemetry::metrics::{Fate, Metrics, Signal};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter},
    metrics::{
        Temporality,
        data::{AggregatedMetrics, MetricData, ResourceMetrics},
        exporter::PushMetricExporter,
    },
    resource::Resource,
    trace::{SpanData, SpanExporter},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// Room in the queue of a batch processor, which has the same bound. An item
/// has left the queue before its room is given back, so the queue is never
/// full when there is room. Cloning is cheap.
#[derive(Clone)]
pub struct Room(Arc<Taken>);

struct Taken {
    waiting: AtomicUsize,
    most: usize,
    signal: Signal,
    metrics: Arc<Metrics>,
}

/// An exporter of the crates that counts.
///
/// `sent` are items of exports that the collector answered well: those that it
/// refuses in such an answer (`partial_success`) are logged by the exporter,
/// and count as sent. `failed` are items of exports that were given up.
#[derive(Debug)]
pub struct Counted<E> {
    exporter: E,
    room: Room,
}

// === impl Room ===

impl Room {
    /// Room for so many items. `metrics` is told what becomes of them.
    pub fn new(metrics: &Arc<Metrics>, signal: Signal, most: usize) -> Self {
        Room(Arc::new(Taken {
            waiting: AtomicUsize::new(0),
            most,
            signal,
            metrics: Arc::clone(metrics),
        }))
    }

    /// Takes room for all of these items. Without it they are counted as
    /// dropped.
    pub fn take(&self, items: usize) -> bool {
        let taken = self
            .0
            .waiting
            .fetch_update(Relaxed, Relaxed, |waiting| {
                let after = waiting.saturating_add(items);
                (after <= self.0.most).then_some(after)
            })
            .is_ok();
        if !taken {
            self.count(Fate::Dropped, items);
        }
        taken
    }

    fn give_back(&self, items: usize) {
        self.0.waiting.fetch_sub(items, Relaxed);
    }

    fn exported(&self, items: usize, result: OTelSdkResult) -> OTelSdkResult {
        let fate = match result {
            Ok(()) => Fate::Sent,
            Err(_) => Fate::Failed,
        };
        self.count(fate, items);
        result
    }

    fn count(&self, fate: Fate, items: usize) {
        self.0.metrics.exported(self.0.signal, fate, items);
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.0.waiting.load(Relaxed);
        write!(f, "Room({waiting} of {})", self.0.most)
    }
}

// === impl Counted ===

impl<E> Counted<E> {
    /// Counts what `exporter` exports.
    pub fn new(exporter: E, room: Room) -> Self {
        Counted { exporter, room }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let items = batch.len();
        self.room.give_back(items);
        let result = self.exporter.export(batch).await;
        self.room.exported(items, result)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Counted<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let items = batch.iter().count();
        self.room.give_back(items);
        let result = self.exporter.export(batch).await;
        self.room.exported(items, result)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Points wait nowhere, and take no room.
impl<E: PushMetricExporter> PushMetricExporter for Counted<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.room.exported(points(metrics), result)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

fn points(metrics: &ResourceMetrics) -> usize {
    let scopes = metrics.scope_metrics();
    let all = scopes.flat_map(|scope| scope.metrics());
    all.map(|metric| match metric.data() {
        AggregatedMetrics::F64(data) => points_of(data),
        AggregatedMetrics::U64(data) => points_of(data),
        AggregatedMetrics::I64(data) => points_of(data),
    })
    .sum()
}

fn points_of<T>(data: &MetricData<T>) -> usize {
    match data {
        MetricData::Gauge(gauge) => gauge.data_points().count(),
        MetricData::Sum(sum) => sum.data_points().count(),
        MetricData::Histogram(histogram) => histogram.data_points().count(),
        MetricData::ExponentialHistogram(histogram) => histogram.data_points().count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_dropped_and_counted() {
        let metrics = Arc::new(Metrics::new(Vec::new(), []));
        let room = Room::new(&metrics, Signal::Traces, 5);
        let taken: Vec<bool> = (0..4).map(|_| room.take(2)).collect();
        assert_eq!(taken, [true, true, false, false]);
        assert_eq!(metrics.exports(Signal::Traces, Fate::Dropped), 4);
        room.give_back(2);
        assert!(room.take(3));
    }
}
