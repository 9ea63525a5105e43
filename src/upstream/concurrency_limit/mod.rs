//! The limit on calls in flight to the API, with a bounded wait.
//!
//! While no call waits, a permit costs a lock and a count. One tenant, or one peer
//! without access control, leaves some to the others, and while calls wait, they take
//! turns (`permit_queue`), so that one client that opens all it can does not keep the
//! others out. A call that must
//! wait is handed its permit; if it has left by then, the permit goes to the next one.
//!
//! Directly above the HTTP attempt: a permit is held only while an attempt runs
//! or a stream is read, not during a backoff. reqwest itself has no limit on
//! its connections. Over HTTP/2, a permit also needs a stream of a connection:
//! waiting for one is waiting for the permit.

mod permit_queue;

use super::{
    Call, Reply, UpstreamError,
    attempt::Attempt,
    http::{ConnectionPool, Reservation},
};
use crate::{
    call::Holder,
    layer::{Next, Rule},
};
use parking_lot::Mutex;
use permit_queue::PermitQueue;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

/// The concurrency limit. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    permits: Mutex<PermitQueue<oneshot::Sender<Permit>>>,
    count: usize,
    /// Attempts that have a permit and wait for a stream.
    waiting_for_stream: AtomicUsize,
}

impl ConcurrencyLimit {
    /// A limit of `count` permits.
    pub fn new(count: usize) -> Self {
        ConcurrencyLimit(Arc::new(Inner {
            permits: Mutex::new(PermitQueue::new(count)),
            count,
            waiting_for_stream: AtomicUsize::new(0),
        }))
    }

    /// Permits in use.
    pub fn in_use(&self) -> usize {
        self.0.count - self.0.permits.lock().free()
    }

    /// The maximum number of permits in use.
    pub fn limit(&self) -> usize {
        self.0.count
    }

    /// Attempts that wait for a permit.
    pub fn waiting(&self) -> usize {
        let for_stream = self.0.waiting_for_stream.load(Ordering::Relaxed);
        self.0.permits.lock().waiting() + for_stream
    }

    /// Waits for a permit: holders take turns by their weights.
    async fn acquire(&self, call: &Call, longest: Duration) -> Result<Permit, UpstreamError> {
        let weight = call.weight();
        let (waiter, handed_over) = {
            let mut permits = self.0.permits.lock();
            if permits.try_take(&call.holder, weight) {
                return Ok(Permit::new(&self.0, call.holder.clone()));
            }
            let (hand_over, handed_over) = oneshot::channel();
            let waiter = Waiter {
                limit: &self.0,
                holder: &call.holder,
                id: permits.push(&call.holder, weight, hand_over),
            };
            (waiter, handed_over)
        };
        let acquired = timeout(longest, handed_over).await;
        drop(waiter);
        match acquired {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(UpstreamError::ConcurrencyLimitExceeded {
                retry_after: longest,
            }),
        }
    }
}

/// The right to make an attempt, given back when dropped.
#[derive(Debug)]
struct Permit {
    limit: Arc<Inner>,
    holder: Option<Holder>,
}

impl Permit {
    fn new(limit: &Arc<Inner>, holder: Option<Holder>) -> Self {
        Permit {
            limit: Arc::clone(limit),
            holder,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let released = || {
            let mut permits = self.limit.permits.lock();
            permits.release(&self.holder);
            permits.grant()
        };
        let mut next = released();
        while let Some((holder, waiter)) = next {
            // Comes back if the call has left in the meantime, and is dropped
            // here: the next call gets it.
            let _ = waiter.send(Permit::new(&self.limit, holder));
            next = self.limit.permits.lock().grant();
        }
    }
}

/// An attempt that waits for a permit until it is dropped.
struct Waiter<'a> {
    limit: &'a Inner,
    holder: &'a Option<Holder>,
    id: u64,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.limit.permits.lock().remove(self.holder, self.id);
    }
}

/// Counts one attempt that waits for a stream until it is dropped.
struct WaitsForStream<'a>(&'a AtomicUsize);

impl<'a> WaitsForStream<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        WaitsForStream(waiting)
    }
}

impl Drop for WaitsForStream<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets an attempt begin when it has a permit, and a stream over HTTP/2.
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
        call: &Call,
    ) -> Result<(Permit, Reservation), UpstreamError> {
        let began = Instant::now();
        let longest = call.longest_wait(self.timeout);
        let permit = self.limit.acquire(call, longest).await?;
        let left = longest.saturating_sub(began.elapsed());
        let _waiting = WaitsForStream::begin(&self.limit.0.waiting_for_stream);
        match streams.reserve(left).await {
            Ok(reservation) => Ok((permit, reservation)),
            Err(_) => Err(UpstreamError::ConcurrencyLimitExceeded {
                retry_after: longest,
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
            None => {
                let longest = attempt.call.longest_wait(self.timeout);
                self.limit.acquire(&attempt.call, longest).await?
            }
            Some(streams) => {
                let acquired = self.acquire_with_stream(streams, &attempt.call);
                let (permit, stream) = Box::pin(acquired).await?;
                attempt.reservation = Some(stream);
                permit
            }
        };
        let mut reply = next.run(attempt).await?;
        // A stream holds its permit until it ends or is dropped.
        reply.body.hold(permit);
        Ok(reply)
    }
}
