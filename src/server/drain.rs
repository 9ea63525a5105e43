//! Shutting down without losing a call.
//!
//! A drain begins: health says NOT_SERVING, connections are asked to close
//! (GOAWAY), calls on connections that come later are refused. What runs may
//! finish. Then, when nothing runs any more or time is up, what is left is
//! cut: it ends with a status.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The way to a shutdown, shared by all that have to know. Cloning is cheap.
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
    /// Begins the drain. Beginning again changes nothing.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Ends the drain at once: what still runs is cut.
    pub fn cut(&self) {
        self.begun.cancel();
        self.cut.cancel();
    }

    /// Whether the drain has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until the drain begins.
    pub fn begun(&self) -> WaitForCancellationFutureOwned {
        self.begun.clone().cancelled_owned()
    }

    /// Waits until what runs is cut.
    pub fn until_cut(&self) -> WaitForCancellationFutureOwned {
        self.cut.clone().cancelled_owned()
    }

    /// Notes that a call runs, as long as the guard is kept.
    pub fn call(&self) -> CallGuard {
        self.calls.running.fetch_add(1, Ordering::Relaxed);
        CallGuard(Arc::clone(&self.calls))
    }

    /// Calls that run now.
    pub fn running(&self) -> usize {
        self.calls.running.load(Ordering::Relaxed)
    }

    /// Waits until no call runs.
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

/// Kept as long as a call runs.
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
