//! Calls of one priority that wait: first come, first served.

use super::bucket::Cost;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::Notify;

/// The queue.
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
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// What all who wait cost together.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Puts a call at the end; it is woken when its turn comes.
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

    /// Takes a call out, wherever it stands.
    pub fn remove(&mut self, id: u64) {
        if let Some(waiter) = self.waiters.remove(&id) {
            self.cost = match self.waiters.is_empty() {
                // No rounding error outlives the queue.
                true => Cost::default(),
                false => self.cost.minus(waiter.cost),
            };
        }
    }

    /// The first in line, and how to wake it.
    pub fn first(&self) -> Option<(u64, &Notify)> {
        let (id, waiter) = self.waiters.first_key_value()?;
        Some((*id, &waiter.turn))
    }
}
