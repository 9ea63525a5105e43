//! Sends calls of the service to one stack, and everything else to another.

use crate::proto::{is_stream, method};
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use std::{
    convert::Infallible,
    task::{Context, Poll},
};
use tonic::body::Body;
use tower::{Service, ServiceExt};

const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// Health and reflection bypass the stack of the calls: they have no deadline,
/// and a drain neither rejects nor waits for them.
#[derive(Debug, Clone)]
pub struct Router<C, R> {
    /// For `claude.v1.ClaudeService` and `claude.v1.BatchService`.
    pub calls: C,
    /// For all other services.
    pub rest: R,
}

impl<C, R, B> Service<Request<B>> for Router<C, R>
where
    C: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    C::Future: Send + 'static,
    R: Service<Request<B>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    R::Future: Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.calls.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match method(request.uri().path()) {
            Some(method) => {
                if is_stream(method) {
                    leave_uncompressed(request.headers_mut());
                }
                Box::pin(self.calls.call(request))
            }
            None => Box::pin(self.rest.clone().oneshot(request)),
        }
    }
}

/// Each message of a stream is compressed separately, and these are small:
/// compressing them costs time and makes them larger.
fn leave_uncompressed(headers: &mut HeaderMap) {
    headers.remove(ACCEPT_ENCODING);
}
