//! A call that waits in the queue.

use super::{bucket::Cost, quota::Quota, reservation::QuotaReservation, state::State};
use crate::call::{Deadline, Priority};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// A position in the queue, given up when dropped.
pub struct QueuePosition {
    quota: Arc<Quota>,
    id: u64,
    priority: Priority,
    turn: Arc<Notify>,
    since: Instant,
}

// === impl QueuePosition ===

impl QueuePosition {
    /// The position of the call that was enqueued with `id`.
    pub fn new(quota: Arc<Quota>, id: u64, priority: Priority, turn: Arc<Notify>) -> Self {
        QueuePosition {
            quota,
            id,
            priority,
            turn,
            since: Instant::now(),
        }
    }

    /// The quota that the call waits for.
    pub fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    /// The priority of the call.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// How long the call has waited.
    pub fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    /// Whether it is the first in the queue.
    pub fn is_next(&self, state: &State) -> bool {
        state.next().is_some_and(|(first, _)| first == self.id)
    }

    /// Waits for this time, or until notified.
    pub async fn sleep(&self, time: Duration) {
        tokio::select! {
            () = self.turn.notified() => {}
            () = sleep(time) => {}
        }
    }

    /// Waits until the call fits, and reserves it.
    ///
    /// # Errors
    /// When the calls before it took longer than expected, so that there is no
    /// time left for a response: the time until it would fit.
    pub async fn wait(self, cost: Cost, deadline: Deadline) -> Result<QuotaReservation, Duration> {
        loop {
            let fits_in = {
                let mut state = self.quota.lock();
                match self.is_next(&state).then(|| state.fits_in(cost)) {
                    Some(wait) if !state.leaves_time(cost, wait, deadline) => {
                        return Err(state.wait(cost, self.priority));
                    }
                    Some(Duration::ZERO) => {
                        return Ok(self.quota.reserve(&mut state, cost, self.priority));
                    }
                    wait => wait.unwrap_or(Duration::MAX),
                }
            };
            self.sleep(fits_in).await;
        }
    }
}

impl Drop for QueuePosition {
    fn drop(&mut self) {
        let mut state = self.quota.lock();
        state.queue(self.priority).remove(self.id);
        state.wake_next();
    }
}
