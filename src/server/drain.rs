//! Shutting down without losing a call.
//!
//! When a drain begins, health reports NOT_SERVING, connections are asked to
//! close (GOAWAY), and calls on later connections are rejected. Calls in flight
//! may finish. When none is left, or the drain timeout is reached, the
//! remaining calls are aborted: each ends with a status.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The progress of a shutdown, shared by everything that must know it. Cloning
/// is cheap.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    begun: CancellationToken,
    cut: CancellationToken,
    calls: Arc<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    running: AtomicUsize,
    idle: Notify,
}

impl Drain {
    /// Begins the drain. Has no effect if it has already begun.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Ends the drain at once: aborts calls in flight.
    pub fn abort(&self) {
        self.begun.cancel();
        self.cut.cancel();
    }

    /// Whether the drain has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Is cancelled when the drain begins.
    pub fn begun_token(&self) -> CancellationToken {
        self.begun.clone()
    }

    /// Waits until the drain begins.
    pub fn begun(&self) -> WaitForCancellationFutureOwned {
        self.begun.clone().cancelled_owned()
    }

    /// Waits until calls in flight are aborted.
    pub fn until_aborted(&self) -> WaitForCancellationFutureOwned {
        self.cut.clone().cancelled_owned()
    }

    /// Counts a call as running until the guard is dropped.
    pub fn call(&self) -> CallGuard {
        self.calls.running.fetch_add(1, Ordering::Relaxed);
        CallGuard(Arc::clone(&self.calls))
    }

    /// Calls currently running.
    pub fn running(&self) -> usize {
        self.calls.running.load(Ordering::Relaxed)
    }

    /// Waits until no call is running.
    pub async fn idle(&self) {
        loop {
            let idle = self.calls.idle.notified();
            if self.running() == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// Kept while a call is running.
#[derive(Debug)]
pub struct CallGuard(Arc<Calls>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn it_is_idle_when_the_last_call_is_gone() {
        let drain = Drain::default();
        let (first, second) = (drain.call(), drain.call());
        let mut idle = Box::pin(drain.idle());
        assert!((&mut idle).now_or_never().is_none());
        drop(first);
        assert!((&mut idle).now_or_never().is_none());
        drop(second);
        idle.await;
    }
}
