//! Waiting calls of one priority: first come, first served.

use super::bucket::Cost;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::Notify;

/// The queue of one priority.
#[derive(Debug, Default)]
pub struct Queue {
    /// By id, so in order of arrival.
    waiters: BTreeMap<u64, Waiter>,
    cost: Cost,
}

#[derive(Debug)]
struct Waiter {
    cost: Cost,
    turn: Arc<Notify>,
}

impl Queue {
    /// Whether no call waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Number of waiting calls.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// The total cost of the waiting calls.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Appends a call; it is notified when its turn comes.
    pub fn push(&mut self, id: u64, cost: Cost) -> Arc<Notify> {
        let turn = Arc::new(Notify::new());
        let waiter = Waiter {
            cost,
            turn: Arc::clone(&turn),
        };
        self.cost = self.cost.plus(cost);
        self.waiters.insert(id, waiter);
        turn
    }

    /// Removes a call, wherever it is.
    pub fn remove(&mut self, id: u64) {
        if let Some(waiter) = self.waiters.remove(&id) {
            self.cost = match self.waiters.is_empty() {
                // Resets rounding errors when the queue is empty.
                true => Cost::default(),
                false => self.cost.minus(waiter.cost),
            };
        }
    }

    /// The first call in the queue, and how to notify it.
    pub fn first(&self) -> Option<(u64, &Notify)> {
        let (id, waiter) = self.waiters.first_key_value()?;
        Some((*id, &waiter.turn))
    }
}
