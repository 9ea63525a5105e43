//! The caller's deadline over everything below.
//!
//! Outermost, so that waiting, every attempt and every backoff are inside. The
//! events of a stream come after the answer has begun: the way in bounds them,
//! where the caller is.

use super::{Call, Reply, UpstreamError};
use futures::future::BoxFuture;
use std::task::{Context, Poll};
use tokio::time::timeout_at;
use tower::{Layer, Service};

/// The layer that makes [`WithinDeadline`].
#[derive(Debug, Clone, Copy)]
pub struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = WithinDeadline<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithinDeadline { inner }
    }
}

/// Ends a call at its deadline and drops what it was doing.
#[derive(Debug, Clone)]
pub struct WithinDeadline<S> {
    inner: S,
}

// === impl WithinDeadline ===

impl<S> Service<Call> for WithinDeadline<S>
where
    S: Service<Call, Response = Reply, Error = UpstreamError>,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Result<Reply, UpstreamError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let deadline = call.deadline;
        if deadline.remaining().is_zero() {
            return Box::pin(async {
                Err(UpstreamError::DeadlineExceeded("before the call began"))
            });
        }
        let attempts = call.attempts.clone();
        let answer = self.inner.call(call);
        Box::pin(async move {
            match timeout_at(deadline.0, answer).await {
                Ok(outcome) => outcome,
                Err(_) if attempts.count() == 0 => {
                    Err(UpstreamError::DeadlineExceeded("while the call waited"))
                }
                Err(_) => Err(UpstreamError::DeadlineExceeded(
                    "before the Claude API answered",
                )),
            }
        })
    }
}
