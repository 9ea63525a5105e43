//! Adds error details to the errors of the gRPC library.
//!
//! It rejects what never reaches our code: a message that is too large or
//! malformed, an unknown method, an unknown compression. Those statuses have no
//! `ErrorInfo`, and may quote more of the request than clients accept.

use crate::{
    layer::{Next, Rule},
    status,
};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use std::convert::Infallible;
use tonic::{Code, Status, body::Body};

/// Adds `ErrorInfo` to errors that have none.
#[derive(Debug)]
pub struct AddErrorDetails {
    /// Also to errors in the trailers of a response: those of health and
    /// reflection are the library's own.
    pub in_trailers: bool,
}

impl<B: Send + 'static> Rule<Request<B>> for AddErrorDetails {
    type Inner = Request<B>;
    type Response = Response<Body>;
    type Error = Infallible;

    async fn call(
        &self,
        request: Request<B>,
        mut next: impl Next<Request<B>, Response<Body>, Infallible>,
    ) -> Result<Response<Body>, Infallible> {
        let response = next.run(request).await?;
        Ok(match without_details(response.headers()) {
            Some(status) => status::detailed(&status).into_http(),
            None if self.in_trailers => response.map(|body| Body::new(body.map_frame(detailed))),
            None => response,
        })
    }
}

/// The same frame; a status in it has details.
fn detailed(frame: Frame<Bytes>) -> Frame<Bytes> {
    let status = frame.trailers_ref().and_then(without_details);
    let trailers = status.and_then(|status| {
        let mut trailers = HeaderMap::new();
        let added = status::detailed(&status).add_header(&mut trailers);
        added.is_ok().then_some(trailers)
    });
    trailers.map_or(frame, Frame::trailers)
}

/// The status in these headers or trailers, if it is an error without details.
fn without_details(headers: &HeaderMap) -> Option<Status> {
    headers.get(Status::GRPC_STATUS)?;
    let status = Status::from_header_map(headers)?;
    (status.code() != Code::Ok && status.details().is_empty()).then_some(status)
}
