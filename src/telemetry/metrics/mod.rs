//! What is measured: recorded once, without locks, and exported twice, as
//! Prometheus text and over OTLP.

mod collect;
mod family;
pub mod histogram;
mod process;
mod push;
pub mod text;

pub use collect::{Totals, method};
pub use family::{Family, Point, Value};

use super::{
    labels::{Label, Labels},
    names,
    prices::{self, Price, Tokens},
};
use collect::Attributes;
use histogram::{Bounds, Histogram};
use names::{Metric, attribute as a, metric as m};
use opentelemetry::metrics::Meter;
use push::Pushing;
use std::{
    borrow::Cow,
    collections::HashMap,
    hash::Hash,
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
pub type Source = Box<dyn Fn(&mut Vec<Family>) + Send + Sync>;

/// All that is measured.
pub struct Metrics {
    /// Models that are told apart.
    pub models: Labels,
    /// Clients that are told apart.
    pub clients: Labels,
    /// Reasons of failures.
    pub reasons: Labels,
    /// Calls under way.
    pub in_flight: AtomicI64,
    /// Since when.
    pub since: SystemTime,
    prices: Vec<Price>,
    calls: Series<CallKey, CallSeries>,
    attempts: Series<AttemptKey, Histogram>,
    usage: Series<UsageKey, UsageSeries>,
    failures: Series<FailureKey, AtomicU64>,
    rejections: Series<&'static str, AtomicU64>,
    retries: [AtomicU64; names::ERROR_TYPES.len()],
    waits: [AtomicU64; 3],
    exports: [[AtomicU64; 3]; 4],
    sources: RwLock<Vec<Source>>,
    /// Where histograms are recorded as well, if they are pushed.
    pushing: OnceLock<Arc<Pushing>>,
}

/// Whose calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallKey {
    /// Index into [`names::METHODS`], or one more.
    pub rpc: usize,
    /// The model asked for, where one was.
    pub model: Option<Label>,
    /// The client.
    pub client: Label,
}

/// The figures of one [`CallKey`].
#[derive(Debug)]
pub struct CallSeries {
    durations: [OnceLock<Histogram>; names::STATUSES.len()],
    /// Time that the service added.
    pub own: Histogram,
    first_chunk: OnceLock<Histogram>,
    per_chunk: OnceLock<Histogram>,
    /// By [`TOKEN_TYPES`].
    tokens: [AtomicU64; 4],
    unpriced: AtomicU64,
    /// Billionths of a dollar.
    cost: AtomicU64,
    /// Where its histograms are recorded as well, and as what.
    pushing: Option<(Arc<Pushing>, Attributes)>,
}

/// `gen_ai.token.type` of [`CallSeries`].
const TOKEN_TYPES: [&str; 4] = ["input", "output", "cache_read", "cache_write"];

/// What an attempt was, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptKey {
    /// What was asked.
    pub operation: Operation,
    /// The model asked for, where one was.
    pub model: Option<Label>,
    /// How it failed, if it did.
    pub error: Option<ErrorType>,
    /// HTTP status; 0 when none came.
    pub status: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct UsageKey {
    operation: Operation,
    model: Option<Label>,
}

#[derive(Debug)]
struct UsageSeries {
    input: Histogram,
    output: Histogram,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FailureKey {
    rpc: usize,
    client: Label,
    reason: Label,
}

/// What is asked of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An answer.
    Chat,
    /// A count of tokens.
    CountTokens,
    /// The catalogue.
    ListModels,
}

impl Operation {
    /// `gen_ai.operation.name`; only the first is the conventions'.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Chat => "chat",
            Operation::CountTokens => "count_tokens",
            Operation::ListModels => "list_models",
        }
    }
}

/// An `error.type` of [`names::ERROR_TYPES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorType(u8);

impl ErrorType {
    /// The one of this name; a name that is not known gives `_OTHER`.
    pub fn named(name: &str) -> ErrorType {
        let found = names::ERROR_TYPES.iter().position(|one| *one == name);
        ErrorType(found.unwrap_or(names::ERROR_TYPES.len() - 1) as u8)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        names::ERROR_TYPES[usize::from(self.0)]
    }
}

/// What an attempt waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// For the time of its repetition.
    Backoff,
    /// For the API's limits.
    Ledger,
    /// For a place.
    Place,
}

/// By the values of [`Wait`].
pub const WAITS: [&str; 3] = ["backoff", "ledger", "place"];

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Points.
    Metrics,
    /// Records.
    Logs,
    /// Lines on stderr.
    Stderr,
}

/// By the values of [`Signal`].
pub const SIGNALS: [&str; 4] = ["traces", "metrics", "logs", "stderr"];

/// What became of exported items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The collector took them.
    Sent,
    /// There was no room in the queue.
    Dropped,
    /// The collector refused them, or did not answer.
    Failed,
}

const FATES: [&str; 3] = ["sent", "dropped", "failed"];

// === impl Metrics ===

impl Metrics {
    /// Nothing measured yet. `models` are those known beforehand.
    pub fn new<'a>(prices: Vec<Price>, models: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = models.into_iter().collect();
        let priced = prices.iter().map(|price| price.model.as_str());
        let most = MOST_MODELS.saturating_add(known.len() as u16);
        Metrics {
            models: Labels::new(most, known.iter().copied().chain(priced)),
            clients: Labels::new(MOST_CLIENTS, [names::ANONYMOUS]),
            reasons: Labels::new(MOST_REASONS, []),
            in_flight: AtomicI64::new(0),
            since: SystemTime::now(),
            prices,
            calls: Series::default(),
            attempts: Series::default(),
            usage: Series::default(),
            failures: Series::default(),
            rejections: Series::default(),
            retries: std::array::from_fn(|_| AtomicU64::new(0)),
            waits: std::array::from_fn(|_| AtomicU64::new(0)),
            exports: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            sources: RwLock::default(),
            pushing: OnceLock::new(),
        }
    }

    /// Families that are read when somebody asks.
    pub fn add_source(&self, source: Source) {
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        sources.push(source);
    }

    /// Pushes histograms through this meter: those that begin from now on.
    pub fn push_to(&self, meter: &Meter) {
        let _ = self.pushing.set(Arc::new(Pushing::new(meter)));
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
        bounds: &'static Bounds,
        attributes: impl FnOnce() -> Attributes,
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
    pub fn usage(&self, calls: &CallSeries, model: &str, tokens: &Tokens) -> u64 {
        let key = UsageKey {
            operation: Operation::Chat,
            model: Some(self.models.label(model)),
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
        let cost = prices::cost(&self.prices, model, tokens);
        if cost.is_none() {
            let all = tokens.all_input() + tokens.output;
            calls.unpriced.fetch_add(all, Relaxed);
        }
        let cost = cost.unwrap_or(0);
        calls.cost.fetch_add(cost, Relaxed);
        cost
    }

    /// Counts a failed call.
    pub fn failure(&self, rpc: usize, client: Label, reason: &str) {
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
        self.retries[usize::from(cause.0)].fetch_add(1, Relaxed);
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
    pub fn exported(&self, signal: Signal, fate: Fate, items: usize) {
        self.exports[signal as usize][fate as usize].fetch_add(items as u64, Relaxed);
    }

    /// Exported items so far.
    pub fn exports(&self, signal: Signal, fate: Fate) -> u64 {
        self.exports[signal as usize][fate as usize].load(Relaxed)
    }
}

// === impl CallSeries ===

impl CallSeries {
    fn new(pushing: Option<(Arc<Pushing>, Attributes)>) -> Self {
        let mut series = CallSeries {
            durations: std::array::from_fn(|_| OnceLock::new()),
            own: Histogram::new(&histogram::OWN),
            first_chunk: OnceLock::new(),
            per_chunk: OnceLock::new(),
            tokens: std::array::from_fn(|_| AtomicU64::new(0)),
            unpriced: AtomicU64::new(0),
            cost: AtomicU64::new(0),
            pushing,
        };
        series.own = series.histogram(&m::OWN_DURATION, &histogram::OWN, &[]);
        series
    }

    fn histogram(
        &self,
        metric: &Metric,
        bounds: &'static Bounds,
        more: &[(&'static str, &'static str)],
    ) -> Histogram {
        let pushed = self.pushing.as_ref().and_then(|(pushing, attributes)| {
            let mut attributes = attributes.clone();
            attributes.extend(
                more.iter()
                    .map(|(name, value)| (*name, Cow::Borrowed(*value))),
            );
            pushing.series(metric, &attributes)
        });
        Histogram::new(bounds).pushed(pushed)
    }

    /// Durations of the calls that ended with a status.
    pub fn durations(&self, status: usize) -> &Histogram {
        self.durations[status].get_or_init(|| {
            let more = [
                (a::RPC_SYSTEM, names::GRPC),
                (a::RPC_STATUS, names::STATUSES[status]),
            ];
            self.histogram(&m::CALL_DURATION, &histogram::CALLS, &more)
        })
    }

    /// Times to the first piece of a streamed answer.
    pub fn first_chunk(&self) -> &Histogram {
        self.first_chunk
            .get_or_init(|| self.histogram(&m::FIRST_CHUNK, &histogram::FIRST_CHUNKS, &[]))
    }

    /// Times between the pieces of a streamed answer.
    pub fn per_chunk(&self) -> &Histogram {
        self.per_chunk
            .get_or_init(|| self.histogram(&m::PER_CHUNK, &histogram::CHUNKS, &[]))
    }
}

/// Figures by their labels. Looking one up takes a shared lock; only the first
/// of its kind takes it alone.
#[derive(Debug)]
struct Series<K, V>(RwLock<HashMap<K, Arc<V>>>);

impl<K, V> Default for Series<K, V> {
    fn default() -> Self {
        Series(RwLock::default())
    }
}

impl<K: Copy + Eq + Hash, V> Series<K, V> {
    fn get(&self, key: K, new: impl FnOnce() -> V) -> Arc<V> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known.get(&key) {
            return Arc::clone(value);
        }
        drop(known);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(key).or_insert_with(|| Arc::new(new())))
    }

    fn all(&self) -> Vec<(K, Arc<V>)> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .map(|(key, value)| (*key, Arc::clone(value)))
            .collect()
    }
}
