//! Bounds every call: by its deadline, by the drain, and by the limit on calls
//! of the whole process.
//!
//! The gRPC library's own timeout answers CANCELLED, does not cover streams,
//! and ignores a header that it cannot read; so it is done here. A call whose
//! time is up ends with a status, and everything below it is dropped.

use super::{body::BoundBody, drain::Drain, status, timeout};
use crate::upstream::Deadline;
use futures::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use std::{
    panic::AssertUnwindSafe,
    task::{Context, Poll},
    time::Duration,
};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// The layer that makes [`Bounds`].
#[derive(Debug, Clone)]
pub struct BoundsLayer {
    /// Ends calls when it cuts.
    pub drain: Drain,
    /// Whether the connection came after the drain began: its calls are
    /// refused.
    pub refused: bool,
    /// Most calls at once, in the whole process.
    pub max_calls: usize,
    /// Longest time a call may take.
    pub max_deadline: Duration,
}

impl<S> Layer<S> for BoundsLayer {
    type Service = Bounds<S>;

    fn layer(&self, inner: S) -> Bounds<S> {
        Bounds {
            inner,
            bounds: self.clone(),
        }
    }
}

/// Bounds calls. Handlers find their [`Deadline`] in the request's extensions.
#[derive(Debug, Clone)]
pub struct Bounds<S> {
    inner: S,
    bounds: BoundsLayer,
}

impl<S, B> Service<Request<B>> for Bounds<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if self.bounds.refused {
            return refuse(&status::draining());
        }
        let guard = self.bounds.drain.call();
        if self.bounds.drain.running() > self.bounds.max_calls {
            return refuse(&status::overloaded());
        }
        let deadline = match timeout::requested(request.headers()) {
            Ok(requested) => {
                let longest = self.bounds.max_deadline;
                Deadline::after(requested.map_or(longest, |it| it.min(longest)))
            }
            Err(malformed) => return refuse(&status::malformed_timeout(malformed)),
        };
        request.extensions_mut().insert(deadline);
        let drain = self.bounds.drain.clone();
        let answer = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        Box::pin(async move {
            let answered = tokio::select! {
                // First the answer: its own status for a passed deadline says
                // more than ours.
                biased;
                answered = answer => answered,
                () = tokio::time::sleep_until(deadline.0) => {
                    return Ok(status::deadline_exceeded().into_http());
                }
                () = drain.until_cut() => return Ok(status::draining().into_http()),
            };
            match answered {
                Ok(response) => {
                    Ok(response?
                        .map(|body| Body::new(BoundBody::new(body, deadline, drain, guard))))
                }
                Err(_panic) => {
                    tracing::error!("a handler panicked");
                    Ok(status::panicked().into_http())
                }
            }
        })
    }
}

fn refuse<E: Send + 'static>(status: &Status) -> BoxFuture<'static, Result<Response<Body>, E>> {
    let response = status.clone().into_http();
    Box::pin(std::future::ready(Ok(response)))
}
