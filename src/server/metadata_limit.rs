//! The limit of a call's metadata.
//!
//! The HTTP library has a limit of its own, but answers HTTP 431, of which a
//! gRPC client makes an unknown error, or closes the connection with all calls on
//! it. So the library reads more, and what exceeds the documented limit gets a
//! status that says so, before anything else looks at the call.
//!
//! A header takes 70 to 200 bytes of memory and HPACK sends it as one, so the
//! metadata itself is dropped as soon as the request is there
//! ([`drop_oversized`]), and not when its turn comes.

use crate::status;
use futures::future::{Either, Ready, ready};
use http::{HeaderMap, HeaderValue, Request, Response};
use std::{
    convert::Infallible,
    mem,
    task::{Context, Poll},
};
use tonic::body::Body;
use tower::Service;

/// Maximum size of the metadata of a call, in bytes, as HTTP/2 counts it:
/// including the path and the headers that the gRPC library adds.
const MAX_METADATA_BYTES: usize = 16 * 1024;

/// What HTTP/2 adds to the name and value of each header (RFC 9113, 6.5.2).
const OVERHEAD: usize = 32;

/// What is looked at outside the limit: by `OnlyGrpc`, CORS and gRPC-Web.
const KEPT: [&str; 5] = [
    "content-type",
    "origin",
    "sec-fetch-site",
    "access-control-request-method",
    "accept",
];

/// Maximum size of a value that is kept, in bytes.
const MAX_KEPT: usize = 256;

/// The size of metadata that was dropped, in bytes.
#[derive(Debug, Clone, Copy)]
struct DroppedMetadata(usize);

/// Drops the metadata of a request if it exceeds the limit. [`LimitMetadata`]
/// rejects the call.
pub fn drop_oversized<B>(request: &mut Request<B>) {
    let bytes = size(request.headers()) + request.uri().path().len() + OVERHEAD;
    if bytes <= MAX_METADATA_BYTES {
        return;
    }
    let headers = mem::take(request.headers_mut());
    for name in KEPT {
        let value = headers.get(name).map(HeaderValue::as_bytes);
        // A copy: the value is a part of all that was received.
        let value = value.filter(|it| it.len() <= MAX_KEPT);
        if let Some(Ok(value)) = value.map(HeaderValue::from_bytes) {
            request.headers_mut().insert(name, value);
        }
    }
    request.extensions_mut().insert(DroppedMetadata(bytes));
}

fn size(headers: &HeaderMap) -> usize {
    let sizes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD);
    sizes.sum()
}

/// Rejects calls whose metadata was dropped.
#[derive(Debug, Clone)]
pub struct LimitMetadata<S> {
    next: S,
}

impl<S> LimitMetadata<S> {
    /// Passes all other calls to `next`.
    pub fn new(next: S) -> Self {
        LimitMetadata { next }
    }
}

impl<S, B> Service<Request<B>> for LimitMetadata<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Some(DroppedMetadata(bytes)) = request.extensions().get() {
            let rejected = status::metadata_too_large(*bytes, MAX_METADATA_BYTES);
            return Either::Right(ready(Ok(rejected.into_http())));
        }
        Either::Left(self.next.call(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(value_bytes: usize) -> Request<()> {
        let request = Request::post("http://localhost/a/b")
            .header("content-type", "application/grpc")
            .header("x-a", "")
            .header("x-a", "v".repeat(value_bytes));
        request.body(()).unwrap()
    }

    #[test]
    fn every_entry_counts_with_its_name_its_value_and_32_bytes() {
        let counted = 4 + 32 + 12 + 16 + 32 + 2 * (3 + 32);
        let mut fits = request(MAX_METADATA_BYTES - counted);
        drop_oversized(&mut fits);
        assert_eq!(fits.headers().len(), 3);

        let mut exceeds = request(MAX_METADATA_BYTES - counted + 1);
        drop_oversized(&mut exceeds);
        assert_eq!(exceeds.headers().len(), 1);
        assert_eq!(exceeds.headers()["content-type"], "application/grpc");
        let dropped = exceeds.extensions().get::<DroppedMetadata>();
        assert_eq!(dropped.unwrap().0, MAX_METADATA_BYTES + 1);
    }
}
