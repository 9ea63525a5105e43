//! A histogram that threads write to without a lock.

use opentelemetry::{SpanId, TraceId, metrics::BoundHistogram};
use std::{
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

/// Upper bounds of buckets, and the scale of values.
#[derive(Debug)]
pub struct BucketBounds {
    /// Upper bounds, ascending. Larger values are in one more bucket.
    pub upper: &'static [u64],
    /// Values per unit of the metric.
    pub per_unit: f64,
}

/// Values are nanoseconds.
const PER_SECOND: f64 = 1e9;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

/// Durations of calls. The bounds of the conventions end at 10 s; responses take
/// minutes.
pub static CALLS: BucketBounds = BucketBounds {
    upper: &[
        5 * MS,
        10 * MS,
        25 * MS,
        50 * MS,
        100 * MS,
        250 * MS,
        500 * MS,
        S,
        2_500 * MS,
        5 * S,
        10 * S,
        20 * S,
        30 * S,
        60 * S,
        120 * S,
        300 * S,
        600 * S,
    ],
    per_unit: PER_SECOND,
};

/// Gateway overhead.
pub static OVERHEAD: BucketBounds = BucketBounds {
    upper: &[
        MS / 4,
        MS / 2,
        MS,
        5 * MS / 2,
        5 * MS,
        10 * MS,
        25 * MS,
        50 * MS,
        100 * MS,
        250 * MS,
        500 * MS,
        S,
        5 * S,
        30 * S,
    ],
    per_unit: PER_SECOND,
};

/// Times to the first chunk of responses.
pub static FIRST_CHUNKS: BucketBounds = BucketBounds {
    upper: &[
        50 * MS,
        100 * MS,
        200 * MS,
        400 * MS,
        600 * MS,
        800 * MS,
        S,
        1_500 * MS,
        2 * S,
        3 * S,
        5 * S,
        10 * S,
        20 * S,
        40 * S,
        80 * S,
    ],
    per_unit: PER_SECOND,
};

/// Times between chunks of responses.
pub static CHUNKS: BucketBounds = BucketBounds {
    upper: &[
        MS,
        5 * MS / 2,
        5 * MS,
        10 * MS,
        20 * MS,
        30 * MS,
        40 * MS,
        50 * MS,
        75 * MS,
        100 * MS,
        200 * MS,
        500 * MS,
        S,
        5 * S,
    ],
    per_unit: PER_SECOND,
};

/// Durations of attempts: the bounds of the conventions.
pub static ATTEMPTS: BucketBounds = BucketBounds {
    upper: &[
        10 * MS,
        20 * MS,
        40 * MS,
        80 * MS,
        160 * MS,
        320 * MS,
        640 * MS,
        1_280 * MS,
        2_560 * MS,
        5_120 * MS,
        10_240 * MS,
        20_480 * MS,
        40_960 * MS,
        81_920 * MS,
    ],
    per_unit: PER_SECOND,
};

/// Numbers of tokens: the bounds of the conventions.
pub static TOKENS: BucketBounds = BucketBounds {
    upper: &[
        1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
        67_108_864,
    ],
    per_unit: 1.0,
};

/// A histogram of whole numbers, see [`BucketBounds::per_unit`].
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static BucketBounds,
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
    /// The same series in the SDK, if metrics are pushed.
    pushed: Option<BoundHistogram<f64>>,
    exemplars: OnceLock<Mutex<Box<[Option<Exemplar>]>>>,
}

/// A sampled call that is an example of its bucket.
#[derive(Debug, Clone)]
pub struct Exemplar {
    /// Trace id of the call.
    pub trace: TraceId,
    /// Span id of the call.
    pub span: SpanId,
    /// The value.
    pub value: u64,
    /// When the value was recorded.
    pub at: SystemTime,
}

/// A snapshot of a histogram.
#[derive(Debug, Clone)]
pub struct HistogramSnapshot {
    /// Upper bounds and scale.
    pub bounds: &'static BucketBounds,
    /// Count of each bucket; one more than there are bounds.
    pub buckets: Vec<u64>,
    /// Sum of all values.
    pub sum: u64,
    /// Exemplar of each bucket, or empty without any.
    pub exemplars: Vec<Option<Exemplar>>,
}

// === impl Histogram ===

impl Histogram {
    /// Creates an empty histogram.
    pub fn new(bounds: &'static BucketBounds) -> Self {
        Histogram {
            bounds,
            buckets: (0..=bounds.upper.len())
                .map(|_| AtomicU64::new(0))
                .collect(),
            sum: AtomicU64::new(0),
            pushed: None,
            exemplars: OnceLock::new(),
        }
    }

    /// Also records all values in the SDK.
    pub fn pushed(self, pushed: Option<BoundHistogram<f64>>) -> Self {
        Histogram { pushed, ..self }
    }

    /// Records a value, and returns its bucket.
    pub fn observe(&self, value: u64) -> usize {
        let bucket = self.bounds.upper.partition_point(|upper| *upper < value);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
        if let Some(pushed) = &self.pushed {
            pushed.record(value as f64 / self.bounds.per_unit);
        }
        bucket
    }

    /// Records a duration, and returns its bucket.
    pub fn observe_time(&self, time: Duration) -> usize {
        self.observe(nanos(time))
    }

    /// Keeps a sampled call as the exemplar of its bucket, unless the exemplars
    /// are being read.
    pub fn exemplify(&self, bucket: usize, exemplar: Exemplar) {
        let exemplars = self
            .exemplars
            .get_or_init(|| Mutex::new(vec![None; self.buckets.len()].into_boxed_slice()));
        if let Ok(mut exemplars) = exemplars.try_lock() {
            exemplars[bucket] = Some(exemplar);
        }
    }

    /// A snapshot of the histogram.
    pub fn snapshot(&self) -> HistogramSnapshot {
        let exemplars = self.exemplars.get().and_then(|it| it.lock().ok());
        HistogramSnapshot {
            bounds: self.bounds,
            buckets: self.buckets.iter().map(|it| it.load(Relaxed)).collect(),
            sum: self.sum.load(Relaxed),
            exemplars: exemplars.map_or_else(Vec::new, |it| it.to_vec()),
        }
    }
}

impl BucketBounds {
    /// The upper bounds in the metric's unit.
    pub fn in_units(&self) -> impl Iterator<Item = f64> {
        let per_unit = self.per_unit;
        self.upper.iter().map(move |it| *it as f64 / per_unit)
    }
}

impl HistogramSnapshot {
    /// Number of values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum in the metric's unit.
    pub fn sum(&self) -> f64 {
        self.sum as f64 / self.bounds.per_unit
    }

    /// The upper bounds in the metric's unit.
    pub fn upper(&self) -> impl Iterator<Item = f64> {
        self.bounds.in_units()
    }
}

/// Nanoseconds of a duration, up to 584 years.
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_on_a_bound_is_below_it() {
        let histogram = Histogram::new(&TOKENS);
        for value in [0, 1, 2, 4, u64::MAX / 2] {
            histogram.observe(value);
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.buckets[..3], [2, 2, 0]);
        assert_eq!(snapshot.buckets.last(), Some(&1));
        assert_eq!(snapshot.count(), 5);
    }

    #[test]
    fn bounds_ascend() {
        for bounds in [
            &CALLS,
            &OVERHEAD,
            &FIRST_CHUNKS,
            &CHUNKS,
            &ATTEMPTS,
            &TOKENS,
        ] {
            assert!(bounds.upper.is_sorted());
        }
    }
}
