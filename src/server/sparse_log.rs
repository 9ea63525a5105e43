//! Log lines about what strangers can cause as often as they like.

use parking_lot::Mutex;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Minimum time between two lines.
const INTERVAL: Duration = Duration::from_secs(60);

/// Counts events, of which at most one a minute is logged.
#[derive(Debug, Default)]
pub struct SparseLog {
    count: AtomicU64,
    last_line: Mutex<Option<Instant>>,
}

impl SparseLog {
    /// Counts an event, and calls `log` with the count so far unless another event
    /// was logged within the last minute.
    pub fn event(&self, log: impl FnOnce(u64)) {
        let count = self.count.fetch_add(1, Relaxed) + 1;
        let mut last_line = self.last_line.lock();
        if last_line.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        *last_line = Some(Instant::now());
        drop(last_line);
        log(count);
    }

    /// Events so far.
    pub fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_counts_and_one_is_logged() {
        let events = SparseLog::default();
        let mut logged = Vec::new();
        for _ in 0..3 {
            events.event(|count| logged.push(count));
        }
        assert_eq!((logged, events.count()), (vec![1], 3));
    }
}
