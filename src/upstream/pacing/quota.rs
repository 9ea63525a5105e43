//! What is left of the API's limits for one key and model, and the calls that
//! wait for it.
//!
//! Calls reserve their estimated cost when they begin, and are settled when the
//! API has counted, as the API itself does. Calls that do not fit wait in a
//! queue: interactive ones first, and among equals the tenants take turns
//! (`queue`). The first in the queue sleeps until it fits; every call that leaves
//! notifies the next one. There is no background task.
//!
//! A call is admitted only if it will have its turn, and time left for its
//! response, before its deadline. Otherwise calls would reach the front of the
//! queue just in time to fail.

use super::{
    bucket::Cost,
    buckets::Levels,
    queue_position::QueuePosition,
    rank::Rank,
    reservation::QuotaReservation,
    shared::{ReservationScope, SharedQuota},
    state::State,
};
use crate::{
    call::{Deadline, Priority},
    upstream::{RateLimits, RequestShape},
};
use parking_lot::{Mutex, MutexGuard};
use std::{sync::Arc, time::Duration};

/// The quota of one key and model.
#[derive(Debug, Default)]
pub struct Quota {
    state: Mutex<State>,
    /// The shared part, if other replicas use the same quota.
    shared: Option<SharedQuota>,
}

/// What is left, for the status page and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QuotaRemaining {
    /// Remaining requests and the limit.
    pub requests: Option<(f64, f64)>,
    /// Remaining input tokens and the limit.
    pub input_tokens: Option<(f64, f64)>,
    /// Remaining output tokens and the limit.
    pub output_tokens: Option<(f64, f64)>,
    /// Number of interactive calls that wait.
    pub waiting_interactive: usize,
    /// Number of batch calls that wait.
    pub waiting_batch: usize,
}

// === impl Quota ===

impl Quota {
    /// A quota, shared with other replicas or not, with the limits that are assumed until
    /// the API reports some.
    pub fn new(shared: Option<SharedQuota>, assumed: Option<&RateLimits>) -> Self {
        Quota {
            state: Mutex::new(State::assuming(assumed)),
            shared,
        }
    }

    /// The shared part, if other replicas use the same quota.
    pub fn shared(&self) -> Option<&SharedQuota> {
        self.shared.as_ref()
    }

    /// Waits until a call fits, and reserves it.
    ///
    /// # Errors
    /// At once, when it cannot fit before its deadline: the time until it would
    /// fit.
    pub async fn admit(
        self: &Arc<Self>,
        cost: Cost,
        rank: Rank<'_>,
        deadline: Deadline,
    ) -> Result<QuotaReservation, Duration> {
        let place = {
            let mut state = self.lock();
            if !state.anyone_before(rank.priority) && state.fits_in(cost).is_zero() {
                return Ok(self.reserve(&mut state, cost, rank.priority));
            }
            let wait = state.wait(cost, rank);
            if !state.leaves_time(cost, wait, deadline) {
                return Err(wait);
            }
            self.place(&mut state, cost, rank)
        };
        place.wait(cost, deadline).await
    }

    /// How long a call would currently wait.
    pub fn wait(&self, cost: Cost, rank: Rank<'_>) -> Duration {
        let mut state = self.lock();
        if !state.anyone_before(rank.priority) {
            return state.fits_in(cost);
        }
        state.wait(cost, rank)
    }

    /// How much longer the API rejects calls of this shape.
    pub fn blocked_for(&self, shape: RequestShape) -> Duration {
        self.lock().blocked_for(shape)
    }

    /// Whether a call that waits for this time has time left for its response.
    pub fn leaves_time(&self, cost: Cost, wait: Duration, deadline: Deadline) -> bool {
        self.lock().leaves_time(cost, wait, deadline)
    }

    /// What is left, and how many calls wait.
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

    /// Whether no call uses or waits for the quota.
    pub fn is_idle(&self) -> bool {
        let state = self.lock();
        state.in_flight == 0 && state.interactive.is_empty() && state.batch.is_empty()
    }

    /// Whether a call has succeeded: the model exists.
    pub fn has_answered(&self) -> bool {
        self.lock().has_answered()
    }

    /// Applies the response headers of a call that reserved `charged`, and
    /// notifies waiting calls.
    pub fn observe(&self, reported: &RateLimits, at_reservation: &Levels, charged: Cost) {
        let mut state = self.lock();
        state.refill();
        state.observe(reported, at_reservation, charged);
        state.wake_next();
    }

    /// Applies the response headers of a call.
    pub(super) fn take_over(&self, reported: &RateLimits, at_reservation: &Levels, charged: Cost) {
        let mut state = self.lock();
        state.refill();
        state.observe(reported, at_reservation, charged);
    }

    pub(super) fn wake_next(&self) {
        self.lock().wake_next();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// A position in the queue.
    pub(super) fn place(
        self: &Arc<Self>,
        state: &mut State,
        cost: Cost,
        rank: Rank<'_>,
    ) -> QueuePosition {
        let (id, turn) = state.enqueue(cost, rank);
        QueuePosition::new(Arc::clone(self), id, rank, turn)
    }

    /// Reserves a call in this process only.
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
