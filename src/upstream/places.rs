//! The limit on calls in flight to the API, with a bounded wait.
//!
//! Next to the HTTP attempt: a place is held only while an attempt runs or a
//! stream is read, not during a backoff. reqwest itself has no limit on its
//! connections.

use super::{Body, Reply, UpstreamError, attempt::Attempt};
use futures::future::BoxFuture;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tower::{Layer, Service};

/// The places. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Places {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    count: usize,
}

impl Places {
    /// So many places.
    pub fn new(count: usize) -> Self {
        let count = count.min(Semaphore::MAX_PERMITS);
        Places {
            free: Arc::new(Semaphore::new(count)),
            waiting: Arc::default(),
            count,
        }
    }

    /// Places that are taken.
    pub fn in_use(&self) -> usize {
        self.count - self.free.available_permits()
    }

    /// How many there are.
    pub fn limit(&self) -> usize {
        self.count
    }

    /// Attempts that wait for one.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A place, as soon as one is free: first come, first served.
    async fn take(self, longest: Duration) -> Result<OwnedSemaphorePermit, UpstreamError> {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = Waiting::begin(self.waiting);
        match timeout(longest, self.free.acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(UpstreamError::PoolFull {
                retry_after: longest,
            }),
        }
    }
}

/// Counts one that waits, as long as it does.
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

/// The layer that makes [`InPlace`].
#[derive(Debug, Clone)]
pub struct PlacesLayer {
    places: Places,
    timeout: Duration,
}

impl PlacesLayer {
    /// Attempts take one of these places, and wait for it no longer than this.
    pub fn new(places: Places, timeout: Duration) -> Self {
        PlacesLayer { places, timeout }
    }
}

impl<S> Layer<S> for PlacesLayer {
    type Service = InPlace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InPlace {
            inner,
            layer: self.clone(),
        }
    }
}

/// Lets an attempt begin when a place is free, first come, first served.
#[derive(Debug, Clone)]
pub struct InPlace<S> {
    inner: S,
    layer: PlacesLayer,
}

// === impl InPlace ===

impl<S> Service<Attempt> for InPlace<S>
where
    S: Service<Attempt, Response = Reply, Error = UpstreamError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Result<Reply, UpstreamError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, attempt: Attempt) -> Self::Future {
        let place = self.layer.places.clone().take(self.layer.timeout);
        let waiting = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, waiting);
        Box::pin(async move {
            let place = place.await?;
            let mut reply = inner.call(attempt).await?;
            // A stream keeps its place until it ends or is dropped.
            if let Body::Events(events) = reply.body {
                reply.body = Body::Events(events.hold(place));
            }
            Ok(reply)
        })
    }
}
