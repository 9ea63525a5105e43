//! The registry of all metrics, and how calls count in it.

use super::{
    family::{Family, MetricAttributes, shared},
    histogram::{self, BucketBounds, Histogram},
    kinds::{ErrorType, ExportOutcome, ExportSignal, Operation},
    push::PushedHistograms,
    series::{AttemptKey, CallKey, CallSeries, FailureKey, SeriesMap, UsageKey, UsageSeries},
};
use crate::models::{Day, Nanodollars, PriceTable, Tokens, catalogue};
use crate::telemetry::{
    labels::{LabelId, LabelSet},
    names::{self, Metric, attribute as a, metric as m},
    retirements::Retirements,
};
use opentelemetry::metrics::Meter;
use parking_lot::RwLock;
use std::{
    borrow::Cow,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

/// Maximum number of models with a label of their own, in addition to those that are
/// configured or in the catalogue.
const MAX_MODELS: u16 = 64;

/// Maximum number of clients with a label of their own.
const MAX_CLIENTS: u16 = 1000;

/// Maximum number of hosts with a label of their own: all that can be configured.
const MAX_HOSTS: u16 = 16;

/// Maximum number of failure reasons with a label of their own.
const MAX_REASONS: u16 = 64;

/// Adds families that are read on each collection.
pub type MetricSource = Box<dyn Fn(&mut Vec<Family>) + Send + Sync>;

/// All metrics of the service.
pub struct Metrics {
    /// Models with a label of their own.
    pub models: LabelSet,
    /// Clients with a label of their own.
    pub clients: LabelSet,
    /// The hosts of Claude.
    pub hosts: LabelSet,
    /// Failure reasons with a label of their own.
    pub reasons: LabelSet,
    /// Calls in flight.
    pub in_flight: AtomicI64,
    /// When recording started.
    pub since: SystemTime,
    prices: PriceTable,
    /// The deprecated models that are used.
    pub retirements: Retirements,
    pub(super) calls: SeriesMap<CallKey, CallSeries>,
    pub(super) attempts: SeriesMap<AttemptKey, Histogram>,
    pub(super) usage: SeriesMap<UsageKey, UsageSeries>,
    pub(super) failures: SeriesMap<FailureKey, AtomicU64>,
    pub(super) rejections: SeriesMap<&'static str, AtomicU64>,
    pub(super) retries: [AtomicU64; names::ERROR_TYPES.len()],
    pub(super) waits: [AtomicU64; 4],
    pub(super) exports: [[AtomicU64; 3]; 4],
    pub(super) sources: RwLock<Vec<MetricSource>>,
    /// The histograms of the SDK, if metrics are pushed.
    pushing: OnceLock<Arc<PushedHistograms>>,
}

// === impl Metrics ===

impl Metrics {
    /// Creates an empty registry. `models`, and those of the catalogue, have a label
    /// of their own from the start.
    pub fn new<'a>(prices: PriceTable, models: impl IntoIterator<Item = &'a str>) -> Self {
        let listed = catalogue().models().iter().map(|it| it.name.as_str());
        let known: Vec<&str> = models.into_iter().chain(listed).collect();
        let most = MAX_MODELS.saturating_add(known.len() as u16);
        Metrics {
            models: LabelSet::new(most, known),
            clients: LabelSet::new(MAX_CLIENTS, [names::ANONYMOUS]),
            hosts: LabelSet::new(MAX_HOSTS, []),
            reasons: LabelSet::new(MAX_REASONS, []),
            in_flight: AtomicI64::new(0),
            since: SystemTime::now(),
            prices,
            retirements: Retirements::default(),
            calls: SeriesMap::default(),
            attempts: SeriesMap::default(),
            usage: SeriesMap::default(),
            failures: SeriesMap::default(),
            rejections: SeriesMap::default(),
            retries: std::array::from_fn(|_| AtomicU64::new(0)),
            waits: std::array::from_fn(|_| AtomicU64::new(0)),
            exports: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            sources: RwLock::default(),
            pushing: OnceLock::new(),
        }
    }

    /// Adds a source of families that are read on each collection.
    pub fn add_source(&self, source: MetricSource) {
        let mut sources = self.sources.write();
        sources.push(source);
    }

    /// Pushes histograms through this meter. Series that exist already are not
    /// pushed.
    pub fn push_to(&self, meter: &Meter) {
        let _ = self.pushing.set(Arc::new(PushedHistograms::new(meter)));
    }

    /// The series of calls with these labels.
    pub fn calls(&self, key: CallKey) -> Arc<CallSeries> {
        self.calls.get(key, || {
            let pushing = self.pushing.get();
            CallSeries::new(pushing.map(|it| (Arc::clone(it), self.call_attributes(&key))))
        })
    }

    fn histogram(
        &self,
        metric: &Metric,
        bounds: &'static BucketBounds,
        attributes: impl FnOnce() -> MetricAttributes,
    ) -> Histogram {
        let pushing = self.pushing.get();
        let pushed = pushing.and_then(|it| it.series(metric, &attributes()));
        Histogram::new(bounds).pushed(pushed)
    }

    /// Records an attempt.
    pub fn attempt(&self, key: AttemptKey, took: Duration) {
        self.attempts
            .get(key, || {
                self.histogram(&m::ATTEMPT_DURATION, &histogram::ATTEMPTS, || {
                    self.attempt_attributes(&key)
                })
            })
            .observe_time(took);
    }

    /// Records the tokens of an attempt, and returns their cost in nanodollars: the price
    /// of the first of these ids that has one, or 0.
    pub fn usage(
        &self,
        calls: &CallSeries,
        label: LabelId,
        ids: [&str; 2],
        host: LabelId,
        tokens: &Tokens,
    ) -> Nanodollars {
        let key = UsageKey {
            operation: Operation::Chat,
            model: Some(label),
            host,
        };
        let usage = self.usage.get(key, || {
            let [input, output] = ["input", "output"].map(|kind| {
                self.histogram(&m::TOKEN_USAGE, &histogram::TOKENS, || {
                    self.usage_attributes(&key, kind)
                })
            });
            UsageSeries {
                input,
                output,
                cost: AtomicU64::new(0),
            }
        });
        usage.input.observe(tokens.all_input());
        usage.output.observe(tokens.output);
        let counts = [
            tokens.input,
            tokens.output,
            tokens.cache_read,
            tokens.cache_write(),
        ];
        for (counter, count) in calls.tokens.iter().zip(counts) {
            counter.fetch_add(count, Relaxed);
        }
        let price = |id: &str| self.prices.cost(id, tokens, Day::today);
        let Some(cost) = ids.into_iter().find_map(price) else {
            let all = tokens.all_input().saturating_add(tokens.output);
            calls.unpriced.fetch_add(all, Relaxed);
            return 0;
        };
        calls.cost.fetch_add(cost, Relaxed);
        usage.cost.fetch_add(cost, Relaxed);
        cost
    }

    /// Counts a failed call.
    pub fn failure(&self, rpc: usize, client: LabelId, reason: &str) {
        let key = FailureKey {
            rpc,
            client,
            reason: self.reasons.learn(reason),
        };
        self.failures
            .get(key, AtomicU64::default)
            .fetch_add(1, Relaxed);
    }

    /// Counts a call rejected by a limit.
    pub fn rejection(&self, limit: &'static str) {
        self.rejections
            .get(limit, AtomicU64::default)
            .fetch_add(1, Relaxed);
    }

    /// Counts a retry, by the error of the failed attempt.
    pub fn retry(&self, cause: ErrorType) {
        self.retries[cause.index()].fetch_add(1, Relaxed);
    }

    /// Adds the waits of an attempt, by [`Wait`](super::Wait).
    pub fn waited_for(&self, waits: [Duration; 4]) {
        for (counter, time) in self.waits.iter().zip(waits) {
            if !time.is_zero() {
                counter.fetch_add(histogram::nanos(time), Relaxed);
            }
        }
    }

    /// Counts exported items.
    pub fn exported(&self, signal: ExportSignal, outcome: ExportOutcome, items: usize) {
        self.exports[signal as usize][outcome as usize].fetch_add(items as u64, Relaxed);
    }

    /// Exported items so far.
    pub fn exports(&self, signal: ExportSignal, outcome: ExportOutcome) -> u64 {
        self.exports[signal as usize][outcome as usize].load(Relaxed)
    }

    pub(super) fn call_attributes(&self, key: &CallKey) -> MetricAttributes {
        vec![
            (a::RPC_METHOD, Cow::Borrowed(method(key.rpc))),
            (a::REQUEST_MODEL, self.model(key.model)),
            (a::CLIENT, shared(&self.clients.name(key.client))),
        ]
    }

    pub(super) fn model(&self, model: Option<LabelId>) -> Cow<'static, str> {
        model.map_or(Cow::Borrowed(""), |label| shared(&self.models.name(label)))
    }

    pub(super) fn attempt_attributes(&self, key: &AttemptKey) -> MetricAttributes {
        let status = match key.status {
            0 => Cow::Borrowed(""),
            status => Cow::Owned(status.to_string()),
        };
        vec![
            (a::OPERATION, Cow::Borrowed(key.operation.name())),
            (a::PROVIDER, Cow::Borrowed(names::ANTHROPIC)),
            (a::REQUEST_MODEL, self.model(key.model)),
            (
                a::ERROR_TYPE,
                Cow::Borrowed(key.error.map_or("", |it| it.name())),
            ),
            (a::HTTP_STATUS, status),
            (a::HOST, shared(&self.hosts.name(key.host))),
        ]
    }

    pub(super) fn usage_attributes(&self, key: &UsageKey, kind: &'static str) -> MetricAttributes {
        vec![
            (a::OPERATION, Cow::Borrowed(key.operation.name())),
            (a::PROVIDER, Cow::Borrowed(names::ANTHROPIC)),
            (a::REQUEST_MODEL, self.model(key.model)),
            (a::TOKEN_TYPE, Cow::Borrowed(kind)),
            (a::HOST, shared(&self.hosts.name(key.host))),
        ]
    }
}

/// The full name of an RPC, by its index into [`names::METHODS`].
pub fn method(rpc: usize) -> &'static str {
    names::METHODS.get(rpc).copied().unwrap_or(names::OTHER)
}
