//! Counts the outcomes of exports. The batch processors of the SDK drop items
//! without reporting it, so [`QueueBudget`] rejects what would not fit first.

use crate::telemetry::metrics::{ExportOutcome, ExportSignal, Metrics};
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

/// The free places in the queue of a batch processor of the same size. Items
/// leave the queue before their budget is returned, so the queue is never full
/// while there is budget. Cloning is cheap.
#[derive(Clone)]
pub struct QueueBudget(Arc<Taken>);

struct Taken {
    waiting: AtomicUsize,
    most: usize,
    signal: ExportSignal,
    metrics: Arc<Metrics>,
}

/// Wraps an exporter and counts its outcomes.
///
/// `sent` are items of exports that succeeded: items that the collector rejects
/// in a successful response (`partial_success`) are logged by the exporter and
/// count as sent. `failed` are items of exports that failed or timed out.
#[derive(Debug)]
pub struct CountingExporter<E> {
    exporter: E,
    budget: QueueBudget,
}

// === impl QueueBudget ===

impl QueueBudget {
    /// Creates a budget of `most` items, whose outcomes `metrics` counts.
    pub fn new(metrics: &Arc<Metrics>, signal: ExportSignal, most: usize) -> Self {
        QueueBudget(Arc::new(Taken {
            waiting: AtomicUsize::new(0),
            most,
            signal,
            metrics: Arc::clone(metrics),
        }))
    }

    /// Reserves budget for all of these items, or counts them all as dropped.
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
            self.count(ExportOutcome::Dropped, items);
        }
        taken
    }

    fn give_back(&self, items: usize) {
        self.0.waiting.fetch_sub(items, Relaxed);
    }

    fn exported(&self, items: usize, result: OTelSdkResult) -> OTelSdkResult {
        let outcome = match result {
            Ok(()) => ExportOutcome::Sent,
            Err(_) => ExportOutcome::Failed,
        };
        self.count(outcome, items);
        result
    }

    fn count(&self, outcome: ExportOutcome, items: usize) {
        self.0.metrics.exported(self.0.signal, outcome, items);
    }
}

impl fmt::Debug for QueueBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.0.waiting.load(Relaxed);
        write!(f, "QueueBudget({waiting} of {})", self.0.most)
    }
}

// === impl CountingExporter ===

impl<E> CountingExporter<E> {
    /// Wraps `exporter`, and returns budget as it exports.
    pub fn new(exporter: E, budget: QueueBudget) -> Self {
        CountingExporter { exporter, budget }
    }
}

impl<E: SpanExporter> SpanExporter for CountingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let items = batch.len();
        self.budget.give_back(items);
        let result = self.exporter.export(batch).await;
        self.budget.exported(items, result)
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

impl<E: LogExporter> LogExporter for CountingExporter<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let items = batch.iter().count();
        self.budget.give_back(items);
        let result = self.exporter.export(batch).await;
        self.budget.exported(items, result)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Points are not queued, and need no budget.
impl<E: PushMetricExporter> PushMetricExporter for CountingExporter<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.budget.exported(points(metrics), result)
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
        let metrics = Arc::new(Metrics::new(crate::models::PriceTable::default(), []));
        let budget = QueueBudget::new(&metrics, ExportSignal::Traces, 5);
        let taken: Vec<bool> = (0..4).map(|_| budget.take(2)).collect();
        assert_eq!(taken, [true, true, false, false]);
        assert_eq!(
            metrics.exports(ExportSignal::Traces, ExportOutcome::Dropped),
            4
        );
        budget.give_back(2);
        assert!(budget.take(3));
    }
}
