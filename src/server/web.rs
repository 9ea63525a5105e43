//! gRPC-Web, and CORS for the browsers that use it.

use super::{config::ServerConfig, only_grpc::is_allowed, request_body::RequestBody};
use http::{HeaderName, HeaderValue, Request, Response, request::Parts};
use std::{convert::Infallible, time::Duration};
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Service, ServiceBuilder};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// How long a browser may cache the result of a preflight request.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The headers that a browser may read: the status, which gRPC-Web sends as
/// headers when there is no body.
const EXPOSED: [&str; 4] = [
    "grpc-status",
    "grpc-message",
    "grpc-status-details-bin",
    "grpc-retry-pushback-ms",
];

/// Wraps a stack with gRPC-Web and CORS.
pub fn layered<S>(
    config: &ServerConfig,
    stack: S,
) -> impl Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ use<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    ServiceBuilder::new()
        .layer(cors(&config.cors_origins))
        .layer(GrpcWebLayer::new())
        .service(stack)
}

fn cors(origins: &[String]) -> CorsLayer {
    let origins = origins.to_vec();
    let allowed =
        AllowOrigin::predicate(move |origin: &HeaderValue, _: &Parts| is_allowed(&origins, origin));
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([http::Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(MAX_AGE)
}
