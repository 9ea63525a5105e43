//! What is left of the API's limits for one key and model, and who waits.
//!
//! Calls are charged when they begin, by estimate, and settled when the API
//! has counted, as the API itself does. Calls that do not fit wait in a queue:
//! interactive ones first, else first come, first served. The first in line
//! sleeps until it fits; whoever leaves wakes the next. There is no task
//! behind it.
//!
//! A call is let in only if it will have its turn, and time left for its
//! answer, before its deadline. Otherwise calls would reach the front of the
//! queue just in time to fail.

use super::{
    bucket::Cost,
    buckets::Levels,
    queue_position::QueuePosition,
    reservation::QuotaReservation,
    shared::{ReservationScope, SharedQuota},
    state::State,
};
use crate::{
    call::{Deadline, Priority},
    upstream::RateLimits,
};
use parking_lot::{Mutex, MutexGuard};
use std::{sync::Arc, time::Duration};

/// The quota of one key and model.
#[derive(Debug, Default)]
pub struct Quota {
    state: Mutex<State>,
    /// Where other replicas have the same quota.
    shared: Option<SharedQuota>,
}

/// What is left, for people and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QuotaRemaining {
    /// Requests left and the limit.
    pub requests: Option<(f64, f64)>,
    /// Input tokens left and the limit.
    pub input_tokens: Option<(f64, f64)>,
    /// Output tokens left and the limit.
    pub output_tokens: Option<(f64, f64)>,
    /// Interactive calls that wait.
    pub waiting_interactive: usize,
    /// Batch calls that wait.
    pub waiting_batch: usize,
}

// === impl Quota ===

impl Quota {
    /// A quota that other replicas have too.
    pub fn sharing(shared: SharedQuota) -> Self {
        Quota {
            shared: Some(shared),
            ..Quota::default()
        }
    }

    /// Where other replicas have the same quota.
    pub fn shared(&self) -> Option<&SharedQuota> {
        self.shared.as_ref()
    }

    /// Waits until a call fits, and reserves it.
    ///
    /// # Errors
    /// At once, when it cannot fit before its deadline: after how long it
    /// would.
    pub async fn admit(
        self: &Arc<Self>,
        cost: Cost,
        priority: Priority,
        deadline: Deadline,
    ) -> Result<QuotaReservation, Duration> {
        let place = {
            let mut state = self.lock();
            if !state.anyone_before(priority) && state.fits_in(cost) == Some(Duration::ZERO) {
                return Ok(self.reserve(&mut state, cost, priority));
            }
            let wait = state.wait(cost, priority);
            if !state.leaves_time(wait, deadline) {
                return Err(wait);
            }
            self.place(&mut state, cost, priority)
        };
        place.wait(cost, deadline).await
    }

    /// How long a call would wait as of now.
    pub fn wait(&self, cost: Cost, priority: Priority) -> Duration {
        let mut state = self.lock();
        if !state.anyone_before(priority) {
            return state.fits_in(cost).unwrap_or_default();
        }
        state.wait(cost, priority)
    }

    /// What is left, and who waits.
    pub fn remaining(&self) -> QuotaRemaining {
        let mut state = self.lock();
        state.refill();
        let [requests, input_tokens, output_tokens] = state.figures();
        QuotaRemaining {
            requests,
            input_tokens,
            output_tokens,
            waiting_interactive: state.interactive.len(),
            waiting_batch: state.batch.len(),
        }
    }

    /// Whether nobody uses it.
    pub fn is_idle(&self) -> bool {
        let state = self.lock();
        state.in_flight == 0 && state.interactive.is_empty() && state.batch.is_empty()
    }

    /// Takes over what the head of an answer told after a call was charged so
    /// much, and wakes who waits.
    pub fn observe(&self, told: &RateLimits, at_charge: &Levels, charged: Cost) {
        let mut state = self.lock();
        state.refill();
        state.observe(told, at_charge, charged);
        state.wake_next();
    }

    /// Takes over what the head of an answer told.
    pub(super) fn take_over(&self, told: &RateLimits, at_charge: &Levels, charged: Cost) {
        let mut state = self.lock();
        state.refill();
        state.observe(told, at_charge, charged);
    }

    pub(super) fn wake_next(&self) {
        self.lock().wake_next();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// A place at the end of the queue.
    pub(super) fn place(
        self: &Arc<Self>,
        state: &mut State,
        cost: Cost,
        priority: Priority,
    ) -> QueuePosition {
        let (id, turn) = state.enqueue(cost, priority);
        QueuePosition::new(Arc::clone(self), id, priority, turn)
    }

    /// Charges a call here, and nowhere else.
    pub(super) fn reserve(
        self: &Arc<Self>,
        state: &mut State,
        cost: Cost,
        priority: Priority,
    ) -> QuotaReservation {
        state.take(cost, priority);
        state.begin(cost);
        QuotaReservation::new(
            self,
            cost,
            priority,
            state.levels(),
            ReservationScope::Local,
        )
    }
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
