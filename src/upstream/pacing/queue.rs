//! Waiting calls of one priority, in the order of their turns.
//!
//! Holders, which are tenants or peers, take turns by start-time fair queueing (Goyal,
//! Vin, Cheng, 1996). The first call of a holder has a start in virtual time, and that
//! with the smallest start goes first. It moves the start of its holder's next call by its cost, as a
//! part of the API's limits, divided by the weight of the holder. So one that makes
//! many or large calls holds up its own. A call that used less than was reserved for
//! it moves that start back, so that shares are those of actual use. One that did not
//! wait starts at the virtual time, and gains nothing by it. With equal starts, and
//! within a holder: first come, first served.

use super::{bucket::Cost, rank::Rank};
use crate::call::Holder;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use tokio::sync::Notify;

/// The whole of the API's limits in virtual time, for a holder of weight 1.
const WHOLE: f64 = (1_u64 << 40) as f64;

/// Largest cost of a call in virtual time, as a multiple of the limits. It bounds
/// what a limit of 0 would make infinite.
const LARGEST: f64 = 1000.0;

/// The queue of one priority.
#[derive(Debug, Default)]
pub struct Queue {
    /// The holders that wait, or whose next call starts later than now.
    shares: HashMap<Option<Holder>, HolderShare>,
    /// The first call of each waiting holder, by its start and its id.
    firsts: BTreeMap<(u64, u64), Arc<Notify>>,
    /// The holders that do not wait, by the start of their next call.
    absent: BTreeSet<(u64, Option<Holder>)>,
    /// Virtual time: the start of the call that was admitted last, or of a holder that
    /// waits if that has become less. 0 when no call waits.
    now: u64,
    /// How often no call waited. The virtual time of another period says nothing.
    period: u64,
    len: usize,
    cost: Cost,
    /// Of the waiting holders together.
    weight: u64,
}

#[derive(Debug, Default)]
struct HolderShare {
    weight: u64,
    /// The virtual time at which its next call starts.
    start: u64,
    cost: Cost,
    /// By id, so in order of arrival.
    waiters: BTreeMap<u64, Waiter>,
}

#[derive(Debug)]
struct Waiter {
    cost: Cost,
    turn: Arc<Notify>,
}

/// The turn that a call has taken.
#[derive(Debug)]
pub struct TakenTurn {
    holder: Option<Holder>,
    weight: u64,
    /// By how much it moved its holder's next call.
    cost: u64,
    period: u64,
}

// === impl Queue ===

impl Queue {
    /// Whether no call waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of waiting calls.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The total cost of the waiting calls.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Adds a call with an id that is larger than those before; it is notified when
    /// its turn comes.
    pub fn push(&mut self, id: u64, rank: Rank<'_>, cost: Cost) -> Arc<Notify> {
        let turn = Arc::new(Notify::new());
        let share = self.shares.entry(rank.holder.clone()).or_default();
        if share.waiters.is_empty() {
            if share.start > self.now {
                self.absent.remove(&(share.start, rank.holder.clone()));
            }
            share.start = share.start.max(self.now);
            share.weight = 0;
            self.firsts.insert((share.start, id), Arc::clone(&turn));
        }
        // The clients file may have been reloaded.
        let weight = u64::from(rank.weight.max(1));
        self.weight = self.weight - share.weight + weight;
        share.weight = weight;
        share.cost = share.cost.plus(cost);
        let waiter = Waiter {
            cost,
            turn: Arc::clone(&turn),
        };
        share.waiters.insert(id, waiter);
        self.cost = self.cost.plus(cost);
        self.len += 1;
        turn
    }

    /// Removes a call that no longer waits, wherever it is. Has no effect if it was
    /// admitted.
    pub fn remove(&mut self, holder: &Option<Holder>, id: u64) {
        self.leave(holder, id, None);
    }

    /// Removes a call that was admitted, whose cost is this part of the API's limits.
    /// Its turn must be [settled](Self::settle).
    pub fn admitted(&mut self, holder: &Option<Holder>, id: u64, part: f64) -> Option<TakenTurn> {
        let period = self.period;
        let (weight, cost) = self.leave(holder, id, Some(part))?;
        let holder = holder.clone();
        Some(TakenTurn {
            holder,
            weight,
            cost,
            period,
        })
    }

    /// Settles a turn whose call has used this part of the API's limits.
    pub fn settle(&mut self, turn: &TakenTurn, part: f64) {
        if turn.period != self.period {
            return;
        }
        let Some(share) = self.shares.get_mut(&turn.holder) else {
            return;
        };
        let before = share.start;
        let used = virtual_cost(part, turn.weight);
        share.start = before.saturating_sub(turn.cost).saturating_add(used);
        if let Some((first, waiter)) = share.waiters.first_key_value() {
            self.firsts.remove(&(before, *first));
            let first = (share.start, *first);
            self.firsts.insert(first, Arc::clone(&waiter.turn));
            // Else one that comes would start behind those that wait.
            self.now = self.now.min(share.start);
        } else {
            self.absent.remove(&(before, turn.holder.clone()));
            self.absent.insert((share.start, turn.holder.clone()));
            self.forget();
        }
    }

    /// Removes a call, and lets it cost its holder this part of the API's limits.
    /// Returns the weight of the holder, and the cost.
    fn leave(&mut self, holder: &Option<Holder>, id: u64, part: Option<f64>) -> Option<(u64, u64)> {
        let share = self.shares.get_mut(holder)?;
        let first = *share.waiters.first_key_value()?.0;
        let waiter = share.waiters.remove(&id)?;
        self.firsts.remove(&(share.start, first));
        share.cost = share.cost.minus(waiter.cost);
        self.cost = self.cost.minus(waiter.cost);
        self.len -= 1;
        let (weight, mut cost) = (share.weight, 0);
        if let Some(part) = part {
            self.now = self.now.max(share.start);
            cost = virtual_cost(part, weight);
            share.start = share.start.saturating_add(cost);
        }
        if let Some((next, waiter)) = share.waiters.first_key_value() {
            let first = (share.start, *next);
            self.firsts.insert(first, Arc::clone(&waiter.turn));
        } else {
            self.weight -= share.weight;
            // Resets rounding errors.
            share.cost = Cost::default();
            self.absent.insert((share.start, holder.clone()));
        }
        self.forget();
        Some((weight, cost))
    }

    /// Forgets the absent holders whose next call would start now in any case.
    fn forget(&mut self) {
        if self.is_empty() {
            // Everybody had a turn. Also resets rounding errors.
            *self = Queue {
                period: self.period + 1,
                ..Queue::default()
            };
            return;
        }
        while let Some((start, _)) = self.absent.first()
            && *start <= self.now
            && let Some((_, holder)) = self.absent.pop_first()
        {
            self.shares.remove(&holder);
        }
    }

    /// The first call in the queue, and how to notify it.
    pub fn first(&self) -> Option<(u64, &Notify)> {
        let ((_, id), turn) = self.firsts.first_key_value()?;
        Some((*id, turn))
    }

    /// The cost of the calls that will go before one that arrives now: those of its
    /// holder, and of the others as much as they get in the meantime. `part` gives
    /// the part of the API's limits that a cost is.
    pub fn cost_before(&self, rank: Rank<'_>, cost: Cost, part: impl Fn(Cost) -> f64) -> Cost {
        let weight = u64::from(rank.weight.max(1));
        let (own, start, own_weight) = match self.shares.get(rank.holder) {
            Some(share) if share.waiters.is_empty() => (Cost::default(), share.start, 0),
            Some(share) => (share.cost, share.start, share.weight),
            None => (Cost::default(), self.now, 0),
        };
        let others = self.cost.minus(own);
        let (waits, passes) = (part(others), self.weight - own_weight);
        if passes == 0 || waits <= 0.0 {
            return own;
        }
        let until_start = start.saturating_sub(self.now) as f64 / WHOLE;
        let until_end = until_start + part(own.plus(cost)) / weight as f64;
        let meanwhile = until_end * passes as f64;
        own.plus(others.times((meanwhile / waits).min(1.0)))
    }
}

/// What a part of the API's limits costs a holder of this weight, in virtual time.
fn virtual_cost(part: f64, weight: u64) -> u64 {
    let cost = (part.min(LARGEST) * WHOLE) as u64 / weight;
    cost.max(1)
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
