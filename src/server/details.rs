//! Gives the errors of the gRPC library the details that ours have.
//!
//! It refuses what never reaches our code: a message that is too large or no
//! message, an unknown method, an unknown compression. Those statuses have no
//! `ErrorInfo`, and for a message over the limit the code is OUT_OF_RANGE
//! where the gRPC specification says RESOURCE_EXHAUSTED.

use super::status;
use http::{HeaderMap, Request, Response};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

/// The layer that makes [`Details`].
#[derive(Debug, Clone, Copy)]
pub struct DetailsLayer;

impl<S> Layer<S> for DetailsLayer {
    type Service = Details<S>;

    fn layer(&self, inner: S) -> Details<S> {
        Details { inner }
    }
}

/// Adds `ErrorInfo` to errors that have none.
#[derive(Debug, Clone)]
pub struct Details<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Details<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = DetailsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        DetailsFuture {
            inner: self.inner.call(request),
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of [`Details`].
    pub struct DetailsFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, E> Future for DetailsFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.project().inner.poll(cx))?;
        Poll::Ready(Ok(match detailed(response.headers()) {
            Some(status) => status.into_http(),
            None => response,
        }))
    }
}

/// The status to answer instead, if these headers are an error without
/// details. Only an error that comes instead of an answer is in the headers.
fn detailed(headers: &HeaderMap) -> Option<Status> {
    headers.get(Status::GRPC_STATUS)?;
    let given = Status::from_header_map(headers)?;
    if given.code() == Code::Ok || !given.details().is_empty() {
        return None;
    }
    let (code, reason) = match given.code() {
        Code::OutOfRange => (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
        Code::ResourceExhausted => (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
        Code::Unimplemented => (Code::Unimplemented, "UNIMPLEMENTED"),
        Code::Internal => (Code::Internal, "MALFORMED_MESSAGE"),
        code => (code, "TRANSPORT"),
    };
    Some(status::with_reason(code, reason, given.message()))
}
