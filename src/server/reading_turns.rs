//! When a connection reads requests: a few in each turn, and none while others wait or
//! many calls have not begun.
//!
//! The HTTP library reads again after each request that it hands out. It would so
//! decode all that the peer has sent before it hands out the second one. A turn is one
//! poll of the connection, in which the library hands out all that it has decoded.

use super::{
    peers::Peer,
    reading_queue::{ReadingQueue, WaitingConnection},
};
use futures::FutureExt;
use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::Poll,
};

/// The turns of a connection: for what runs it, and for what reads. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct ReadingTurns(Arc<Turns>);

#[derive(Debug)]
struct Turns {
    queue: ReadingQueue,
    peer: Arc<Peer>,
    /// The number of the turn.
    number: AtomicU64,
    /// Whether the queue gave this turn.
    is_given: AtomicBool,
    /// Whether nothing more may be read in this turn.
    is_paused: AtomicBool,
    /// Whether the peer sends heads that take much time and memory.
    is_costly: AtomicBool,
}

impl ReadingTurns {
    /// The turns of a new connection of a peer.
    pub fn new(queue: ReadingQueue, peer: Arc<Peer>) -> Self {
        ReadingTurns(Arc::new(Turns {
            queue,
            peer,
            number: AtomicU64::new(0),
            is_given: AtomicBool::new(false),
            is_paused: AtomicBool::new(false),
            is_costly: AtomicBool::new(false),
        }))
    }

    /// From now on, the connection reads little in a turn: the heads of its peer take
    /// much time and memory.
    pub fn shorten(&self) {
        self.0.is_costly.store(true, Relaxed);
    }

    /// Whether the peer sends such heads.
    pub fn are_costly(&self) -> bool {
        self.0.is_costly.load(Relaxed)
    }

    /// Whether other connections wait for their turns.
    pub fn are_awaited(&self) -> bool {
        self.0.queue.has_waiting()
    }

    /// The number of the turn, unless the connection must wait for one. It is polled
    /// again when it has one.
    pub fn current(&self) -> Option<u64> {
        let queue = &self.0.queue;
        let is_next = || self.0.is_given.load(Relaxed) || !queue.has_waiting();
        if queue.has_many_calls() || !is_next() {
            self.pause();
            return None;
        }
        Some(self.0.number.load(Relaxed))
    }

    /// Ends the reading of this turn. The connection is polled again when it has the
    /// next one.
    pub fn pause(&self) {
        self.0.is_paused.store(true, Relaxed);
    }

    /// Whether the connection waits for a turn: nothing is known of what its peer has
    /// sent.
    pub fn is_paused(&self) -> bool {
        self.0.is_paused.load(Relaxed)
    }

    /// Runs a connection to its end, in turns.
    pub async fn run<C: Future>(&self, mut connection: Pin<&mut C>) -> C::Output {
        let turns = &*self.0;
        let mut waiting: Option<WaitingConnection> = None;
        let mut given = None;
        poll_fn(|cx| {
            if let Some(connection) = &mut waiting
                && let Poll::Ready(turn) = connection.poll_unpin(cx)
            {
                given = Some(turn);
                waiting = None;
            }
            turns.is_given.store(given.is_some(), Relaxed);
            turns.is_paused.store(false, Relaxed);
            turns.number.fetch_add(1, Relaxed);
            let ended = connection.as_mut().poll(cx);
            // The next connection has its turn.
            given = None;
            if !self.is_paused() {
                waiting = None;
            } else if waiting.is_none() {
                let mut next = turns.queue.wait(turns.peer.next_turn());
                match next.poll_unpin(cx) {
                    Poll::Ready(turn) => {
                        given = Some(turn);
                        cx.waker().wake_by_ref();
                    }
                    Poll::Pending => waiting = Some(next),
                }
            }
            ended
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::peers::Peer;
    use futures::future::join_all;
    use std::{pin::pin, time::Duration};
    use tokio::time::timeout;

    const MANY: usize = 1000;
    const PATIENCE: Duration = Duration::from_secs(60);

    fn turns(queue: &ReadingQueue) -> ReadingTurns {
        ReadingTurns::new(queue.clone(), Peer::for_tests())
    }

    fn many(queue: &ReadingQueue) {
        (0..MANY).for_each(|_| queue.call_handed_out());
    }

    fn begin(queue: &ReadingQueue) {
        (0..MANY).for_each(|_| queue.call_begun());
    }

    /// Reads once.
    async fn connection(turns: ReadingTurns) {
        let reading = poll_fn(|_| match turns.current() {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        });
        turns.run(pin!(reading)).await;
    }

    /// Must pause when it first reads, and reads no more, as one whose peer does not
    /// read.
    async fn stuck(turns: ReadingTurns) {
        let mut has_read = false;
        let reading = poll_fn(|_| {
            has_read = has_read || turns.current().is_none();
            Poll::<()>::Pending
        });
        turns.run(pin!(reading)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_pause_continue_whatever_the_others_do() {
        let queue = ReadingQueue::default();
        many(&queue);
        let mut dropped: Vec<_> = (0..10)
            .map(|_| Box::pin(connection(turns(&queue))))
            .collect();
        let mut stuck: Vec<_> = (0..10).map(|_| Box::pin(stuck(turns(&queue)))).collect();
        for paused in &mut dropped {
            assert!(paused.now_or_never().is_none());
        }
        for paused in &mut stuck {
            assert!(paused.now_or_never().is_none());
        }
        let stuck = tokio::spawn(async move { join_all(stuck).await });
        let paused: Vec<_> = (0..100)
            .map(|_| tokio::spawn(connection(turns(&queue))))
            .collect();
        tokio::task::yield_now().await;
        begin(&queue);
        drop(dropped);
        timeout(PATIENCE, join_all(paused)).await.unwrap();
        stuck.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn what_continues_to_find_many_calls_pauses_again() {
        let queue = ReadingQueue::default();
        many(&queue);
        let paused = tokio::spawn(connection(turns(&queue)));
        tokio::task::yield_now().await;
        begin(&queue);
        many(&queue);
        tokio::task::yield_now().await;
        assert!(!paused.is_finished());
        begin(&queue);
        timeout(PATIENCE, paused).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_begin_while_it_is_about_to_pause_are_seen() {
        let queue = ReadingQueue::default();
        let turns = turns(&queue);
        many(&queue);
        let reading = pin!(poll_fn(|_| match turns.current() {
            Some(_) => Poll::Ready(()),
            None => {
                begin(&queue);
                Poll::Pending
            }
        }));
        timeout(PATIENCE, turns.run(reading)).await.unwrap();
    }

    /// Each connection makes calls in each of its turns, until it has made all.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_connection_pauses_for_good() {
        let queue = ReadingQueue::default();
        let connections = (0..500).map(|number| {
            let (turns, queue) = (turns(&queue), queue.clone());
            tokio::spawn(async move {
                let mut left = 100 + number % 7;
                let making = poll_fn(|cx| {
                    if turns.current().is_none() {
                        return Poll::Pending;
                    }
                    for _ in 0..left.min(10) {
                        queue.call_handed_out();
                        let queue = queue.clone();
                        tokio::spawn(async move { queue.call_begun() });
                    }
                    left -= left.min(10);
                    cx.waker().wake_by_ref();
                    if left == 0 {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                });
                turns.run(pin!(making)).await;
            })
        });
        let all = join_all(connections.collect::<Vec<_>>());
        timeout(PATIENCE, all).await.unwrap();
    }
}
