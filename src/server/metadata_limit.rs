//! The limit of a call's metadata.
//!
//! The HTTP library has a limit of its own, but answers HTTP 431, of which a
//! gRPC client makes an unknown error, or closes the connection with all calls on
//! it. So the library reads more, and what exceeds the documented limit gets a
//! status that says so, before anything else looks at the call.
//!
//! A header takes 70 to 200 bytes of memory and HPACK sends it as one. So metadata
//! that nothing reads is dropped as soon as the request is there ([`shrink`]), and not
//! when the turn of the call comes.

use crate::{access, service, status, telemetry::context};
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

/// Number of headers beyond which a call keeps only those that are read. Usual calls
/// have ten.
const MAX_UNREAD: usize = 32;

/// Maximum number of values of one header that are kept then.
const MAX_VALUES: usize = 4;

/// What is looked at outside the limit: by `OnlyGrpc`, CORS and gRPC-Web.
const OUTSIDE: [&str; 5] = [
    "content-type",
    "origin",
    "sec-fetch-site",
    "access-control-request-method",
    "accept",
];

/// What is looked at inside it, in addition to [`OUTSIDE`].
const INSIDE: [&[&str]; 4] = [
    &[
        "te",
        "grpc-timeout",
        "grpc-encoding",
        "grpc-accept-encoding",
        "access-control-request-headers",
    ],
    &access::CREDENTIAL_HEADERS,
    &service::OPTION_HEADERS,
    &context::HEADERS,
];

/// Maximum size of a value that is kept of a call that is rejected, in bytes.
const MAX_KEPT: usize = 256;

/// The size of metadata that was dropped, in bytes.
#[derive(Debug, Clone, Copy)]
struct DroppedMetadata(usize);

/// Drops what nothing reads of the metadata of a request: of all that exceeds the
/// limit, for which [`LimitMetadata`] rejects the call, and of many headers. Returns
/// whether there was that much.
pub fn shrink<B>(request: &mut Request<B>) -> bool {
    let bytes = size(request.headers()) + request.uri().path().len() + OVERHEAD;
    if bytes > MAX_METADATA_BYTES {
        let headers = mem::take(request.headers_mut());
        *request.headers_mut() = outside(&headers);
        request.extensions_mut().insert(DroppedMetadata(bytes));
    } else if request.headers().len() > MAX_UNREAD {
        let headers = mem::take(request.headers_mut());
        *request.headers_mut() = inside(&headers);
    } else {
        return false;
    }
    true
}

fn outside(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in OUTSIDE {
        let value = headers.get(name).map(HeaderValue::as_bytes);
        // A copy: the value is a part of all that was received.
        let value = value.filter(|it| it.len() <= MAX_KEPT);
        if let Some(Ok(value)) = value.map(HeaderValue::from_bytes) {
            kept.insert(name, value);
        }
    }
    kept
}

fn inside(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    let names = OUTSIDE.iter().chain(INSIDE.iter().copied().flatten());
    for name in names {
        for value in headers.get_all(*name).iter().take(MAX_VALUES) {
            kept.append(*name, value.clone());
        }
    }
    // One more than is accepted, so that the call is rejected for it.
    let of_api = headers
        .iter()
        .filter(|(name, _)| service::is_of_api(name.as_str()));
    for (name, value) in of_api.take(service::MAX_HEADERS_OF_API + 1) {
        kept.append(name, value.clone());
    }
    kept
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
        assert!(!shrink(&mut fits));
        assert_eq!(fits.headers().len(), 3);

        let mut exceeds = request(MAX_METADATA_BYTES - counted + 1);
        assert!(shrink(&mut exceeds));
        assert_eq!(exceeds.headers().len(), 1);
        assert_eq!(exceeds.headers()["content-type"], "application/grpc");
        let dropped = exceeds.extensions().get::<DroppedMetadata>();
        assert_eq!(dropped.unwrap().0, MAX_METADATA_BYTES + 1);
    }

    #[test]
    fn of_many_headers_those_that_are_read_are_kept() {
        let with = |others: usize| {
            let mut request = request(1);
            let names = OUTSIDE.iter().chain(INSIDE.iter().copied().flatten());
            for name in names.filter(|it| **it != "content-type") {
                let value = HeaderValue::from_static("1");
                request.headers_mut().append(*name, value);
            }
            for other in 0..others {
                let name: http::HeaderName = format!("x-{other}").parse().unwrap();
                request
                    .headers_mut()
                    .append(name, HeaderValue::from_static("1"));
            }
            assert_eq!(shrink(&mut request), others > MAX_UNREAD);
            request
        };
        let (few, many) = (with(1), with(200));
        assert!(few.headers().contains_key("x-0"));
        assert!(!many.headers().contains_key("x-0"));
        assert_eq!(many.headers().len(), few.headers().len() - 3);
        for (name, value) in many.headers() {
            assert_eq!(few.headers().get(name), Some(value));
        }
    }

    #[test]
    fn of_one_header_again_and_again_a_few_are_kept() {
        let mut request = request(1);
        for _ in 0..300 {
            let key = HeaderValue::from_static("1");
            request.headers_mut().append("x-api-key", key);
        }
        assert!(shrink(&mut request));
        let kept = request.headers().get_all("x-api-key").iter().count();
        assert_eq!(kept, MAX_VALUES);
    }
}
