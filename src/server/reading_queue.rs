//! Which connection reads next, when more want to than should.
//!
//! Each call that the HTTP library hands out is a task of its own. When there are many,
//! the runtime lets the tasks of connections run before most of them, and each of
//! these makes more: without a limit, all that the peers have sent is decoded and kept
//! before the first call can be rejected. So connections wait while too many calls have
//! not begun, and one that has more to read than fits a turn waits for the next turn.
//!
//! Peers take turns, and not connections: one with hundreds of connections delays the
//! others as little as one with a single connection. This is start-time fair queueing:
//! a connection gets the time of its peer's next turn, and the earliest one reads.

use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::{Context, Poll, ready},
    thread::available_parallelism,
};
use tokio::sync::oneshot;

/// Number of calls that have not begun beyond which connections wait. Their heads
/// have up to 40 KB each, and a busy server has fewer: they begin within a millisecond.
const MAX_UNBEGUN: usize = 64;

/// The queue of a server. Cloning is cheap.
///
/// A connection is counted as waiting before it looks at the calls, and a call that
/// begins is counted before it looks at what waits: in one order for all, so that one of
/// both sees the other, and nothing waits for good.
#[derive(Debug, Clone)]
pub struct ReadingQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Calls that were handed out and have not begun.
    unbegun: AtomicUsize,
    /// Number of connections that wait, for those that do not have the lock.
    waiting: AtomicUsize,
    /// Maximum number of turns at once.
    max_turns: usize,
    order: Mutex<Order>,
}

#[derive(Debug, Default)]
struct Order {
    /// By the time of their turn, and their number.
    waiting: BTreeMap<(u64, u64), oneshot::Sender<Turn>>,
    /// Number of connections that have waited so far.
    numbers: u64,
    /// The time of the last turn, in turns.
    now: u64,
    /// Number of turns that are taken now.
    turns: usize,
}

/// The time of a peer's next turn, in turns; shared by all its connections.
#[derive(Debug, Default)]
pub struct NextTurn(AtomicU64);

/// A connection in the queue, until it is dropped or has its turn.
#[derive(Debug)]
pub struct WaitingConnection {
    place: (u64, u64),
    turn: oneshot::Receiver<Turn>,
    queue: ReadingQueue,
}

/// The turn of a connection, until it is dropped.
#[derive(Debug)]
pub struct Turn(ReadingQueue);

impl Default for ReadingQueue {
    fn default() -> Self {
        ReadingQueue(Arc::new(Shared {
            unbegun: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            // More connections cannot read at once.
            max_turns: available_parallelism().map_or(1, usize::from),
            order: Mutex::default(),
        }))
    }
}

impl ReadingQueue {
    /// Counts a call that was handed out.
    pub fn call_handed_out(&self) {
        self.0.unbegun.fetch_add(1, SeqCst);
    }

    /// Counts a call as begun, or as dropped before.
    pub fn call_begun(&self) {
        let before = self.0.unbegun.fetch_sub(1, SeqCst);
        if before == MAX_UNBEGUN + 1 && self.has_waiting() {
            self.0.order.lock().give_turns(self);
        }
    }

    /// Whether connections wait for their turns.
    pub fn has_waiting(&self) -> bool {
        self.0.waiting.load(SeqCst) > 0
    }

    /// Whether too many calls have not begun for a connection to read.
    pub fn has_many_calls(&self) -> bool {
        self.0.unbegun.load(SeqCst) > MAX_UNBEGUN
    }

    /// Adds a connection of the peer with this next turn.
    pub fn wait(&self, next: &NextTurn) -> WaitingConnection {
        let (sender, turn) = oneshot::channel();
        let mut order = self.0.order.lock();
        order.numbers += 1;
        let time = next.0.load(Relaxed).max(order.now);
        next.0.store(time + 1, Relaxed);
        let place = (time, order.numbers);
        order.waiting.insert(place, sender);
        order.give_turns(self);
        WaitingConnection {
            place,
            turn,
            queue: self.clone(),
        }
    }
}

impl Order {
    /// Gives the next connections their turns, unless there are many calls: then the
    /// calls have theirs.
    fn give_turns(&mut self, queue: &ReadingQueue) {
        // Counted before it looks at the calls.
        queue.0.waiting.store(self.waiting.len(), SeqCst);
        while self.turns < queue.0.max_turns && !queue.has_many_calls() {
            let Some(((time, _), connection)) = self.waiting.pop_first() else {
                break;
            };
            self.now = time;
            self.turns += 1;
            connection
                .send(Turn(queue.clone()))
                .expect("a connection leaves the queue before it stops waiting");
        }
        queue.0.waiting.store(self.waiting.len(), SeqCst);
    }
}

impl Future for WaitingConnection {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn> {
        let turn = ready!(Pin::new(&mut self.turn).poll(cx));
        Poll::Ready(turn.expect("the queue keeps what waits"))
    }
}

impl Drop for WaitingConnection {
    fn drop(&mut self) {
        let shared = &self.queue.0;
        let mut order = shared.order.lock();
        if order.waiting.remove(&self.place).is_some() {
            shared.waiting.store(order.waiting.len(), SeqCst);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut order = self.0.0.order.lock();
        order.turns -= 1;
        order.give_turns(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const MANY: usize = MAX_UNBEGUN + 1;

    /// One turn at a time.
    fn queue() -> ReadingQueue {
        let mut queue = ReadingQueue::default();
        Arc::get_mut(&mut queue.0).unwrap().max_turns = 1;
        queue
    }

    #[test]
    fn connections_wait_while_many_calls_have_not_begun() {
        let (queue, peer) = (queue(), NextTurn::default());
        (0..MANY).for_each(|_| queue.call_handed_out());
        assert!(queue.has_many_calls());
        let mut connection = queue.wait(&peer);
        assert!((&mut connection).now_or_never().is_none());
        queue.call_begun();
        assert!(connection.now_or_never().is_some());
    }

    #[test]
    fn peers_take_turns_whatever_number_of_connections_they_have() {
        let queue = queue();
        let [greedy, modest] = [(); 2].map(|()| NextTurn::default());
        let held = queue.wait(&greedy).now_or_never().unwrap();
        let mut waiting: Vec<_> = (0..100).map(|_| (queue.wait(&greedy), false)).collect();
        waiting.extend((0..2).map(|_| (queue.wait(&modest), true)));
        drop(held);
        let mut order = Vec::new();
        while !waiting.is_empty() {
            let next = waiting
                .iter_mut()
                .position(|(connection, _)| connection.now_or_never().is_some());
            // Its turn ends with it.
            order.push(waiting.remove(next.unwrap()).1);
        }
        let turns: Vec<usize> = (0..order.len()).filter(|turn| order[*turn]).collect();
        assert!(turns[0] <= 1 && turns[1] <= 4, "{turns:?}");
        assert!(!queue.has_waiting());
    }

    #[test]
    fn one_that_leaves_takes_no_turn() {
        let (queue, peer) = (queue(), NextTurn::default());
        let held = queue.wait(&peer).now_or_never().unwrap();
        let [left, mut last] = [(); 2].map(|()| queue.wait(&peer));
        let unused = queue.wait(&peer);
        drop(left);
        drop(held);
        assert!((&mut last).now_or_never().is_some());
        // The turn that it got and did not use is the next one's.
        let mut next = queue.wait(&peer);
        drop(unused);
        assert!((&mut next).now_or_never().is_some());
        drop(next);
        assert!(!queue.has_waiting());
    }
}
