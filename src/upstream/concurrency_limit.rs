//! The limit on calls in flight to the API, with a bounded wait.
//!
//! Directly above the HTTP attempt: a permit is held only while an attempt runs
//! or a stream is read, not during a backoff. reqwest itself has no limit on
//! its connections.

use super::{Body, Reply, UpstreamError, attempt::Attempt};
use crate::layer::{Next, Rule};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The concurrency limit. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    count: usize,
}

impl ConcurrencyLimit {
    /// A limit of `count` permits.
    pub fn new(count: usize) -> Self {
        let count = count.min(Semaphore::MAX_PERMITS);
        ConcurrencyLimit {
            free: Arc::new(Semaphore::new(count)),
            waiting: Arc::default(),
            count,
        }
    }

    /// Permits in use.
    pub fn in_use(&self) -> usize {
        self.count - self.free.available_permits()
    }

    /// The maximum number of permits in use.
    pub fn limit(&self) -> usize {
        self.count
    }

    /// Attempts that wait for a permit.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits for a permit: first come, first served.
    async fn acquire(self, longest: Duration) -> Result<OwnedSemaphorePermit, UpstreamError> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::begin(self.waiting);
        match timeout(longest, self.free.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(UpstreamError::ConcurrencyLimitExceeded {
                retry_after: longest,
            }),
        }
    }
}

/// Counts one waiting attempt until it is dropped.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn begin(waiting: Arc<AtomicUsize>) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets an attempt begin when a permit is free, first come, first served.
#[derive(Debug)]
pub struct LimitConcurrency {
    limit: ConcurrencyLimit,
    timeout: Duration,
}

impl LimitConcurrency {
    /// Attempts acquire a permit of `limit`, and wait at most `timeout` for it.
    pub fn new(limit: ConcurrencyLimit, timeout: Duration) -> Self {
        LimitConcurrency { limit, timeout }
    }
}

impl Rule<Attempt> for LimitConcurrency {
    type Inner = Attempt;
    type Response = Reply;
    type Error = UpstreamError;

    async fn call(
        &self,
        attempt: Attempt,
        mut next: impl Next<Attempt, Reply, UpstreamError>,
    ) -> Result<Reply, UpstreamError> {
        let permit = self.limit.clone().acquire(self.timeout).await?;
        let mut reply = next.run(attempt).await?;
        // A stream holds its permit until it ends or is dropped.
        if let Body::Events(events) = &mut reply.body {
            events.hold(permit);
        }
        Ok(reply)
    }
}
