//! The reservation of an admitted call.

use super::{
    bucket::Cost,
    buckets::Levels,
    queue::TakenTurn,
    quota::Quota,
    shared::{ReservationScope, Settlement},
};
use crate::{
    call::Priority,
    upstream::{RateLimitObserver, RequestShape},
};
use std::sync::Arc;
use tokio::time::Instant;

/// A reservation. It is settled when dropped: by the usage, as far as it is
/// known.
#[derive(Debug)]
pub struct QuotaReservation {
    quota: Arc<Quota>,
    priority: Priority,
    cost: Cost,
    used: Cost,
    /// Of a call that has waited.
    turn: Option<TakenTurn>,
    levels: Levels,
    scope: ReservationScope,
    rejected: Option<(RequestShape, Instant)>,
    began: Instant,
}

// === impl QuotaReservation ===

impl QuotaReservation {
    /// A reservation, with the levels right after it.
    pub fn new(
        quota: &Arc<Quota>,
        cost: Cost,
        priority: Priority,
        levels: Levels,
        scope: ReservationScope,
    ) -> Self {
        let mut reservation = QuotaReservation {
            quota: Arc::clone(quota),
            priority,
            cost,
            used: Cost::default(),
            turn: None,
            levels,
            scope,
            rejected: None,
            began: Instant::now(),
        };
        reservation.begin();
        reservation
    }

    /// The reservation of a call that has taken this turn.
    #[must_use]
    pub fn of_turn(mut self, turn: Option<TakenTurn>) -> Self {
        self.turn = turn;
        self
    }

    /// Marks the call as sent: if dropped without another outcome, the call was
    /// cancelled, and the API has read it.
    pub fn begin(&mut self) {
        self.used = Cost {
            output_tokens: 0.0,
            ..self.cost
        };
    }

    /// The levels of the quota's buckets right after the reservation.
    #[cfg(test)]
    pub fn levels(&self) -> Levels {
        self.levels
    }

    /// Applies the response headers as soon as they arrive, long before a
    /// streamed response ends.
    pub fn rate_limit_observer(&self) -> RateLimitObserver {
        let (quota, levels) = (Arc::clone(&self.quota), self.levels);
        let (scope, cost) = (self.scope, self.cost);
        match quota.shared() {
            None => RateLimitObserver::new(move |reported| quota.observe(reported, &levels, cost)),
            Some(_) => RateLimitObserver::new(move |reported| {
                if let Some(shared) = quota.shared() {
                    shared.observe(&quota, reported, scope, &levels, cost);
                }
            }),
        }
    }

    /// The response has arrived, or has begun to.
    pub fn answered(&self) {
        let took = self.began.elapsed();
        self.quota.lock().answered(self.cost, took);
    }

    /// Sets what the call has used so far.
    pub fn uses(&mut self, used: Cost) {
        self.used = used;
    }

    /// The call failed: the API counts nothing for it.
    pub fn refund(&mut self) {
        self.used = Cost::default();
    }

    /// The API rejected the call, and will reject those of its shape until then.
    pub fn refused(&mut self, shape: RequestShape, until: Instant) {
        self.refund();
        self.quota.lock().block(shape, until);
        self.rejected = Some((shape, until));
    }
}

impl Drop for QuotaReservation {
    fn drop(&mut self) {
        let mut state = self.quota.lock();
        state.end(self.cost, self.used, self.priority);
        if let Some(turn) = &self.turn {
            state.settle_turn(turn, self.priority, self.used);
        }
        match self.quota.shared() {
            None => state.wake_next(),
            Some(shared) => {
                drop(state);
                shared.settle(
                    &self.quota,
                    &Settlement {
                        scope: self.scope,
                        priority: self.priority,
                        charged: self.cost,
                        used: self.used,
                        rejected: self.rejected,
                    },
                );
            }
        }
    }
}
