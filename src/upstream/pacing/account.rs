//! What is left of the API's limits for one key and model, and who waits.
//!
//! Calls are charged when they begin, by estimate, and settled when the API
//! has counted, as the API itself does. Calls that do not fit wait in a queue:
//! interactive ones first, else first come, first served. The first in line
//! sleeps until it fits; whoever leaves wakes the next. There is no task
//! behind it.

use super::bucket::{Bucket, Cost};
use crate::upstream::{Deadline, Priority, RateLimits};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// Until the first answer has told the limits, so many calls may be in flight.
const CALLS_BEFORE_LIMITS_ARE_KNOWN: usize = 16;

/// The API rounds tokens to thousands.
const TOKEN_ROUNDING: f64 = 1000.0;

/// A call needs some time after its turn has come.
const SHORTEST_CALL: Duration = Duration::from_millis(20);

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

#[derive(Debug, Clone, Copy)]
struct Buckets {
    requests: Option<Bucket>,
    input_tokens: Option<Bucket>,
    output_tokens: Option<Bucket>,
}

#[derive(Debug, Default)]
struct Queue {
    /// By id, so in order of arrival.
    waiters: BTreeMap<u64, Waiter>,
    /// All their costs together.
    cost: Cost,
}

#[derive(Debug)]
struct Waiter {
    cost: Cost,
    turn: Arc<Notify>,
}

/// The levels of the buckets, as of one charge.
#[derive(Debug, Clone, Copy, Default)]
pub struct Levels {
    requests: f64,
    input_tokens: f64,
    output_tokens: f64,
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
            if !state.anyone_before(priority) && state.fits_in(cost).is_zero() {
                return Ok(self.charge(&mut state, cost));
            }
            let wait = state.wait(cost, priority);
            if wait + SHORTEST_CALL > deadline.remaining() {
                return Err(wait);
            }
            let (id, turn) = state.enqueue(cost, priority);
            Place {
                account: Arc::clone(self),
                id,
                priority,
                turn,
            }
        };
        Ok(place.wait(cost).await)
    }

    /// How long a call would wait as of now.
    pub fn wait(&self, cost: Cost, priority: Priority) -> Duration {
        let mut state = self.lock();
        if !state.anyone_before(priority) {
            return state.fits_in(cost);
        }
        state.wait(cost, priority)
    }

    /// What is left, and who waits.
    pub fn remaining(&self) -> Remaining {
        let mut state = self.lock();
        state.refill();
        let mut remaining = Remaining {
            waiting_interactive: state.interactive.waiters.len(),
            waiting_batch: state.batch.waiters.len(),
            ..Remaining::default()
        };
        if let Meter::Metered(buckets) = &state.meter {
            let figures = |bucket: &Bucket| (bucket.level(), bucket.limit());
            remaining.requests = buckets.requests.as_ref().map(figures);
            remaining.input_tokens = buckets.input_tokens.as_ref().map(figures);
            remaining.output_tokens = buckets.output_tokens.as_ref().map(figures);
        }
        remaining
    }

    /// Whether nobody uses it.
    pub fn is_idle(&self) -> bool {
        let state = self.lock();
        state.in_flight == 0
            && state.interactive.waiters.is_empty()
            && state.batch.waiters.is_empty()
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

    fn charge(self: &Arc<Self>, state: &mut State, cost: Cost) -> Charge {
        state.take(cost);
        state.in_flight += 1;
        state.outstanding = state.outstanding.plus(cost);
        Charge {
            account: Arc::clone(self),
            cost,
            // Dropped without another word, the call was cancelled: the API has
            // read it.
            used: Cost {
                output_tokens: 0.0,
                ..cost
            },
            levels: state.levels(),
        }
    }

    fn settle(&self, charged: Cost, used: Cost) {
        let mut state = self.lock();
        state.refill();
        state.in_flight -= 1;
        state.outstanding = state.outstanding.minus(charged);
        state.take(used.minus(charged));
        state.wake_next();
    }

    fn block(&self, until: Instant) {
        let mut state = self.lock();
        state.blocked_until = state.blocked_until.max(Some(until));
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
        !self.interactive.waiters.is_empty()
            || (priority == Priority::Batch && !self.batch.waiters.is_empty())
    }

    fn refill(&mut self) {
        if let Meter::Metered(buckets) = &mut self.meter {
            let now = Instant::now();
            buckets.each(|bucket, _| bucket.refill(now), Cost::default());
        }
    }

    fn take(&mut self, cost: Cost) {
        if let Meter::Metered(buckets) = &mut self.meter {
            buckets.each(Bucket::take, cost);
        }
    }

    fn levels(&self) -> Levels {
        let Meter::Metered(buckets) = &self.meter else {
            return Levels::default();
        };
        let level = |bucket: &Option<Bucket>| bucket.as_ref().map_or(0.0, Bucket::level);
        Levels {
            requests: level(&buckets.requests),
            input_tokens: level(&buckets.input_tokens),
            output_tokens: level(&buckets.output_tokens),
        }
    }

    /// How long until a call fits that nobody is before.
    fn fits_in(&mut self, cost: Cost) -> Duration {
        self.refill();
        let by_limits = match &mut self.meter {
            Meter::Unmetered => Duration::ZERO,
            Meter::Unknown if self.in_flight < CALLS_BEFORE_LIMITS_ARE_KNOWN => Duration::ZERO,
            // An answer will wake whoever waits.
            Meter::Unknown => Duration::MAX,
            Meter::Metered(buckets) => buckets.longest(Bucket::ready_in, cost),
        };
        by_limits.max(self.blocked_for())
    }

    /// How long until a call has its turn behind those that wait.
    fn wait(&mut self, cost: Cost, priority: Priority) -> Duration {
        self.refill();
        let mut before = self.interactive.cost;
        if priority == Priority::Batch {
            before = before.plus(self.batch.cost);
        }
        let all = before.plus(cost);
        let by_limits = match &mut self.meter {
            Meter::Unknown | Meter::Unmetered => Duration::ZERO,
            Meter::Metered(buckets) => buckets.longest(Bucket::ready_in_turn, all),
        };
        by_limits.max(self.blocked_for())
    }

    fn blocked_for(&self) -> Duration {
        self.blocked_until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        })
    }

    fn enqueue(&mut self, cost: Cost, priority: Priority) -> (u64, Arc<Notify>) {
        let id = self.next_id;
        self.next_id += 1;
        let turn = Arc::new(Notify::new());
        let waiter = Waiter {
            cost,
            turn: Arc::clone(&turn),
        };
        let queue = self.queue(priority);
        queue.cost = queue.cost.plus(cost);
        queue.waiters.insert(id, waiter);
        (id, turn)
    }

    fn leave(&mut self, id: u64, priority: Priority) {
        let queue = self.queue(priority);
        if let Some(waiter) = queue.waiters.remove(&id) {
            queue.cost = match queue.waiters.is_empty() {
                // No rounding error outlives the queue.
                true => Cost::default(),
                false => queue.cost.minus(waiter.cost),
            };
        }
    }

    fn next(&self) -> Option<(&u64, &Waiter)> {
        let interactive = self.interactive.waiters.first_key_value();
        interactive.or_else(|| self.batch.waiters.first_key_value())
    }

    fn wake_next(&self) {
        if let Some((_, waiter)) = self.next() {
            waiter.turn.notify_one();
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
                buckets.each(Bucket::take, self.outstanding);
                self.meter = Meter::Metered(buckets);
            }
        }
    }
}

// === impl Buckets ===

impl Buckets {
    fn new(told: &RateLimits) -> Self {
        let now = Instant::now();
        let tokens = |told: &Option<_>| {
            let told = told.as_ref()?;
            Some(Bucket::new(told, TOKEN_ROUNDING, now))
        };
        Buckets {
            requests: told.requests.as_ref().map(|it| Bucket::new(it, 1.0, now)),
            input_tokens: tokens(&told.input_tokens),
            output_tokens: tokens(&told.output_tokens),
        }
    }

    fn each(&mut self, mut act: impl FnMut(&mut Bucket, f64), amounts: Cost) {
        let of = [
            (&mut self.requests, amounts.requests),
            (&mut self.input_tokens, amounts.input_tokens),
            (&mut self.output_tokens, amounts.output_tokens),
        ];
        for (bucket, amount) in of {
            if let Some(bucket) = bucket {
                act(bucket, amount);
            }
        }
    }

    fn longest(&mut self, wait: impl Fn(&Bucket, f64) -> Duration, amounts: Cost) -> Duration {
        let mut longest = Duration::ZERO;
        self.each(
            |bucket, amount| longest = longest.max(wait(bucket, amount)),
            amounts,
        );
        longest
    }

    fn correct(&mut self, told: &RateLimits, at_charge: &Levels) {
        let fresh = Buckets::new(told);
        let of = [
            (
                &mut self.requests,
                fresh.requests,
                &told.requests,
                at_charge.requests,
            ),
            (
                &mut self.input_tokens,
                fresh.input_tokens,
                &told.input_tokens,
                at_charge.input_tokens,
            ),
            (
                &mut self.output_tokens,
                fresh.output_tokens,
                &told.output_tokens,
                at_charge.output_tokens,
            ),
        ];
        for (bucket, fresh, told, at_charge) in of {
            match (bucket, told) {
                (Some(bucket), Some(told)) => bucket.correct(told, at_charge),
                (bucket @ None, Some(_)) => *bucket = fresh,
                (_, None) => {}
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
    async fn wait(self, cost: Cost) -> Charge {
        loop {
            let fits_in = {
                let mut state = self.account.lock();
                let fits_in = match state.next() {
                    Some((first, _)) if *first == self.id => state.fits_in(cost),
                    _ => Duration::MAX,
                };
                if fits_in.is_zero() {
                    return self.account.charge(&mut state, cost);
                }
                fits_in
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
        state.leave(self.id, self.priority);
        state.wake_next();
    }
}

/// A call that was charged. It is settled when dropped: by what it used as far
/// as that is known.
#[derive(Debug)]
pub struct Charge {
    account: Arc<Account>,
    cost: Cost,
    used: Cost,
    levels: Levels,
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
        self.account.block(until);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.settle(self.cost, self.used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::limits;
    use futures::FutureExt;

    fn told(requests: u64) -> RateLimits {
        RateLimits {
            requests: Some(limits::Bucket {
                limit: 60,
                remaining: requests,
            }),
            ..RateLimits::default()
        }
    }

    const ONE: Cost = Cost {
        requests: 1.0,
        input_tokens: 10.0,
        output_tokens: 10.0,
    };

    fn minute() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    /// An account with one request left, of sixty a minute.
    async fn nearly_empty() -> Arc<Account> {
        let account = Arc::new(Account::default());
        let charge = account.admit(ONE, Priority::Batch, minute()).await.unwrap();
        account.observe(&told(2), &charge.levels());
        assert_eq!(account.remaining().requests, Some((1.0, 60.0)));
        account
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_does_not_fit_waits_for_the_refill() {
        let account = nearly_empty().await;
        let began = Instant::now();
        for seconds in [0, 1, 2] {
            account
                .admit(ONE, Priority::Interactive, minute())
                .await
                .unwrap();
            let waited = began.elapsed();
            assert_eq!(waited.as_secs(), seconds, "{waited:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn interactive_calls_go_first_and_each_kind_in_order() {
        let account = nearly_empty().await;
        let _last = account.admit(ONE, Priority::Batch, minute()).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = [
            ("batch 1", Priority::Batch),
            ("batch 2", Priority::Batch),
            ("interactive 1", Priority::Interactive),
            ("interactive 2", Priority::Interactive),
        ]
        .into_iter()
        .map(|(name, priority)| {
            let (account, order) = (Arc::clone(&account), Arc::clone(&order));
            async move {
                account.admit(ONE, priority, minute()).await.unwrap();
                order.lock().unwrap().push(name);
            }
        })
        .collect();
        futures::future::join_all(tasks).await;
        assert_eq!(
            *order.lock().unwrap(),
            ["interactive 1", "interactive 2", "batch 1", "batch 2"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_fit_in_time_is_refused_at_once_and_truly() {
        let account = nearly_empty().await;
        let _last = account.admit(ONE, Priority::Batch, minute()).await.unwrap();
        let waiting = account.admit(ONE, Priority::Interactive, minute());
        let mut waiting = Box::pin(waiting);
        assert!((&mut waiting).now_or_never().is_none());
        let soon = Deadline::after(Duration::from_millis(500));
        let refused = account
            .admit(ONE, Priority::Interactive, soon)
            .now_or_never();
        let retry_after = refused.unwrap().unwrap_err();
        assert_eq!(retry_after, Duration::from_secs(2));
        // It was true: so much later there is room, and not before.
        tokio::time::advance(retry_after).await;
        waiting.await.unwrap();
        assert!(
            account
                .admit(ONE, Priority::Batch, soon)
                .now_or_never()
                .is_some_and(|it| it.is_ok())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_gives_up_is_no_obstacle() {
        let account = nearly_empty().await;
        let _last = account.admit(ONE, Priority::Batch, minute()).await.unwrap();
        let mut first = Box::pin(account.admit(ONE, Priority::Interactive, minute()));
        assert!((&mut first).now_or_never().is_none());
        let second = tokio::spawn({
            let account = Arc::clone(&account);
            async move { account.admit(ONE, Priority::Interactive, minute()).await }
        });
        tokio::task::yield_now().await;
        drop(first);
        let began = Instant::now();
        second.await.unwrap().unwrap();
        assert_eq!(began.elapsed().as_secs(), 1);
        assert!(account.lock().interactive.waiters.is_empty());
        assert_eq!(account.lock().interactive.cost, Cost::default());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_charged_too_much_is_given_back() {
        let account = Arc::new(Account::default());
        let tokens = |remaining| RateLimits {
            output_tokens: Some(limits::Bucket {
                limit: 6000,
                remaining,
            }),
            ..RateLimits::default()
        };
        let cost = Cost {
            output_tokens: 5000.0,
            ..ONE
        };
        let mut charge = account
            .admit(cost, Priority::Batch, minute())
            .await
            .unwrap();
        account.observe(&tokens(6000), &charge.levels());
        assert_eq!(account.remaining().output_tokens, Some((1000.0, 6000.0)));
        charge.uses(Cost {
            output_tokens: 200.0,
            ..cost
        });
        drop(charge);
        assert_eq!(account.remaining().output_tokens, Some((5800.0, 6000.0)));
    }

    #[tokio::test(start_paused = true)]
    async fn until_the_limits_are_known_only_some_calls_are_in_flight() {
        let account = Arc::new(Account::default());
        let mut charges = Vec::new();
        for _ in 0..CALLS_BEFORE_LIMITS_ARE_KNOWN {
            charges.push(account.admit(ONE, Priority::Batch, minute()).await.unwrap());
        }
        let mut next = Box::pin(account.admit(ONE, Priority::Batch, minute()));
        assert!((&mut next).now_or_never().is_none());
        // An API that names no limits is not paced.
        account.observe(&RateLimits::default(), &charges[0].levels());
        next.await.unwrap();
    }
}
