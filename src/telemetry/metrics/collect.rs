//! Snapshots of all metrics.

use super::{
    family::{Family, MetricAttributes, Point, PointValue, shared},
    histogram::{self, Histogram, HistogramSnapshot},
    kinds::{EXPORT_OUTCOMES, SIGNALS, WAITS},
    process,
    registry::{Metrics, method},
    series::TOKEN_TYPES,
};
use crate::telemetry::names::{self, attribute as a, metric as m};
use std::{borrow::Cow, sync::atomic::Ordering::Relaxed};

const NANOS: f64 = 1e9;

/// Totals over all calls.
#[derive(Debug)]
pub struct CallTotals {
    /// Durations of whole calls.
    pub whole: HistogramSnapshot,
    /// Gateway overhead.
    pub overhead: HistogramSnapshot,
    by_status: Vec<u64>,
}

impl CallTotals {
    /// Number of calls that ended.
    pub fn calls(&self) -> u64 {
        self.by_status.iter().sum()
    }

    /// Number of calls that did not fail because of the service or the API.
    pub fn good(&self) -> u64 {
        let counts = names::STATUSES.iter().zip(&self.by_status);
        let good = counts.filter(|(status, _)| !names::SERVICE_FAILURES.contains(status));
        good.map(|(_, count)| count).sum()
    }
}

impl Metrics {
    /// A snapshot of all metrics.
    pub fn collect(&self) -> Vec<Family> {
        let mut families = self.of_calls();
        families.extend(self.of_attempts());
        families.extend(self.of_the_service());
        let sources = self.sources.read();
        for source in sources.iter() {
            source(&mut families);
        }
        families
    }

    /// Totals over all calls.
    pub fn totals(&self) -> CallTotals {
        let mut whole = Histogram::new(&histogram::CALLS).snapshot();
        let mut overhead = Histogram::new(&histogram::OVERHEAD).snapshot();
        let mut by_status = vec![0; names::STATUSES.len()];
        for (_, series) in self.calls.all() {
            for (status, durations) in series.durations.iter().enumerate() {
                if let Some(durations) = durations.get() {
                    let snapshot = durations.snapshot();
                    by_status[status] += snapshot.count();
                    add(&mut whole, snapshot);
                }
            }
            add(&mut overhead, series.overhead.snapshot());
        }
        CallTotals {
            whole,
            overhead,
            by_status,
        }
    }

    fn of_calls(&self) -> Vec<Family> {
        let mut duration = Family::new(&m::CALL_DURATION);
        let mut overhead = Family::new(&m::OVERHEAD_DURATION);
        let mut first_chunk = Family::new(&m::FIRST_CHUNK);
        let mut per_chunk = Family::new(&m::PER_CHUNK);
        let mut tokens = Family::new(&m::TOKENS);
        let mut unpriced = Family::new(&m::UNPRICED);
        let mut cost = Family::new(&m::COST);
        for (key, series) in self.calls.all() {
            let attributes = self.call_attributes(&key);
            for (status, durations) in series.durations.iter().enumerate() {
                let Some(durations) = durations.get() else {
                    continue;
                };
                let mut with_status = attributes.clone();
                with_status.push((a::RPC_SYSTEM, Cow::Borrowed(names::GRPC)));
                with_status.push((a::RPC_STATUS, Cow::Borrowed(names::STATUSES[status])));
                duration
                    .points
                    .push(histogram_point(with_status, durations));
            }
            overhead
                .points
                .push(histogram_point(attributes.clone(), &series.overhead));
            for (family, histogram) in [
                (&mut first_chunk, &series.first_chunk),
                (&mut per_chunk, &series.per_chunk),
            ] {
                if let Some(histogram) = histogram.get() {
                    family
                        .points
                        .push(histogram_point(attributes.clone(), histogram));
                }
            }
            for (kind, count) in TOKEN_TYPES.iter().zip(&series.tokens) {
                let mut typed = attributes.clone();
                typed.push((a::TOKEN_TYPE, Cow::Borrowed(kind)));
                tokens
                    .points
                    .push(number_point(typed, count.load(Relaxed) as f64));
            }
            let count = series.unpriced.load(Relaxed);
            if count > 0 {
                unpriced
                    .points
                    .push(number_point(attributes.clone(), count as f64));
            }
            let dollars = series.cost.load(Relaxed) as f64 / NANOS;
            cost.points.push(number_point(attributes, dollars));
        }
        let mut failures = Family::new(&m::FAILURES);
        for (key, count) in self.failures.all() {
            failures.points.push(number_point(
                vec![
                    (a::RPC_METHOD, Cow::Borrowed(method(key.rpc))),
                    (a::CLIENT, shared(&self.clients.name(key.client))),
                    (a::REASON, shared(&self.reasons.name(key.reason))),
                ],
                count.load(Relaxed) as f64,
            ));
        }
        let in_flight = self.in_flight.load(Relaxed).max(0) as f64;
        vec![
            duration,
            overhead,
            Family::single(&m::IN_FLIGHT, in_flight),
            failures,
            first_chunk,
            per_chunk,
            tokens,
            unpriced,
            cost,
        ]
    }

    fn of_attempts(&self) -> Vec<Family> {
        let mut duration = Family::new(&m::ATTEMPT_DURATION);
        for (key, histogram) in self.attempts.all() {
            duration
                .points
                .push(histogram_point(self.attempt_attributes(&key), &histogram));
        }
        let mut usage = Family::new(&m::TOKEN_USAGE);
        let mut cost = Family::new(&m::HOST_COST);
        for (key, series) in self.usage.all() {
            for (kind, histogram) in [("input", &series.input), ("output", &series.output)] {
                let attributes = self.usage_attributes(&key, kind);
                usage.points.push(histogram_point(attributes, histogram));
            }
            let attributes = vec![
                (a::HOST, shared(&self.hosts.name(key.host))),
                (a::REQUEST_MODEL, self.model(key.model)),
            ];
            let dollars = series.cost.load(Relaxed) as f64 / NANOS;
            cost.points.push(number_point(attributes, dollars));
        }
        let mut retries = Family::new(&m::RETRIES);
        for (name, count) in names::ERROR_TYPES.iter().zip(&self.retries) {
            let count = count.load(Relaxed);
            if count > 0 {
                retries.number(&[(a::RETRY_REASON, name)], count as f64);
            }
        }
        let mut waited = Family::new(&m::WAITED);
        for (name, time) in WAITS.iter().zip(&self.waits) {
            waited.number(&[(a::WAIT, name)], time.load(Relaxed) as f64 / NANOS);
        }
        vec![duration, usage, cost, retries, waited]
    }

    fn of_the_service(&self) -> Vec<Family> {
        let mut rejections = Family::new(&m::REJECTIONS);
        for (limit, count) in self.rejections.all() {
            rejections.number(&[(a::LIMIT, limit)], count.load(Relaxed) as f64);
        }
        let mut exported = Family::new(&m::EXPORTED);
        for (signal, outcomes) in SIGNALS.iter().zip(&self.exports) {
            for (outcome, count) in EXPORT_OUTCOMES.iter().zip(outcomes) {
                let attributes = [(a::SIGNAL, *signal), (a::OUTCOME, *outcome)];
                exported.number(&attributes, count.load(Relaxed) as f64);
            }
        }
        let mut retirements = Family::new(&m::RETIREMENTS);
        for (model, time) in self.retirements.all() {
            retirements.number(&[(a::REQUEST_MODEL, model)], time as f64);
        }
        let mut build = Family::new(&m::BUILD);
        build.number(&[(a::VERSION, env!("CARGO_PKG_VERSION"))], 1.0);
        let mut families = vec![rejections, exported, retirements, build];
        families.extend(process::families());
        families
    }
}

fn number_point(attributes: MetricAttributes, number: f64) -> Point {
    Point {
        attributes,
        value: PointValue::Number(number),
    }
}

fn histogram_point(attributes: MetricAttributes, histogram: &Histogram) -> Point {
    Point {
        attributes,
        value: PointValue::Histogram(Box::new(histogram.snapshot())),
    }
}

fn add(total: &mut HistogramSnapshot, more: HistogramSnapshot) {
    for (sum, one) in total.buckets.iter_mut().zip(more.buckets) {
        *sum += one;
    }
    total.sum += more.sum;
}
