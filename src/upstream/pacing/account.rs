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
    buckets::{Buckets, Levels},
    demand::Demand,
    queue::Queue,
};
use crate::upstream::{Deadline, Priority, RateLimits};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// Until the first answer has told the limits, so many calls may be in flight.
const CALLS_BEFORE_LIMITS_ARE_KNOWN: usize = 16;

/// Weight of one more answer in how long answers take.
const NEWEST: f64 = 0.1;

/// The account of one key and model.
#[derive(Debug, Default)]
pub struct Account {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    meter: Meter,
    in_flight: usize,
    /// Charges of the calls in flight.
    outstanding: Cost,
    interactive: Queue,
    batch: Queue,
    next_id: u64,
    /// What interactive calls take before batch has its turn.
    interactive_demand: Demand,
    /// How long an answer takes, on average of lately.
    answer_time: Option<Duration>,
    /// The API refused a call and said until when.
    blocked_until: Option<Instant>,
}

/// What is known of the limits.
#[derive(Debug, Default)]
enum Meter {
    #[default]
    Unknown,
    /// The API did not name any.
    Unmetered,
    Metered(Buckets),
}

/// What is left, for people and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Remaining {
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

// === impl Account ===

impl Account {
    /// Waits until a call fits, and charges it.
    ///
    /// # Errors
    /// At once, when it cannot fit before its deadline: after how long it
    /// would.
    pub async fn admit(
        self: &Arc<Self>,
        cost: Cost,
        priority: Priority,
        deadline: Deadline,
    ) -> Result<Charge, Duration> {
        let place = {
            let mut state = self.lock();
            if !state.anyone_before(priority) && state.fits_in(cost) == Some(Duration::ZERO) {
                return Ok(self.charge(&mut state, cost, priority));
            }
            let wait = state.wait(cost, priority);
            if !state.leaves_time(wait, deadline) {
                return Err(wait);
            }
            let id = state.next_id;
            state.next_id += 1;
            Place {
                account: Arc::clone(self),
                turn: state.queue(priority).push(id, cost),
                id,
                priority,
            }
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
    pub fn remaining(&self) -> Remaining {
        let mut state = self.lock();
        state.refill();
        let figures = match &state.meter {
            Meter::Metered(buckets) => buckets.figures(),
            _ => [None; 3],
        };
        let [requests, input_tokens, output_tokens] = figures;
        Remaining {
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

    /// Takes over what the head of an answer told.
    pub fn observe(&self, told: &RateLimits, at_charge: &Levels) {
        let mut state = self.lock();
        state.refill();
        state.observe(told, at_charge);
        state.wake_next();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn charge(self: &Arc<Self>, state: &mut State, cost: Cost, priority: Priority) -> Charge {
        state.take(cost, priority);
        state.in_flight += 1;
        state.outstanding = state.outstanding.plus(cost);
        Charge {
            account: Arc::clone(self),
            priority,
            cost,
            // Dropped without another word, the call was cancelled: the API has
            // read it.
            used: Cost {
                output_tokens: 0.0,
                ..cost
            },
            levels: state.levels(),
            began: Instant::now(),
        }
    }

    fn settle(&self, charged: Cost, used: Cost, priority: Priority) {
        let mut state = self.lock();
        state.refill();
        state.in_flight -= 1;
        state.outstanding = state.outstanding.minus(charged);
        state.take(used.minus(charged), priority);
        state.wake_next();
    }
}

// === impl State ===

impl State {
    fn queue(&mut self, priority: Priority) -> &mut Queue {
        match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Batch => &mut self.batch,
        }
    }

    fn anyone_before(&self, priority: Priority) -> bool {
        !self.interactive.is_empty() || (priority == Priority::Batch && !self.batch.is_empty())
    }

    fn refill(&mut self) {
        if let Meter::Metered(buckets) = &mut self.meter {
            buckets.refill();
        }
    }

    fn take(&mut self, cost: Cost, priority: Priority) {
        if let Meter::Metered(buckets) = &mut self.meter {
            buckets.take(cost);
            if priority == Priority::Interactive {
                self.interactive_demand.add(cost);
            }
        }
    }

    fn levels(&self) -> Levels {
        match &self.meter {
            Meter::Metered(buckets) => buckets.levels(),
            _ => Levels::default(),
        }
    }

    /// How long until a call fits that nobody is before. `None` as long as
    /// nobody can say: an answer will wake whoever waits.
    fn fits_in(&mut self, cost: Cost) -> Option<Duration> {
        self.refill();
        let by_limits = match &mut self.meter {
            Meter::Unmetered => Duration::ZERO,
            Meter::Unknown if self.in_flight < CALLS_BEFORE_LIMITS_ARE_KNOWN => Duration::ZERO,
            Meter::Unknown => return None,
            Meter::Metered(buckets) => buckets.ready_in(cost),
        };
        Some(by_limits.max(self.blocked_for()))
    }

    /// How long until a call has its turn behind those that wait, and those
    /// that will come and go before it.
    fn wait(&mut self, cost: Cost, priority: Priority) -> Duration {
        self.refill();
        let (before, others) = match priority {
            Priority::Interactive => (self.interactive.cost(), Cost::default()),
            Priority::Batch => (
                self.interactive.cost().plus(self.batch.cost()),
                self.interactive_demand.rate(),
            ),
        };
        let by_limits = match &mut self.meter {
            Meter::Unknown | Meter::Unmetered => Duration::ZERO,
            Meter::Metered(buckets) => buckets.ready_in_turn(before.plus(cost), others),
        };
        by_limits.max(self.blocked_for())
    }

    /// Whether a call that waits so long has time left for its answer.
    fn leaves_time(&self, wait: Duration, deadline: Deadline) -> bool {
        let answer = self.answer_time.unwrap_or_default();
        wait.saturating_add(answer) <= deadline.remaining()
    }

    fn blocked_for(&self) -> Duration {
        self.blocked_until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        })
    }

    fn next(&self) -> Option<(u64, &Notify)> {
        self.interactive.first().or_else(|| self.batch.first())
    }

    fn wake_next(&self) {
        if let Some((_, turn)) = self.next() {
            turn.notify_one();
        }
    }

    fn observe(&mut self, told: &RateLimits, at_charge: &Levels) {
        if told.is_empty() {
            if matches!(self.meter, Meter::Unknown) {
                self.meter = Meter::Unmetered;
            }
            return;
        }
        match &mut self.meter {
            Meter::Metered(buckets) => buckets.correct(told, at_charge),
            Meter::Unknown | Meter::Unmetered => {
                let mut buckets = Buckets::new(told);
                // Calls in flight may not be in the API's figures yet.
                buckets.take(self.outstanding);
                self.meter = Meter::Metered(buckets);
            }
        }
    }
}

/// A place in the queue, given up when dropped.
struct Place {
    account: Arc<Account>,
    id: u64,
    priority: Priority,
    turn: Arc<Notify>,
}

impl Place {
    /// # Errors
    /// When those before it took longer than could be foreseen, so that there
    /// is no time left for an answer: after how long another try would fit.
    async fn wait(self, cost: Cost, deadline: Deadline) -> Result<Charge, Duration> {
        loop {
            let fits_in = {
                let mut state = self.account.lock();
                let is_next = state.next().is_some_and(|(first, _)| first == self.id);
                let fits_in = if is_next { state.fits_in(cost) } else { None };
                match fits_in {
                    Some(wait) if !state.leaves_time(wait, deadline) => {
                        return Err(state.wait(cost, self.priority));
                    }
                    Some(Duration::ZERO) => {
                        return Ok(self.account.charge(&mut state, cost, self.priority));
                    }
                    wait => wait.unwrap_or(Duration::MAX),
                }
            };
            tokio::select! {
                () = self.turn.notified() => {}
                () = sleep(fits_in) => {}
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.account.lock();
        state.queue(self.priority).remove(self.id);
        state.wake_next();
    }
}

/// A call that was charged. It is settled when dropped: by what it used as far
/// as that is known.
#[derive(Debug)]
pub struct Charge {
    account: Arc<Account>,
    priority: Priority,
    cost: Cost,
    used: Cost,
    levels: Levels,
    began: Instant,
}

// === impl Charge ===

impl Charge {
    /// The account that was charged.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The levels of its buckets right after the charge.
    pub fn levels(&self) -> Levels {
        self.levels
    }

    /// The answer has come, or has begun to.
    pub fn answered(&self) {
        let took = self.began.elapsed();
        let mut state = self.account.lock();
        state.answer_time = Some(match state.answer_time {
            None => took,
            Some(average) => average.mul_f64(1.0 - NEWEST) + took.mul_f64(NEWEST),
        });
    }

    /// What the call has used so far.
    pub fn uses(&mut self, used: Cost) {
        self.used = used;
    }

    /// The call failed: the API charges nothing for it.
    pub fn refund(&mut self) {
        self.used = Cost::default();
    }

    /// The API refused the call, and will refuse every other until then.
    pub fn refused(mut self, until: Instant) {
        self.refund();
        let mut state = self.account.lock();
        state.blocked_until = state.blocked_until.max(Some(until));
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.settle(self.cost, self.used, self.priority);
    }
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
