//! How a call waits for an account that all replicas share.

use super::{
    super::{account::Account, bucket::Cost, charge::Charge, place::Place, state::State},
    Ask, Booking, Shared,
    books::{Answer, Verdict},
};
use crate::{
    call::{Deadline, Priority},
    store::OnStoreFailure,
    upstream::UpstreamError,
};
use std::{sync::Arc, time::Duration};

/// The first in line asks again at least so often: what it waits for may come
/// sooner than foreseen, and the others have to know that it is still there.
const HEARTBEAT: Duration = Duration::from_millis(250);

/// What the first in line does next.
enum Turn {
    /// Not the first yet, or nothing to ask for: waits so long, or until woken.
    Sleep(Duration),
    /// It is charged, in this process alone.
    Charged(Box<Charge>),
    Ask(Ask),
}

/// Waits until a call fits into the shared account, and charges it.
///
/// # Errors
/// At once, when it cannot fit before its deadline, or when Redis is gone and
/// nothing is to go without it.
pub async fn admit(
    account: &Arc<Account>,
    shared: &Shared,
    cost: Cost,
    priority: Priority,
    deadline: Deadline,
) -> Result<Charge, UpstreamError> {
    let (place, is_straight) = {
        let mut state = account.lock();
        let is_straight = !state.anyone_before(priority);
        if is_straight && state.is_unmetered() && state.fits_in(cost) == Some(Duration::ZERO) {
            return Ok(account.charge(&mut state, cost, priority));
        }
        // Who comes straight to the front asks at once, and so learns more.
        let wait = match is_straight {
            true => Duration::ZERO,
            false => state.wait(cost, priority),
        };
        if !state.leaves_time(wait, deadline) {
            return Err(exhausted(wait));
        }
        (account.place(&mut state, cost, priority), is_straight)
    };
    place.admitted(shared, cost, deadline, is_straight).await
}

fn exhausted(retry_after: Duration) -> UpstreamError {
    UpstreamError::QuotaExhausted { retry_after }
}

impl Place {
    async fn admitted(
        self,
        shared: &Shared,
        cost: Cost,
        deadline: Deadline,
        mut is_straight: bool,
    ) -> Result<Charge, UpstreamError> {
        loop {
            let time = match self.turn(shared, cost, deadline)? {
                Turn::Charged(charge) => return Ok(*charge),
                Turn::Sleep(time) => time,
                Turn::Ask(ask) => match asked(self.account(), shared, ask).await {
                    // The next turn sees to that.
                    None if shared.store().health().is_down() => continue,
                    None => HEARTBEAT,
                    Some(Ok(mut charge)) => {
                        charge.begin();
                        return Ok(charge);
                    }
                    Some(Err(wait)) => {
                        let mut state = self.account().lock();
                        let behind = state.wait_behind(Cost::default(), cost, self.priority());
                        let foreseen = if is_straight { behind.max(wait) } else { wait };
                        is_straight = false;
                        if !state.leaves_time(foreseen, deadline) {
                            return Err(exhausted(behind.max(wait)));
                        }
                        wait.min(HEARTBEAT)
                    }
                },
            };
            self.sleep(time).await;
        }
    }

    /// # Errors
    /// When there is no time left for an answer, or nothing is to go without
    /// Redis.
    fn turn(&self, shared: &Shared, cost: Cost, deadline: Deadline) -> Result<Turn, UpstreamError> {
        let mut state = self.account().lock();
        if !self.is_next(&state) {
            return Ok(Turn::Sleep(Duration::MAX));
        }
        let blocked = state.blocked_for();
        if !state.leaves_time(blocked, deadline) {
            return Err(exhausted(state.wait_behind(
                Cost::default(),
                cost,
                self.priority(),
            )));
        }
        if !state.is_unmetered() {
            if !shared.store().health().is_down() {
                return Ok(Turn::Ask(self.question(&state, cost)));
            }
            if shared.store().on_failure() == OnStoreFailure::Refuse {
                return Err(UpstreamError::StoreUnreachable);
            }
        }
        match state.fits_in(cost) {
            Some(Duration::ZERO) => {
                let charge = self.account().charge(&mut state, cost, self.priority());
                Ok(Turn::Charged(Box::new(charge)))
            }
            Some(wait) if !state.leaves_time(wait, deadline) => Err(exhausted(wait)),
            wait => Ok(Turn::Sleep(wait.unwrap_or(Duration::MAX).min(HEARTBEAT))),
        }
    }

    fn question(&self, state: &State, cost: Cost) -> Ask {
        let (mut interactive, mut batch) = (state.interactive.cost(), state.batch.cost());
        match self.priority() {
            Priority::Interactive => interactive = interactive.minus(cost),
            Priority::Batch => batch = batch.minus(cost),
        }
        Ask {
            cost,
            priority: self.priority(),
            waited: self.waited(),
            interactive,
            batch,
            figures: state.figures(),
            blocked: state.blocked_for(),
        }
    }
}

/// Asks Redis: for the charge, or how long to wait. `None` when there is no
/// answer. In a task of its own, since a caller may leave at any moment: what
/// was taken for it is then given back.
async fn asked(
    account: &Arc<Account>,
    shared: &Shared,
    ask: Ask,
) -> Option<Result<Charge, Duration>> {
    let (account, shared) = (Arc::clone(account), shared.clone());
    let asked = tokio::spawn(async move {
        let answer = shared.books.admit(&shared.name, &ask).await?;
        Some(account.answered(&ask, &answer))
    });
    asked.await.ok()?
}

impl Account {
    fn answered(self: &Arc<Self>, ask: &Ask, answer: &Answer) -> Result<Charge, Duration> {
        let mut state = self.lock();
        state.adopt(answer.figures, answer.others, answer.blocked);
        let booking = match answer.verdict {
            Verdict::Wait(wait) => return Err(wait),
            Verdict::Charged => Booking::Shared,
            Verdict::ChargedEarly => Booking::SharedEarly,
        };
        state.begin(ask.cost);
        let mut charge = Charge::new(self, ask.cost, ask.priority, state.levels(), booking);
        // Not sent yet.
        charge.refund();
        Ok(charge)
    }
}
