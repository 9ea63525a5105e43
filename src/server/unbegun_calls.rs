//! Calls that the HTTP library has handed out and that have not begun, of all
//! connections.
//!
//! Each is a task of its own. When there are many, the runtime lets the tasks of
//! connections run before most of them, and each of these makes more: without a
//! limit, all that the peers have sent is decoded and kept before the first call can
//! be rejected. So connections pause while too many calls have not begun.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::sync::Notify;

/// Number of calls that have not begun beyond which connections pause. Their heads
/// have up to 40 KB each, and a busy server has fewer: they begin within a millisecond.
const MAX_UNBEGUN: usize = 64;

/// The calls of a server that have not begun. Cloning is cheap.
///
/// What pauses is counted before it looks at the calls, and a call that begins is
/// counted before it looks at what pauses: in one order for all, so that one of both
/// sees the other, and nothing pauses for good.
#[derive(Debug, Clone, Default)]
pub struct UnbegunCalls(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    calls: AtomicUsize,
    /// Number of connections that pause.
    paused: AtomicUsize,
    resume: Notify,
}

impl UnbegunCalls {
    /// Counts a call that was handed out.
    pub fn add(&self) {
        self.0.calls.fetch_add(1, SeqCst);
    }

    /// Counts a call as begun, or as dropped before.
    pub fn remove(&self) {
        if self.0.calls.fetch_sub(1, SeqCst) == MAX_UNBEGUN + 1 {
            self.resume_next();
        }
    }

    /// Whether connections must pause.
    pub fn are_many(&self) -> bool {
        self.0.calls.load(SeqCst) > MAX_UNBEGUN
    }

    /// Waits until calls have begun. Those that wait continue in turn, so each must
    /// call [`Self::resume_next`] once it has used its turn or will not use it. One that
    /// is dropped need not.
    pub async fn few(&self) {
        let mut resumed = pin!(self.0.resume.notified());
        resumed.as_mut().enable();
        let _paused = Paused::new(&self.0.paused);
        if self.are_many() {
            resumed.await;
        }
    }

    /// Lets the next connection continue, unless there are many calls again: then the
    /// calls do.
    pub fn resume_next(&self) {
        if self.0.paused.load(SeqCst) > 0 && !self.are_many() {
            self.0.resume.notify_one();
        }
    }
}

/// A connection that pauses, until it is dropped.
struct Paused<'a>(&'a AtomicUsize);

impl<'a> Paused<'a> {
    fn new(paused: &'a AtomicUsize) -> Self {
        paused.fetch_add(1, SeqCst);
        Paused(paused)
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
