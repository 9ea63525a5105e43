//! The last minute, second by second.

use crate::telemetry::metrics::CallTotals;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Number of samples that are kept: 60 seconds between the first and the last.
const KEPT: usize = 61;

/// Figures of the last minute.
#[derive(Debug, Default)]
pub struct LastMinute(VecDeque<(Instant, CallTotals)>);

impl LastMinute {
    /// Adds a sample of the totals.
    pub fn push(&mut self, totals: CallTotals) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back((Instant::now(), totals));
    }

    /// Time between the first and the last sample.
    pub fn length(&self) -> Duration {
        match (self.0.front(), self.0.back()) {
            (Some((first, _)), Some((last, _))) => *last - *first,
            _ => Duration::ZERO,
        }
    }

    /// Calls that ended in each second, oldest first.
    pub fn per_second(&self) -> Vec<f64> {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        pairs
            .map(|((before, earlier), (after, later))| {
                let calls = later.calls().saturating_sub(earlier.calls());
                calls as f64 / (*after - *before).as_secs_f64().max(0.001)
            })
            .collect()
    }

    /// Calls that succeeded and calls that failed.
    pub fn outcomes(&self) -> (u64, u64) {
        let (Some((_, first)), Some((_, last))) = (self.0.front(), self.0.back()) else {
            return (0, 0);
        };
        let all = last.calls().saturating_sub(first.calls());
        let good = last.good().saturating_sub(first.good());
        (good, all.saturating_sub(good))
    }

    /// A quantile of the durations of calls.
    pub fn call(&self, quantile: f64) -> Option<Duration> {
        self.quantile(quantile, |totals| &totals.whole)
    }

    /// A quantile of the time that the gateway added to calls.
    pub fn overhead(&self, quantile: f64) -> Option<Duration> {
        self.quantile(quantile, |totals| &totals.overhead)
    }

    fn quantile(
        &self,
        quantile: f64,
        of: impl Fn(&CallTotals) -> &crate::telemetry::metrics::histogram::HistogramSnapshot,
    ) -> Option<Duration> {
        let (first, last) = (of(&self.0.front()?.1), of(&self.0.back()?.1));
        let pairs = last.buckets.iter().zip(&first.buckets);
        let counts: Vec<u64> = pairs
            .map(|(after, before)| after.saturating_sub(*before))
            .collect();
        interpolated(&counts, last.bounds.upper, quantile).map(Duration::from_nanos)
    }
}

/// A quantile, interpolated linearly within its bucket, as Prometheus does.
fn interpolated(counts: &[u64], upper: &[u64], quantile: f64) -> Option<u64> {
    let all: u64 = counts.iter().sum();
    if all == 0 {
        return None;
    }
    let rank = quantile * all as f64;
    let mut below = 0.0;
    for (at, count) in counts.iter().enumerate() {
        let count = *count as f64;
        if below + count >= rank && count > 0.0 {
            let from = if at == 0 { 0 } else { upper[at - 1] };
            // The last bucket has no upper bound.
            let to = upper.get(at).copied().unwrap_or(from);
            let share = (rank - below) / count;
            return Some(from + ((to - from) as f64 * share) as u64);
        }
        below += count;
    }
    upper.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_within_their_buckets() {
        let upper = [10, 20, 40];
        assert_eq!(interpolated(&[0, 0, 0, 0], &upper, 0.5), None);
        assert_eq!(interpolated(&[10, 0, 0, 0], &upper, 0.5), Some(5));
        assert_eq!(interpolated(&[50, 49, 1, 0], &upper, 0.99), Some(20));
        assert_eq!(interpolated(&[0, 0, 0, 9], &upper, 0.99), Some(40));
    }
}
