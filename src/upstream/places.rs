//! The limit on calls in flight to the API, with a bounded wait.
//!
//! Next to the HTTP attempt: a place is held only while an attempt runs or a
//! stream is read, not during a backoff. reqwest itself has no limit on its
//! connections.

use super::{Body, Reply, UpstreamError, attempt::Attempt};
use futures::future::BoxFuture;
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::Semaphore, time::timeout};
use tower::{Layer, Service};

/// The layer that makes [`InPlace`].
#[derive(Debug, Clone)]
pub struct PlacesLayer {
    places: Arc<Semaphore>,
    timeout: Duration,
}

impl PlacesLayer {
    /// So many places, and the longest wait for one.
    pub fn new(places: usize, timeout: Duration) -> Self {
        PlacesLayer {
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            timeout,
        }
    }
}

impl<S> Layer<S> for PlacesLayer {
    type Service = InPlace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InPlace {
            inner,
            places: self.clone(),
        }
    }
}

/// Lets an attempt begin when a place is free, first come, first served.
#[derive(Debug, Clone)]
pub struct InPlace<S> {
    inner: S,
    places: PlacesLayer,
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
        let places = self.places.clone();
        let waiting = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, waiting);
        Box::pin(async move {
            let place = match Arc::clone(&places.places).try_acquire_owned() {
                Ok(place) => place,
                Err(_) => {
                    let place = places.places.acquire_owned();
                    let Ok(Ok(place)) = timeout(places.timeout, place).await else {
                        return Err(UpstreamError::PoolFull {
                            retry_after: places.timeout,
                        });
                    };
                    place
                }
            };
            let mut reply = inner.call(attempt).await?;
            // A stream keeps its place until it ends or is dropped.
            if let Body::Events(events) = reply.body {
                reply.body = Body::Events(events.hold(place));
            }
            Ok(reply)
        })
    }
}
