//! How a call waits for a quota that all replicas share.

use super::{
    super::{
        bucket::Cost, queue_position::QueuePosition, quota::Quota, rank::Rank,
        reservation::QuotaReservation, state::State,
    },
    AdmissionRequest, ReservationScope, SharedQuota,
    quotas::{AdmissionDecision, AdmissionResponse},
};
use crate::{
    call::{Deadline, Priority},
    store::StoreFailureMode,
    upstream::{RequestShape, UpstreamError},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Maximum interval of the queries by the first in the queue: there may be room
/// sooner than expected, and other replicas must know that it is still waiting.
const HEARTBEAT: Duration = Duration::from_millis(250);

/// What the first in the queue does next.
enum Turn {
    /// Not the first yet, or nothing to query: wait for this time, or until
    /// notified.
    Sleep(Duration),
    /// The call has a reservation, in this process only.
    Charged(Box<QuotaReservation>),
    AdmissionRequest(AdmissionRequest),
}

/// Waits until a call fits into the shared quota, and reserves it. `None` when
/// the API rejects calls of its shape, as another replica has learned.
///
/// # Errors
/// At once, when it cannot fit before its deadline, or when Redis is
/// unreachable and configured to fail closed.
pub async fn admit(
    quota: &Arc<Quota>,
    shared: &SharedQuota,
    cost: Cost,
    rank: Rank<'_>,
    deadline: Deadline,
    shape: RequestShape,
) -> Result<Option<QuotaReservation>, UpstreamError> {
    let (place, is_straight) = {
        let mut state = quota.lock();
        let is_straight = !state.anyone_before(rank.priority);
        if is_straight && state.is_unmetered() && state.fits_in(cost).is_zero() {
            return Ok(Some(quota.reserve(&mut state, cost, rank.priority)));
        }
        // A call that is the first at once queries at once, which also updates
        // the state.
        let wait = match is_straight {
            true => Duration::ZERO,
            false => state.wait(cost, rank),
        };
        if !state.leaves_time(cost, wait, deadline) {
            return Err(exhausted(wait));
        }
        (quota.place(&mut state, cost, rank), is_straight)
    };
    place
        .admitted(shared, cost, shape, deadline, is_straight)
        .await
}

fn exhausted(retry_after: Duration) -> UpstreamError {
    UpstreamError::QuotaExhausted { retry_after }
}

impl QueuePosition {
    async fn admitted(
        self,
        shared: &SharedQuota,
        cost: Cost,
        shape: RequestShape,
        deadline: Deadline,
        mut is_straight: bool,
    ) -> Result<Option<QuotaReservation>, UpstreamError> {
        loop {
            let time = match self.turn(shared, cost, shape, deadline)? {
                Turn::Charged(reservation) => return Ok(Some(*reservation)),
                Turn::Sleep(time) => time,
                Turn::AdmissionRequest(ask) => match asked(self.quota(), shared, ask).await {
                    // The next turn handles that.
                    None if shared.store().health().is_down() => continue,
                    None => HEARTBEAT,
                    Some(Ok(mut reservation)) => {
                        let turn = self.take_turn(&mut self.quota().lock(), cost);
                        reservation.begin();
                        return Ok(Some(reservation.of_turn(turn)));
                    }
                    Some(Err(_)) if !self.quota().blocked_for(shape).is_zero() => return Ok(None),
                    Some(Err(wait)) => {
                        let mut state = self.quota().lock();
                        let behind = state.wait_behind(Cost::default(), cost, self.priority());
                        let foreseen = if is_straight { behind.max(wait) } else { wait };
                        is_straight = false;
                        if !state.leaves_time(cost, foreseen, deadline) {
                            return Err(exhausted(behind.max(wait)));
                        }
                        wait.min(HEARTBEAT)
                    }
                },
            };
            self.sleep(time).await;
        }
    }

    /// Decides what the first in the queue does next.
    ///
    /// # Errors
    /// When there is no time left for a response, or when Redis is unreachable
    /// and configured to fail closed.
    fn turn(
        &self,
        shared: &SharedQuota,
        cost: Cost,
        shape: RequestShape,
        deadline: Deadline,
    ) -> Result<Turn, UpstreamError> {
        let mut state = self.quota().lock();
        if !self.is_next(&state) {
            return Ok(Turn::Sleep(Duration::MAX));
        }
        let gathers_for = state.gathers_for();
        if !gathers_for.is_zero() {
            return Ok(Turn::Sleep(gathers_for));
        }
        if !state.is_unmetered() {
            if !shared.store().health().is_down() {
                return Ok(Turn::AdmissionRequest(self.question(&state, cost, shape)));
            }
            if shared.store().on_failure() == StoreFailureMode::FailClosed {
                return Err(UpstreamError::StoreUnreachable);
            }
        }
        match state.fits_in(cost) {
            Duration::ZERO => {
                let turn = self.take_turn(&mut state, cost);
                let reservation = self.quota().reserve(&mut state, cost, self.priority());
                Ok(Turn::Charged(Box::new(reservation.of_turn(turn))))
            }
            wait if !state.leaves_time(cost, wait, deadline) => Err(exhausted(wait)),
            wait => Ok(Turn::Sleep(wait.min(HEARTBEAT))),
        }
    }

    fn question(&self, state: &State, cost: Cost, shape: RequestShape) -> AdmissionRequest {
        let (mut interactive, mut batch) = (state.interactive.cost(), state.batch.cost());
        match self.priority() {
            Priority::Interactive => interactive = interactive.minus(cost),
            Priority::Batch => batch = batch.minus(cost),
        }
        AdmissionRequest {
            cost,
            priority: self.priority(),
            first_for: self.first_for(),
            interactive,
            batch,
            figures: state.figures(),
            shape,
            blocked: state.blocked_for(shape),
        }
    }
}

/// Queries Redis: for the reservation, or the time to wait. `None` when there
/// is no answer. In a task of its own, since a caller may leave at any moment:
/// its reservation is then returned.
async fn asked(
    quota: &Arc<Quota>,
    shared: &SharedQuota,
    ask: AdmissionRequest,
) -> Option<Result<QuotaReservation, Duration>> {
    let (quota, shared) = (Arc::clone(quota), shared.clone());
    let asked = tokio::spawn(async move {
        let answer = shared.quotas.admit(&shared.name, &ask).await?;
        Some(quota.answered(&ask, &answer))
    });
    asked.await.ok()?
}

impl Quota {
    fn answered(
        self: &Arc<Self>,
        ask: &AdmissionRequest,
        answer: &AdmissionResponse,
    ) -> Result<QuotaReservation, Duration> {
        let mut state = self.lock();
        state.adopt(answer.figures, answer.others);
        let scope = match answer.decision {
            AdmissionDecision::Wait(wait) => return Err(wait),
            AdmissionDecision::Blocked => {
                state.block(ask.shape, Instant::now() + answer.blocked);
                return Err(answer.blocked);
            }
            AdmissionDecision::Charged => ReservationScope::Shared,
            AdmissionDecision::ChargedEarly => ReservationScope::SharedEarly,
        };
        state.begin(ask.cost);
        let mut reservation =
            QuotaReservation::new(self, ask.cost, ask.priority, state.levels(), scope);
        // The call was not sent.
        reservation.refund();
        Ok(reservation)
    }
}
