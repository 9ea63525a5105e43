//! Whose turn it is to decompress a large message.
//!
//! To decompress takes the processor and nothing else, and a few bytes can ask for
//! much of it. A hundred messages at once would keep every other call waiting for its
//! turn on the runtime a hundred times. So they are decompressed one after another, and
//! the others wait with their compressed bytes alone. The beginning of a message takes
//! no turn, and most messages are no longer than that.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    thread::available_parallelism,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

/// What a message may decompress to without a turn, in bytes.
const FREE_OF_TURNS: usize = 64 * 1024;

/// The turns of all messages, in the order in which they ask. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct DecompressionTurns(Arc<Semaphore>);

/// The turn of one message: one that it has, or waits for, or does not need yet.
#[derive(Debug)]
pub struct DecompressionTurn {
    turns: PollSemaphore,
    taken: Option<OwnedSemaphorePermit>,
}

// === impl DecompressionTurns ===

impl DecompressionTurns {
    /// Turns on half of the processors, so that large messages leave the others to the
    /// rest of the calls.
    pub fn on_half_of_the_processors() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        DecompressionTurns(Arc::new(Semaphore::new((processors / 2).max(1))))
    }

    /// One turn at a time.
    #[cfg(test)]
    pub fn one() -> Self {
        DecompressionTurns(Arc::new(Semaphore::new(1)))
    }

    /// The turn of a message that has not begun.
    pub fn turn(&self) -> DecompressionTurn {
        DecompressionTurn {
            turns: PollSemaphore::new(Arc::clone(&self.0)),
            taken: None,
        }
    }
}

// === impl DecompressionTurn ===

impl DecompressionTurn {
    /// Waits until a message that has yielded this many bytes may go on.
    pub fn poll_taken(&mut self, cx: &mut Context<'_>, yielded: usize) -> Poll<()> {
        if yielded >= FREE_OF_TURNS && self.taken.is_none() {
            self.taken = ready!(self.turns.poll_acquire(cx));
        }
        Poll::Ready(())
    }

    /// Leaves the turn to the next message.
    pub fn leave(&mut self) {
        self.taken = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::poll;
    use std::{future::poll_fn, pin::pin};

    #[tokio::test]
    async fn large_messages_take_turns_and_small_ones_do_not_wait() {
        let turns = DecompressionTurns::one();
        let [mut first, mut second, mut small] = [(); 3].map(|()| turns.turn());
        poll_fn(|cx| first.poll_taken(cx, FREE_OF_TURNS)).await;
        let mut waiting = pin!(poll_fn(|cx| second.poll_taken(cx, FREE_OF_TURNS)));
        assert!(poll!(&mut waiting).is_pending());
        poll_fn(|cx| small.poll_taken(cx, FREE_OF_TURNS - 1)).await;
        first.leave();
        waiting.await;
        assert_eq!(turns.0.available_permits(), 0);
        drop(second);
        assert_eq!(turns.0.available_permits(), 1);
    }
}
