//! Time series, by their labels.

use super::{
    family::MetricAttributes,
    histogram::{self, BucketBounds, Histogram},
    kinds::{ErrorType, Operation},
    push::PushedHistograms,
};
use crate::telemetry::{
    labels::LabelId,
    names::{self, Metric, attribute as a, metric as m},
};
use parking_lot::RwLock;
use std::{
    borrow::Cow,
    collections::HashMap,
    hash::Hash,
    sync::{Arc, OnceLock, atomic::AtomicU64},
};

/// The labels of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallKey {
    /// Index into [`names::METHODS`], or its length for any other method.
    pub rpc: usize,
    /// The requested model, if any.
    pub model: Option<LabelId>,
    /// The calling client.
    pub client: LabelId,
}

/// The series of one [`CallKey`].
#[derive(Debug)]
pub struct CallSeries {
    pub(super) durations: [OnceLock<Histogram>; names::STATUSES.len()],
    /// Overhead of the gateway.
    pub overhead: Histogram,
    pub(super) first_chunk: OnceLock<Histogram>,
    pub(super) per_chunk: OnceLock<Histogram>,
    /// Token counts, indexed by [`TOKEN_TYPES`].
    pub(super) tokens: [AtomicU64; 4],
    pub(super) unpriced: AtomicU64,
    /// Cost in nanodollars.
    pub(super) cost: AtomicU64,
    /// The histograms of the SDK and the attributes, if metrics are pushed.
    pushing: Option<(Arc<PushedHistograms>, MetricAttributes)>,
}

/// `gen_ai.token.type` of [`CallSeries`].
pub const TOKEN_TYPES: [&str; 4] = ["input", "output", "cache_read", "cache_write"];

/// The labels of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptKey {
    /// The operation of the API.
    pub operation: Operation,
    /// The requested model, if any.
    pub model: Option<LabelId>,
    /// The error, if the attempt failed.
    pub error: Option<ErrorType>,
    /// HTTP status, or 0 without a response.
    pub status: u16,
    /// The host that was asked.
    pub host: LabelId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct UsageKey {
    pub(super) operation: Operation,
    pub(super) model: Option<LabelId>,
    pub(super) host: LabelId,
}

#[derive(Debug)]
pub(super) struct UsageSeries {
    pub(super) input: Histogram,
    pub(super) output: Histogram,
    /// Cost in nanodollars.
    pub(super) cost: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FailureKey {
    pub(super) rpc: usize,
    pub(super) client: LabelId,
    pub(super) reason: LabelId,
}

// === impl CallSeries ===

impl CallSeries {
    pub(super) fn new(pushing: Option<(Arc<PushedHistograms>, MetricAttributes)>) -> Self {
        let mut series = CallSeries {
            durations: std::array::from_fn(|_| OnceLock::new()),
            overhead: Histogram::new(&histogram::OVERHEAD),
            first_chunk: OnceLock::new(),
            per_chunk: OnceLock::new(),
            tokens: std::array::from_fn(|_| AtomicU64::new(0)),
            unpriced: AtomicU64::new(0),
            cost: AtomicU64::new(0),
            pushing,
        };
        series.overhead = series.histogram(&m::OVERHEAD_DURATION, &histogram::OVERHEAD, &[]);
        series
    }

    fn histogram(
        &self,
        metric: &Metric,
        bounds: &'static BucketBounds,
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

    /// Durations of the calls that ended with this status.
    pub fn durations(&self, status: usize) -> &Histogram {
        self.durations[status].get_or_init(|| {
            let more = [
                (a::RPC_SYSTEM, names::GRPC),
                (a::RPC_STATUS, names::STATUSES[status]),
            ];
            self.histogram(&m::CALL_DURATION, &histogram::CALLS, &more)
        })
    }

    /// Times to the first chunk of streamed responses.
    pub fn first_chunk(&self) -> &Histogram {
        self.first_chunk
            .get_or_init(|| self.histogram(&m::FIRST_CHUNK, &histogram::FIRST_CHUNKS, &[]))
    }

    /// Times between the chunks of streamed responses.
    pub fn per_chunk(&self) -> &Histogram {
        self.per_chunk
            .get_or_init(|| self.histogram(&m::PER_CHUNK, &histogram::CHUNKS, &[]))
    }
}

/// Series by their labels. A lookup takes a shared lock; only a new series takes
/// it exclusively.
#[derive(Debug)]
pub(super) struct SeriesMap<K, V>(RwLock<HashMap<K, Arc<V>>>);

impl<K, V> Default for SeriesMap<K, V> {
    fn default() -> Self {
        SeriesMap(RwLock::default())
    }
}

impl<K: Copy + Eq + Hash, V> SeriesMap<K, V> {
    pub(super) fn get(&self, key: K, new: impl FnOnce() -> V) -> Arc<V> {
        let known = self.0.read();
        if let Some(value) = known.get(&key) {
            return Arc::clone(value);
        }
        drop(known);
        let mut all = self.0.write();
        Arc::clone(all.entry(key).or_insert_with(|| Arc::new(new())))
    }

    pub(super) fn all(&self) -> Vec<(K, Arc<V>)> {
        let known = self.0.read();
        known
            .iter()
            .map(|(key, value)| (*key, Arc::clone(value)))
            .collect()
    }
}
