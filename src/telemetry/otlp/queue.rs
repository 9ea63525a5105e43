//! What waits to be exported: bounded, never waited for.

use crate::telemetry::metrics::{Fate, Metrics, Signal};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// A bounded queue. Whoever adds never waits: without room, it is dropped and
/// counted.
pub struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    /// Most that wait.
    most: usize,
    /// So many are worth sending before their time.
    batch: usize,
    enough: Notify,
    metrics: Arc<Metrics>,
    signal: Signal,
}

struct Waiting<T> {
    /// With how much each weighs.
    items: Vec<(T, usize)>,
    weight: usize,
}

impl<T> Queue<T> {
    /// An empty one. `metrics` is told of what is dropped.
    pub fn new(metrics: Arc<Metrics>, signal: Signal, most: usize, batch: usize) -> Self {
        Queue {
            waiting: Mutex::new(Waiting {
                items: Vec::new(),
                weight: 0,
            }),
            most,
            batch: batch.clamp(1, most.max(1)),
            enough: Notify::new(),
            metrics,
            signal,
        }
    }

    /// Adds an item that stands for so many.
    pub fn push(&self, item: T, weight: usize) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.weight + weight > self.most {
            drop(waiting);
            self.metrics.exported(self.signal, Fate::Dropped, weight);
            return;
        }
        let before = waiting.weight;
        waiting.weight += weight;
        waiting.items.push((item, weight));
        let is_enough = before < self.batch && waiting.weight >= self.batch;
        drop(waiting);
        // Once for a batch: waking a thread for every call would cost more
        // than the call's spans.
        if is_enough {
            self.enough.notify_one();
        }
    }

    /// Waits until there is enough for a batch.
    pub async fn enough(&self) {
        self.enough.notified().await;
    }

    /// All that waits, in batches.
    pub fn take(&self) -> Vec<Vec<T>> {
        let items = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.weight = 0;
            std::mem::take(&mut waiting.items)
        };
        let mut batches = Vec::new();
        let (mut batch, mut in_batch) = (Vec::new(), 0);
        for (item, weight) in items {
            if in_batch + weight > self.batch && !batch.is_empty() {
                batches.push(std::mem::take(&mut batch));
                in_batch = 0;
            }
            batch.push(item);
            in_batch += weight;
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_has_no_room_is_dropped_and_counted() {
        let metrics = Arc::new(Metrics::new(Vec::new(), []));
        let queue = Queue::new(Arc::clone(&metrics), Signal::Traces, 5, 2);
        for item in 0..4 {
            queue.push(item, 2);
        }
        queue.enough().await;
        assert_eq!(metrics.exports(Signal::Traces, Fate::Dropped), 4);
        assert_eq!(queue.take(), [[0], [1]]);
        queue.push(9, 1);
        queue.push(8, 1);
        assert_eq!(queue.take(), [[9, 8]]);
    }
}
