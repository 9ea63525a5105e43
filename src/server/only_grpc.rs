//! Only gRPC is executed, and of browsers only the origins that are configured.
//!
//! A web page can make its visitor's browser send requests to any address: with
//! the visitor's network, and with the client certificate that the browser has.
//! CORS keeps the page from reading the answer, but the call has run by then.
//! So what a page may send without asking (forms, `text/plain`) is rejected by
//! its content type, as gRPC demands, and every call of an origin that is not
//! configured by its headers, which a page cannot change.
//!
//! Outermost, so that nothing is read or executed before. A rejected request
//! gets the HTTP status that gRPC's specification names, without a gRPC status:
//! whoever sent it does not speak gRPC.

use super::config::ServerConfig;
use futures::future::{Either, Ready, ready};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCESS_CONTROL_REQUEST_METHOD, ALLOW, CONTENT_TYPE, ORIGIN},
};
use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::body::Body;
use tower::Service;

const GRPC: [&str; 2] = ["application/grpc", "application/grpc+proto"];

/// As `tonic-web` compares them: without parameters, in lower case.
const GRPC_WEB: [&str; 4] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

/// Browsers set this header in every request, and pages cannot change it.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Rejects what is not gRPC, and calls from foreign origins.
#[derive(Debug, Clone)]
pub struct OnlyGrpc<S> {
    accepted: Arc<Accepted>,
    next: S,
}

#[derive(Debug)]
struct Accepted {
    grpc_web: bool,
    origins: Vec<String>,
}

/// Why a request is rejected.
#[derive(Debug, PartialEq, Eq)]
enum Rejected {
    Method,
    Origin,
    ContentType,
}

impl<S> OnlyGrpc<S> {
    /// Passes to `next` what the configuration accepts.
    pub fn new(config: &ServerConfig, next: S) -> Self {
        let accepted = Accepted {
            grpc_web: config.grpc_web,
            origins: config.cors_origins.clone(),
        };
        OnlyGrpc {
            accepted: Arc::new(accepted),
            next,
        }
    }
}

impl<S, B> Service<Request<B>> for OnlyGrpc<S>
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
        match self.accepted.check(request.method(), request.headers()) {
            Ok(()) => Either::Left(self.next.call(request)),
            Err(rejected) => Either::Right(ready(Ok(rejected.response()))),
        }
    }
}

impl Accepted {
    fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), Rejected> {
        if self.grpc_web && is_preflight(method, headers) {
            return Ok(());
        }
        if method != Method::POST {
            return Err(Rejected::Method);
        }
        if !self.has_known_origin(headers) {
            return Err(Rejected::Origin);
        }
        match headers.get(CONTENT_TYPE) {
            Some(kind) if is_grpc(kind) || (self.grpc_web && is_grpc_web(kind)) => Ok(()),
            _ => Err(Rejected::ContentType),
        }
    }

    /// Whether no browser sent the request, or for a page of a configured
    /// origin. A page of the service's own origin is foreign too: a name that
    /// resolves to another address now (DNS rebinding) makes any page one.
    fn has_known_origin(&self, headers: &HeaderMap) -> bool {
        if !headers.contains_key(ORIGIN) {
            return !headers.contains_key(SEC_FETCH_SITE)
                || self.origins.iter().any(|it| it == "*");
        }
        headers
            .get_all(ORIGIN)
            .iter()
            .all(|origin| is_allowed(&self.origins, origin))
    }
}

impl Rejected {
    fn response(&self) -> Response<Body> {
        let (status, text) = match self {
            Rejected::Method => (StatusCode::METHOD_NOT_ALLOWED, "the method must be POST\n"),
            Rejected::Origin => (
                StatusCode::FORBIDDEN,
                "the origin must be one of server.cors_origins\n",
            ),
            Rejected::ContentType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the content type must be application/grpc, or that of gRPC-Web if server.grpc_web is set\n",
            ),
        };
        let mut response = Response::new(Body::new(text.to_owned()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if *self == Rejected::Method {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// Whether these configured origins contain one.
pub fn is_allowed(origins: &[String], origin: &HeaderValue) -> bool {
    origins
        .iter()
        .any(|one| one == "*" || one.as_bytes() == origin.as_bytes())
}

/// Whether a browser asks what it may send. It executes nothing.
fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Messages are protocol buffers. Parameters have no meaning in gRPC.
fn is_grpc(kind: &HeaderValue) -> bool {
    let kind = kind.as_bytes();
    let end = kind.iter().position(|byte| *byte == b';');
    let kind = kind[..end.unwrap_or(kind.len())].trim_ascii_end();
    GRPC.iter()
        .any(|one| kind.eq_ignore_ascii_case(one.as_bytes()))
}

fn is_grpc_web(kind: &HeaderValue) -> bool {
    GRPC_WEB.iter().any(|one| *kind == **one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(grpc_web: bool, method: Method, headers: &[(&str, &str)]) -> Result<(), Rejected> {
        let accepted = Accepted {
            grpc_web,
            origins: vec!["https://app.example".to_owned()],
        };
        let headers = headers.iter().map(|(name, value)| {
            let name: http::HeaderName = name.parse().unwrap();
            (name, value.parse().unwrap())
        });
        accepted.check(&method, &headers.collect())
    }

    #[test]
    fn the_content_type_is_that_of_grpc() {
        let of = |grpc_web, kind| checked(grpc_web, Method::POST, &[("content-type", kind)]);
        for kind in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc;charset=utf-8",
            "Application/gRPC ; a=b",
        ] {
            assert_eq!(of(false, kind), Ok(()), "{kind}");
        }
        for kind in GRPC_WEB {
            assert_eq!(of(true, kind), Ok(()), "{kind}");
            assert_eq!(of(false, kind), Err(Rejected::ContentType), "{kind}");
        }
        for kind in [
            "",
            "text/plain",
            "application/json",
            "application/grpc+json",
            "application/grpcfoo",
            "application/grpc-web+json",
            "application/grpc-web-text;charset=utf-8",
            "text/plain;application/grpc",
        ] {
            assert_eq!(of(true, kind), Err(Rejected::ContentType), "{kind}");
        }
        assert_eq!(checked(true, Method::POST, &[]), Err(Rejected::ContentType));
    }

    #[test]
    fn only_a_preflight_of_grpc_web_is_not_a_post() {
        let preflight = [
            ("origin", "https://foreign.example"),
            ("access-control-request-method", "POST"),
        ];
        assert_eq!(checked(true, Method::OPTIONS, &preflight), Ok(()));
        let refused = Err(Rejected::Method);
        assert_eq!(checked(false, Method::OPTIONS, &preflight), refused);
        assert_eq!(checked(true, Method::OPTIONS, &[]), refused);
        for method in [Method::GET, Method::PUT, Method::HEAD, Method::CONNECT] {
            let headers = [("content-type", "application/grpc")];
            assert_eq!(checked(true, method, &headers), refused);
        }
    }

    #[test]
    fn a_browser_must_come_from_a_configured_origin() {
        let of = |headers: &[(&str, &str)]| {
            let kind = ("content-type", "application/grpc");
            let headers: Vec<_> = headers.iter().copied().chain([kind]).collect();
            checked(false, Method::POST, &headers)
        };
        let known = ("origin", "https://app.example");
        assert_eq!(of(&[known, ("sec-fetch-site", "cross-site")]), Ok(()));
        for foreign in ["https://foreign.example", "null", "http://app.example"] {
            let foreign = ("origin", foreign);
            assert_eq!(of(&[foreign]), Err(Rejected::Origin), "{foreign:?}");
        }
        for site in ["cross-site", "same-site", "same-origin", "none"] {
            let site = ("sec-fetch-site", site);
            assert_eq!(of(&[site]), Err(Rejected::Origin), "{site:?}");
        }
    }
}
