//! All that is measured, and how calls count in it.

use super::{
    family::{Family, MetricAttributes, shared},
    histogram::{self, BucketBounds, Histogram},
    kinds::{ErrorType, ExportOutcome, ExportSignal, Operation},
    push::PushedHistograms,
    series::{AttemptKey, CallKey, CallSeries, FailureKey, SeriesMap, UsageKey, UsageSeries},
};
use crate::pricing::{Nanodollars, PriceTable, Tokens};
use crate::telemetry::{
    labels::{LabelId, LabelSet},
    names::{self, Metric, attribute as a, metric as m},
};
use opentelemetry::metrics::Meter;
use std::{
    borrow::Cow,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

/// Most models that are told apart, of those that are not known beforehand.
const MOST_MODELS: u16 = 64;

/// Most clients that are told apart.
const MOST_CLIENTS: u16 = 1000;

/// Most reasons of failures that are told apart.
const MOST_REASONS: u16 = 64;

/// Adds families that are read when somebody asks for them.
pub type MetricSource = Box<dyn Fn(&mut Vec<Family>) + Send + Sync>;

/// All that is measured.
pub struct Metrics {
    /// Models that are told apart.
    pub models: LabelSet,
    /// Clients that are told apart.
    pub clients: LabelSet,
    /// Reasons of failures.
    pub reasons: LabelSet,
    /// Calls under way.
    pub in_flight: AtomicI64,
    /// Since when.
    pub since: SystemTime,
    prices: PriceTable,
    pub(super) calls: SeriesMap<CallKey, CallSeries>,
    pub(super) attempts: SeriesMap<AttemptKey, Histogram>,
    pub(super) usage: SeriesMap<UsageKey, UsageSeries>,
    pub(super) failures: SeriesMap<FailureKey, AtomicU64>,
    pub(super) rejections: SeriesMap<&'static str, AtomicU64>,
    pub(super) retries: [AtomicU64; names::ERROR_TYPES.len()],
    pub(super) waits: [AtomicU64; 3],
    pub(super) exports: [[AtomicU64; 3]; 4],
    pub(super) sources: RwLock<Vec<MetricSource>>,
    /// Where histograms are recorded as well, if they are pushed.
    pushing: OnceLock<Arc<PushedHistograms>>,
}

// === impl Metrics ===

impl Metrics {
    /// Nothing measured yet. `models` are those known beforehand.
    pub fn new<'a>(prices: PriceTable, models: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = models.into_iter().collect();
        let priced: Vec<&str> = prices.models().collect();
        let most = MOST_MODELS.saturating_add(known.len() as u16);
        Metrics {
            models: LabelSet::new(most, known.iter().copied().chain(priced)),
            clients: LabelSet::new(MOST_CLIENTS, [names::ANONYMOUS]),
            reasons: LabelSet::new(MOST_REASONS, []),
            in_flight: AtomicI64::new(0),
            since: SystemTime::now(),
            prices,
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

    /// Families that are read when somebody asks.
    pub fn add_source(&self, source: MetricSource) {
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        sources.push(source);
    }

    /// Pushes histograms through this meter: those that begin from now on.
    pub fn push_to(&self, meter: &Meter) {
        let _ = self.pushing.set(Arc::new(PushedHistograms::new(meter)));
    }

    /// The figures of some calls.
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

    /// Counts an attempt.
    pub fn attempt(&self, key: AttemptKey, took: Duration) {
        self.attempts
            .get(key, || {
                self.histogram(&m::ATTEMPT_DURATION, &histogram::ATTEMPTS, || {
                    self.attempt_attributes(&key)
                })
            })
            .observe_time(took);
    }

    /// Counts the tokens of an answered attempt; gives their cost, in
    /// billionths of a dollar.
    pub fn usage(
        &self,
        calls: &CallSeries,
        (label, model): (LabelId, &str),
        tokens: &Tokens,
    ) -> Nanodollars {
        let key = UsageKey {
            operation: Operation::Chat,
            model: Some(label),
        };
        let usage = self.usage.get(key, || {
            let [input, output] = ["input", "output"].map(|kind| {
                self.histogram(&m::TOKEN_USAGE, &histogram::TOKENS, || {
                    self.usage_attributes(&key, kind)
                })
            });
            UsageSeries { input, output }
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
        if !self.prices.lists(model) {
            let all = tokens.all_input() + tokens.output;
            calls.unpriced.fetch_add(all, Relaxed);
        }
        let cost = self.prices.cost(model, tokens);
        calls.cost.fetch_add(cost, Relaxed);
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

    /// Counts a call that a limit refused.
    pub fn rejection(&self, limit: &'static str) {
        self.rejections
            .get(limit, AtomicU64::default)
            .fetch_add(1, Relaxed);
    }

    /// Counts an attempt that is made because another one failed.
    pub fn retry(&self, cause: ErrorType) {
        self.retries[cause.index()].fetch_add(1, Relaxed);
    }

    /// Counts waits, by [`Wait`].
    pub fn waited_for(&self, waits: [Duration; 3]) {
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
        ]
    }

    pub(super) fn usage_attributes(&self, key: &UsageKey, kind: &'static str) -> MetricAttributes {
        vec![
            (a::OPERATION, Cow::Borrowed(key.operation.name())),
            (a::PROVIDER, Cow::Borrowed(names::ANTHROPIC)),
            (a::REQUEST_MODEL, self.model(key.model)),
            (a::TOKEN_TYPE, Cow::Borrowed(kind)),
        ]
    }
}

/// The name of an RPC by its index.
pub fn method(rpc: usize) -> &'static str {
    names::METHODS.get(rpc).copied().unwrap_or(names::OTHER)
}
