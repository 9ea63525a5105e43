//! The limit on calls in flight to the API, with a bounded wait.
//!
//! Directly above the HTTP attempt: a permit is held only while an attempt runs
//! or a stream is read, not during a backoff. reqwest itself has no limit on
//! its connections. Over HTTP/2, a permit also needs a stream of a connection:
//! waiting for one is waiting for the permit.

use super::{
    Body, Reply, UpstreamError,
    attempt::Attempt,
    http::{ConnectionPool, Reservation},
};
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
    time::{Instant, timeout},
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

/// Lets an attempt begin when a permit is free, and a stream over HTTP/2; first
/// come, first served.
#[derive(Debug)]
pub struct LimitConcurrency {
    limit: ConcurrencyLimit,
    streams: Option<ConnectionPool>,
    timeout: Duration,
}

impl LimitConcurrency {
    /// Attempts acquire a permit of `limit` and a stream of `streams`, and wait
    /// at most `timeout` for both.
    pub fn new(
        limit: ConcurrencyLimit,
        streams: Option<ConnectionPool>,
        timeout: Duration,
    ) -> Self {
        LimitConcurrency {
            limit,
            streams,
            timeout,
        }
    }

    /// A permit, and a stream on one of the connections.
    async fn acquire_with_stream(
        &self,
        streams: &ConnectionPool,
    ) -> Result<(OwnedSemaphorePermit, Reservation), UpstreamError> {
        let began = Instant::now();
        let permit = self.limit.clone().acquire(self.timeout).await?;
        let left = self.timeout.saturating_sub(began.elapsed());
        let _waiting = Waiting::begin(Arc::clone(&self.limit.waiting));
        match streams.reserve(left).await {
            Ok(reservation) => Ok((permit, reservation)),
            Err(_) => Err(UpstreamError::ConcurrencyLimitExceeded {
                retry_after: self.timeout,
            }),
        }
    }
}

impl Rule<Attempt> for LimitConcurrency {
    type Inner = Attempt;
    type Response = Reply;
    type Error = UpstreamError;

    async fn call(
        &self,
        mut attempt: Attempt,
        mut next: impl Next<Attempt, Reply, UpstreamError>,
    ) -> Result<Reply, UpstreamError> {
        let permit = match &self.streams {
            None => self.limit.clone().acquire(self.timeout).await?,
            Some(streams) => {
                let (permit, stream) = Box::pin(self.acquire_with_stream(streams)).await?;
                attempt.reservation = Some(stream);
                permit
            }
        };
        let mut reply = next.run(attempt).await?;
        // A stream holds its permit until it ends or is dropped.
        if let Body::Events(events) = &mut reply.body {
            events.hold(permit);
        }
        Ok(reply)
    }
}
