//! A call that waits in the queue.

use super::{
    bucket::Cost, queue::TakenTurn, quota::Quota, rank::Rank, reservation::QuotaReservation,
    state::State,
};
use crate::call::{Deadline, Holder, Priority};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// A position in the queue, given up when dropped.
pub struct QueuePosition {
    quota: Arc<Quota>,
    id: u64,
    priority: Priority,
    holder: Option<Holder>,
    weight: u32,
    turn: Arc<Notify>,
    first_since: OnceLock<Instant>,
}

// === impl QueuePosition ===

impl QueuePosition {
    /// The position of the call that was enqueued with `id`.
    pub fn new(quota: Arc<Quota>, id: u64, rank: Rank<'_>, turn: Arc<Notify>) -> Self {
        QueuePosition {
            quota,
            id,
            priority: rank.priority,
            holder: rank.holder.clone(),
            weight: rank.weight,
            turn,
            first_since: OnceLock::new(),
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

    /// What decides about its turn.
    pub fn rank(&self) -> Rank<'_> {
        Rank {
            priority: self.priority,
            holder: &self.holder,
            weight: self.weight,
        }
    }

    /// Leaves the queue, since the call has its turn.
    pub fn take_turn(&self, state: &mut State, cost: Cost) -> Option<TakenTurn> {
        state.take_turn(self.id, self.rank(), cost)
    }

    /// How long the call has been the first in the queue, which it is now.
    pub fn first_for(&self) -> Duration {
        self.first_since.get_or_init(Instant::now).elapsed()
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
                        return Err(state.wait(cost, self.rank()));
                    }
                    Some(Duration::ZERO) => {
                        let turn = self.take_turn(&mut state, cost);
                        let reservation = self.quota.reserve(&mut state, cost, self.priority);
                        return Ok(reservation.of_turn(turn));
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
        state.queue(self.priority).remove(&self.holder, self.id);
        state.wake_next();
    }
}
