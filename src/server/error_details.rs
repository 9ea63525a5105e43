//! Adds error details to the errors of the gRPC library.
//!
//! It rejects what never reaches our code: a message that is too large or
//! malformed, an unknown method, an unknown compression. Those statuses have no
//! `ErrorInfo`.

use crate::{
    layer::{Next, Rule},
    status,
};
use http::{HeaderMap, Request, Response};
use std::convert::Infallible;
use tonic::{Code, Status, body::Body};

/// Adds `ErrorInfo` to errors that have none.
#[derive(Debug)]
pub struct AddErrorDetails;

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
            None => response,
        })
    }
}

/// The status in these headers, if it is an error without details. Only an
/// error without a response body is in the headers.
fn without_details(headers: &HeaderMap) -> Option<Status> {
    headers.get(Status::GRPC_STATUS)?;
    let status = Status::from_header_map(headers)?;
    (status.code() != Code::Ok && status.details().is_empty()).then_some(status)
}
