//! The budget of bytes: who draws from it, who waits, who is rejected.

use super::byte_queue::{ByteQueue, NoRoom, Place};
use crate::call::Holder;
use parking_lot::Mutex;
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::timeout;

/// The bytes that all messages in flight may hold. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct MessageBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    capacity: usize,
    longest_wait: Duration,
    queue: Mutex<ByteQueue>,
}

/// The bytes that one message holds. They become free when this is dropped.
#[derive(Debug)]
pub struct MessageBytes {
    budget: MessageBudget,
    place: Mutex<Place>,
}

// === impl MessageBudget ===

impl MessageBudget {
    /// A budget of `capacity` bytes, in which a message waits for room for a
    /// maximum of `longest_wait`.
    pub fn new(capacity: usize, longest_wait: Duration) -> Self {
        MessageBudget(Arc::new(Shared {
            capacity,
            longest_wait,
            queue: Mutex::new(ByteQueue::new(capacity)),
        }))
    }

    /// A message that holds nothing yet, of somebody with this weight. Those of nobody who
    /// is known may hold all.
    pub fn message(&self, holder: Option<Holder>, weight: u32) -> MessageBytes {
        MessageBytes {
            budget: self.clone(),
            place: Mutex::new(Place::new(holder, weight)),
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
        self.0.queue.lock().in_use()
    }

    /// Messages that wait for room.
    pub fn waiting(&self) -> usize {
        self.0.queue.lock().waiting()
    }
}

// === impl MessageBytes ===

impl MessageBytes {
    /// Another message of the same holder, which holds nothing yet.
    pub fn of_same_holder(&self) -> Self {
        MessageBytes {
            budget: self.budget.clone(),
            place: Mutex::new(self.place.lock().of_same_holder()),
        }
    }

    /// Makes it the message of a holder with this weight, once it is known whose it is.
    pub fn give(&self, holder: Holder, weight: u32) {
        let mut place = self.place.lock();
        if place.began() {
            let mut queue = self.budget.0.queue.lock();
            queue.give(&mut place, Some(holder), weight);
        } else {
            *place = Place::new(Some(holder), weight);
        }
    }

    /// The size of the budget, in bytes.
    pub fn capacity(&self) -> usize {
        self.budget.capacity()
    }

    /// How long it waits for room at most.
    pub fn longest_wait(&self) -> Duration {
        self.budget.longest_wait()
    }

    /// Draws further bytes for this message, waiting for room. After `Pending`,
    /// the call must be repeated with the same number.
    ///
    /// # Errors
    /// [`NoRoom`]. The message must be dropped then.
    pub fn poll_draw(&self, cx: &mut Context<'_>, bytes: usize) -> Poll<Result<(), NoRoom>> {
        let mut place = self.place.lock();
        let mut queue = self.budget.0.queue.lock();
        queue.draw(&mut place, bytes, cx.waker())
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
        let mut place = self.place.lock();
        self.budget.0.queue.lock().whole(&mut place);
    }
}

impl Drop for MessageBytes {
    fn drop(&mut self) {
        let place = self.place.get_mut();
        if place.began() {
            self.budget.0.queue.lock().leave(place);
        }
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
