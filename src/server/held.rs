//! Keeps something until a response has been sent or dropped.

use http::Response;
use http_body_util::BodyExt;
use tonic::body::Body;

/// The same response; `held` is dropped with its body.
pub fn until_sent<T: Send + 'static>(response: Response<Body>, held: T) -> Response<Body> {
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _held = &held;
            frame
        }))
    })
}
