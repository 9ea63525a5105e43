//! The budget of bytes: who draws from it, who waits, who is rejected.

use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use thiserror::Error;
use tokio::time::timeout;

/// A message of up to this number of bytes does not wait behind larger ones, so that
/// a client with large messages holds up no one with small ones.
const SMALL: usize = 64 * 1024;

/// The bytes that all messages in flight may hold. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct MessageBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    capacity: usize,
    longest_wait: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    free: usize,
    /// Messages that wait, the oldest first.
    waiting: BTreeMap<Age, Waiter>,
    last_age: Age,
    /// Bytes of messages that have arrived as a whole: they become free without
    /// further bytes.
    whole: usize,
    /// Messages that must make room and have not yet done so.
    leaving: usize,
}

/// The order in which messages began.
type Age = u64;

#[derive(Debug)]
struct Waiter {
    /// What it waits for.
    bytes: usize,
    /// What it holds already.
    held: usize,
    waker: Waker,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Waits,
    Granted,
    MustLeave,
}

/// The bytes that one message holds. They become free when this is dropped.
#[derive(Debug)]
pub struct MessageBytes {
    budget: MessageBudget,
    /// What it holds, under the lock of the budget as well: only its owner
    /// changes it.
    own: Mutex<Own>,
}

#[derive(Debug, Default)]
struct Own {
    age: Age,
    held: usize,
    /// What it held when it had arrived as a whole.
    whole: Option<usize>,
    must_leave: bool,
}

/// Why bytes cannot be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoRoom {
    /// The message is larger than the whole budget.
    #[error("the message is larger than the budget")]
    TooLarge,
    /// Other messages hold the budget, and this one must make room for an older
    /// one.
    #[error("other messages hold the budget")]
    Busy,
}

impl MessageBudget {
    /// A budget of `capacity` bytes, in which a message waits for room for a
    /// maximum of `longest_wait`.
    pub fn new(capacity: usize, longest_wait: Duration) -> Self {
        MessageBudget(Arc::new(Shared {
            capacity,
            longest_wait,
            state: Mutex::new(State {
                free: capacity,
                ..State::default()
            }),
        }))
    }

    /// A message that holds nothing yet.
    pub fn message(&self) -> MessageBytes {
        MessageBytes {
            budget: self.clone(),
            own: Mutex::default(),
        }
    }

    /// The size of the budget, in bytes.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// How long a message waits for room at most.
    pub fn longest_wait(&self) -> Duration {
        self.0.longest_wait
    }

    /// Bytes that messages hold.
    pub fn in_use(&self) -> usize {
        self.0.capacity - self.0.state.lock().free
    }

    /// Messages that wait for room.
    pub fn waiting(&self) -> usize {
        self.0.state.lock().waiting.len()
    }
}

impl MessageBytes {
    /// Draws further bytes for this message, waiting for room. After `Pending`,
    /// the call must be repeated with the same number.
    ///
    /// # Errors
    /// [`NoRoom`]. The message must be dropped then.
    pub fn poll_draw(&self, cx: &mut Context<'_>, bytes: usize) -> Poll<Result<(), NoRoom>> {
        let capacity = self.budget.0.capacity;
        let mut own = self.own.lock();
        let mut state = self.budget.0.state.lock();
        if own.age == 0 {
            state.last_age += 1;
            own.age = state.last_age;
        }
        if own.held.saturating_add(bytes) > capacity {
            return Poll::Ready(Err(NoRoom::TooLarge));
        }
        if let Some(waiter) = state.waiting.get_mut(&own.age) {
            match waiter.outcome {
                Outcome::Waits => {
                    waiter.waker.clone_from(cx.waker());
                    return Poll::Pending;
                }
                Outcome::Granted => {
                    state.waiting.remove(&own.age);
                    own.held += bytes;
                    // Those that still wait may now wait for each other.
                    state.advance();
                    return Poll::Ready(Ok(()));
                }
                Outcome::MustLeave => {
                    state.waiting.remove(&own.age);
                    own.must_leave = true;
                    return Poll::Ready(Err(NoRoom::Busy));
                }
            }
        }
        let is_first = state.waiting.keys().next().is_none_or(|it| own.age < *it);
        let is_small = own.held + bytes <= SMALL;
        if (is_first || is_small) && bytes <= state.free {
            state.free -= bytes;
            own.held += bytes;
            return Poll::Ready(Ok(()));
        }
        let waiter = Waiter {
            bytes,
            held: own.held,
            waker: cx.waker().clone(),
            outcome: Outcome::Waits,
        };
        state.waiting.insert(own.age, waiter);
        state.advance();
        Poll::Pending
    }

    /// Draws further bytes, and waits for room as long as a message may.
    ///
    /// # Errors
    /// [`NoRoom`]. The message must be dropped then.
    pub async fn draw(&self, bytes: usize) -> Result<(), NoRoom> {
        let drawn = poll_fn(|cx| self.poll_draw(cx, bytes));
        let in_time = timeout(self.budget.longest_wait(), drawn).await;
        in_time.unwrap_or(Err(NoRoom::Busy))
    }

    /// The message has arrived as a whole, and is decompressed.
    pub fn whole(&self) {
        let mut own = self.own.lock();
        if own.whole.is_none() {
            own.whole = Some(own.held);
            self.budget.0.state.lock().whole += own.held;
        }
    }
}

impl Drop for MessageBytes {
    fn drop(&mut self) {
        let own = self.own.get_mut();
        if own.age == 0 {
            return;
        }
        let mut state = self.budget.0.state.lock();
        state.free += own.held;
        state.whole -= own.whole.unwrap_or(0);
        match state.waiting.remove(&own.age) {
            Some(waiter) if waiter.outcome == Outcome::Granted => state.free += waiter.bytes,
            Some(waiter) if waiter.outcome == Outcome::MustLeave => state.leaving -= 1,
            _ if own.must_leave => state.leaving -= 1,
            _ => {}
        }
        if !state.waiting.is_empty() {
            state.advance();
        }
    }
}

impl State {
    /// Serves those that wait, in order, and small ones whenever they fit. When none
    /// can be served and no message in flight will become free by itself, the youngest
    /// large one that waits makes room, or else the youngest: otherwise all would wait
    /// for each other.
    fn advance(&mut self) {
        let waits = |waiter: &&mut Waiter| waiter.outcome == Outcome::Waits;
        let mut is_blocked = false;
        for waiter in self.waiting.values_mut().filter(waits) {
            is_blocked |= waiter.bytes > self.free;
            if is_blocked && (waiter.bytes > self.free || waiter.size() > SMALL) {
                continue;
            }
            self.free -= waiter.bytes;
            waiter.resolve(Outcome::Granted);
        }
        if self.whole > 0 || self.leaving > 0 || self.has_granted() {
            return;
        }
        let mut waiting: Vec<_> = self.waiting.values_mut().filter(waits).collect();
        if waiting.len() < 2 {
            return;
        }
        let youngest_large = waiting.iter().rposition(|it| it.size() > SMALL);
        let leaves = youngest_large.unwrap_or(waiting.len() - 1);
        waiting[leaves].resolve(Outcome::MustLeave);
        self.leaving += 1;
    }

    fn has_granted(&self) -> bool {
        let mut waiting = self.waiting.values();
        waiting.any(|waiter| waiter.outcome == Outcome::Granted)
    }
}

impl Waiter {
    /// What it will hold.
    fn size(&self) -> usize {
        self.held + self.bytes
    }

    fn resolve(&mut self, outcome: Outcome) {
        self.outcome = outcome;
        self.waker.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::task::noop_waker;
    use proptest::prelude::*;

    const WAIT: Duration = Duration::from_secs(1);

    fn draw(message: &MessageBytes, bytes: usize) -> Poll<Result<(), NoRoom>> {
        message.poll_draw(&mut Context::from_waker(&noop_waker()), bytes)
    }

    const DRAWN: Poll<Result<(), NoRoom>> = Poll::Ready(Ok(()));

    #[test]
    fn what_fits_is_drawn_and_becomes_free_again() {
        let budget = MessageBudget::new(10, WAIT);
        let message = budget.message();
        assert_eq!(draw(&message, 4), DRAWN);
        assert_eq!(draw(&message, 6), DRAWN);
        assert_eq!(budget.in_use(), 10);
        assert_eq!(draw(&message, 1), Poll::Ready(Err(NoRoom::TooLarge)));
        drop(message);
        assert_eq!(budget.in_use(), 0);
    }

    #[test]
    fn who_waits_is_served_in_the_order_of_arrival() {
        let budget = MessageBudget::new(10, WAIT);
        let (first, second, third) = (budget.message(), budget.message(), budget.message());
        assert_eq!(draw(&first, 10), DRAWN);
        first.whole();
        assert_eq!(draw(&second, 6), Poll::Pending);
        assert_eq!(draw(&third, 2), Poll::Pending);
        drop(first);
        assert_eq!(budget.in_use(), 8);
        assert_eq!(draw(&third, 2), DRAWN);
        assert_eq!(draw(&second, 6), DRAWN);
    }

    #[test]
    fn a_small_message_does_not_wait_behind_larger_ones() {
        let budget = MessageBudget::new(10 * SMALL, WAIT);
        let (first, second, small) = (budget.message(), budget.message(), budget.message());
        assert_eq!(draw(&first, 9 * SMALL), DRAWN);
        first.whole();
        assert_eq!(draw(&second, 2 * SMALL), Poll::Pending);
        assert_eq!(draw(&small, SMALL), DRAWN);
        assert_eq!(draw(&small, 1), Poll::Pending);
    }

    #[test]
    fn the_youngest_large_message_makes_room() {
        let budget = MessageBudget::new(9 * SMALL + 1, WAIT);
        let (first, second, small) = (budget.message(), budget.message(), budget.message());
        for (message, bytes) in [(&first, 4 * SMALL), (&second, 5 * SMALL), (&small, 1)] {
            assert_eq!(draw(message, bytes), DRAWN);
        }
        assert_eq!(draw(&first, SMALL), Poll::Pending);
        assert_eq!(draw(&second, SMALL), Poll::Pending);
        assert_eq!(draw(&small, 1), Poll::Pending);
        assert_eq!(draw(&second, SMALL), Poll::Ready(Err(NoRoom::Busy)));
        drop(second);
        assert_eq!(draw(&first, SMALL), DRAWN);
        assert_eq!(draw(&small, 1), DRAWN);
    }

    #[test]
    fn a_large_message_makes_room_for_a_small_one_even_if_it_is_the_oldest() {
        let budget = MessageBudget::new(3 * SMALL, WAIT);
        let (large, arriving, small) = (budget.message(), budget.message(), budget.message());
        assert_eq!(draw(&large, 2 * SMALL), DRAWN);
        assert_eq!(draw(&arriving, SMALL), DRAWN);
        assert_eq!(draw(&large, SMALL), Poll::Pending);
        assert_eq!(draw(&small, 1), Poll::Pending);
        assert_eq!(draw(&large, SMALL), Poll::Ready(Err(NoRoom::Busy)));
        drop(large);
        assert_eq!(draw(&small, 1), DRAWN);
    }

    #[test]
    fn the_youngest_makes_room_when_all_wait_for_each_other() {
        let budget = MessageBudget::new(10, WAIT);
        let messages = [budget.message(), budget.message(), budget.message()];
        for message in &messages {
            assert_eq!(draw(message, 3), DRAWN);
        }
        let [first, second, third] = messages;
        assert_eq!(draw(&first, 4), Poll::Pending);
        assert_eq!(draw(&second, 4), Poll::Pending);
        assert_eq!(draw(&second, 4), Poll::Ready(Err(NoRoom::Busy)));
        drop(second);
        assert_eq!(draw(&first, 4), DRAWN);
        assert_eq!(draw(&third, 4), Poll::Pending);
        first.whole();
        drop(first);
        assert_eq!(draw(&third, 4), DRAWN);
    }

    proptest! {
        /// However messages draw, wait, end and are given up: nothing is lost,
        /// and nobody waits for ever.
        #[test]
        fn nothing_is_lost(steps in prop::collection::vec((0_usize..8, 1_usize..60, any::<bool>()), 1..200)) {
            let budget = MessageBudget::new(100, WAIT);
            let mut messages: Vec<_> = (0..8).map(|_| (budget.message(), None)).collect();
            for (at, bytes, ends) in steps {
                let (message, waits) = &mut messages[at];
                let wanted = waits.unwrap_or(bytes);
                let is_over = match draw(message, wanted) {
                    Poll::Pending => {
                        *waits = Some(wanted);
                        ends
                    }
                    Poll::Ready(Ok(())) => {
                        *waits = None;
                        if ends {
                            message.whole();
                        }
                        ends
                    }
                    Poll::Ready(Err(_)) => true,
                };
                if is_over {
                    messages[at] = (budget.message(), None);
                }
                prop_assert!(budget.in_use() <= 100);
            }
            // All that wait end, in some order, without further arrivals.
            for _ in 0..100 {
                for (message, waits) in &mut messages {
                    if waits.is_some_and(|wanted| draw(message, wanted).is_ready()) {
                        (*message, *waits) = (budget.message(), None);
                    }
                }
            }
            let idle = messages.iter().filter(|(_, waits)| waits.is_some()).count();
            prop_assert!(idle <= 1, "{idle} wait for ever");
            drop(messages);
            prop_assert_eq!(budget.in_use(), 0);
            prop_assert_eq!(budget.waiting(), 0);
        }
    }
}
