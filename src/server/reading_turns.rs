//! When a connection reads requests: a few in each turn, and none while many calls
//! have not begun.
//!
//! The HTTP library reads again after each request that it hands out. It would so
//! decode all that the peer has sent before it hands out the second one. A turn is one
//! poll of the connection, in which the library hands out all that it has decoded.

use super::unbegun_calls::UnbegunCalls;
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

/// The turns of a connection: for what runs it, and for what reads. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct ReadingTurns(Arc<Turns>);

#[derive(Debug)]
struct Turns {
    unbegun: UnbegunCalls,
    /// The number of the turn.
    number: AtomicU64,
    /// Whether nothing may be read in this turn.
    is_paused: AtomicBool,
    /// Whether the peer sends heads that take much time and memory.
    is_costly: AtomicBool,
}

impl ReadingTurns {
    /// The turns of a new connection.
    pub fn new(unbegun: UnbegunCalls) -> Self {
        ReadingTurns(Arc::new(Turns {
            unbegun,
            number: AtomicU64::new(0),
            is_paused: AtomicBool::new(false),
            is_costly: AtomicBool::new(false),
        }))
    }

    /// From now on, the connection reads little in a turn: the heads of its peer take
    /// much time and memory.
    pub fn shorten(&self) {
        self.0.is_costly.store(true, Relaxed);
    }

    /// Whether the connection reads little in a turn.
    pub fn are_short(&self) -> bool {
        self.0.is_costly.load(Relaxed)
    }

    /// The number of the turn, unless the connection must pause. It is polled again
    /// when it may go on.
    pub fn current(&self) -> Option<u64> {
        let is_paused = self.0.unbegun.are_many();
        self.0.is_paused.store(is_paused, Relaxed);
        (!is_paused).then(|| self.0.number.load(Relaxed))
    }

    /// Whether the connection pauses: nothing is known of what its peer has sent.
    pub fn is_paused(&self) -> bool {
        self.0.is_paused.load(Relaxed)
    }

    /// Runs a connection to its end, in turns.
    pub async fn run<C: Future>(&self, mut connection: Pin<&mut C>) -> C::Output {
        let turns = &*self.0;
        let mut pause = pin!(None);
        poll_fn(|cx| {
            let is_resumed = match pause.as_mut().as_pin_mut() {
                Some(few) => Future::poll(few, cx).is_ready(),
                None => false,
            };
            if is_resumed {
                pause.set(None);
            }
            turns.number.fetch_add(1, Relaxed);
            turns.is_paused.store(false, Relaxed);
            let ended = connection.as_mut().poll(cx);
            if is_resumed {
                turns.unbegun.resume_next();
            }
            if !self.is_paused() {
                pause.set(None);
            } else if pause.is_none() {
                pause.set(Some(turns.unbegun.few()));
                let few = pause.as_mut().as_pin_mut().expect("it was set");
                if Future::poll(few, cx).is_ready() {
                    // Calls have begun in the meantime.
                    pause.set(None);
                    cx.waker().wake_by_ref();
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
    use futures::{FutureExt, future::join_all};
    use std::{task::Poll, time::Duration};
    use tokio::time::timeout;

    const MANY: usize = 1000;
    const PATIENCE: Duration = Duration::from_secs(60);

    fn many(unbegun: &UnbegunCalls) {
        (0..MANY).for_each(|_| unbegun.add());
    }

    fn begin(unbegun: &UnbegunCalls) {
        (0..MANY).for_each(|_| unbegun.remove());
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
        let unbegun = UnbegunCalls::default();
        let turns = || ReadingTurns::new(unbegun.clone());
        many(&unbegun);
        let mut dropped: Vec<_> = (0..10).map(|_| Box::pin(connection(turns()))).collect();
        let mut stuck: Vec<_> = (0..10).map(|_| Box::pin(stuck(turns()))).collect();
        for paused in &mut dropped {
            assert!(paused.now_or_never().is_none());
        }
        for paused in &mut stuck {
            assert!(paused.now_or_never().is_none());
        }
        let stuck = tokio::spawn(async move { join_all(stuck).await });
        let paused: Vec<_> = (0..100)
            .map(|_| tokio::spawn(connection(turns())))
            .collect();
        tokio::task::yield_now().await;
        begin(&unbegun);
        drop(dropped);
        timeout(PATIENCE, join_all(paused)).await.unwrap();
        stuck.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn what_continues_to_find_many_calls_pauses_again() {
        let unbegun = UnbegunCalls::default();
        many(&unbegun);
        let paused = tokio::spawn(connection(ReadingTurns::new(unbegun.clone())));
        tokio::task::yield_now().await;
        begin(&unbegun);
        many(&unbegun);
        assert!(timeout(PATIENCE, unbegun.few()).await.is_err());
        assert!(!paused.is_finished());
        begin(&unbegun);
        timeout(PATIENCE, paused).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_begin_while_it_is_about_to_pause_are_seen() {
        let unbegun = UnbegunCalls::default();
        let turns = ReadingTurns::new(unbegun.clone());
        many(&unbegun);
        let reading = pin!(poll_fn(|_| match turns.current() {
            Some(_) => Poll::Ready(()),
            None => {
                begin(&unbegun);
                Poll::Pending
            }
        }));
        timeout(PATIENCE, turns.run(reading)).await.unwrap();
    }

    /// Each connection makes calls in each of its turns, until it has made all.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_connection_pauses_for_good() {
        let unbegun = UnbegunCalls::default();
        let connections = (0..500).map(|number| {
            let (turns, unbegun) = (ReadingTurns::new(unbegun.clone()), unbegun.clone());
            tokio::spawn(async move {
                let mut left = 100 + number % 7;
                let making = poll_fn(|cx| {
                    if turns.current().is_none() {
                        return Poll::Pending;
                    }
                    for _ in 0..left.min(10) {
                        unbegun.add();
                        let unbegun = unbegun.clone();
                        tokio::spawn(async move { unbegun.remove() });
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
