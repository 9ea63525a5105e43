//! Sends requests, over either version of HTTP, up to the response headers.

use super::{
    HttpApi,
    addresses::RequestParts,
    http1_client::AGENT,
    pool::{Grant, Http2Body, PoolError, Resends, Reservation, StreamError, StreamSlot},
    response::ApiResponse,
};
use crate::{
    credentials::RequestToSign,
    telemetry::context::{TRACEPARENT, TRACESTATE},
    upstream::{
        ConnectFailure, Payload, Transport, USER_PROFILE, UpstreamError, attempt::Attempt,
        call::longest_answer,
    },
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Uri, Version,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT},
};
use std::{error::Error as _, time::Duration};
use tokio::time::timeout;

const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// Minimum upload rate in bytes per second: the read timeout is extended by the
/// time that the body takes at this rate.
const SLOWEST_UPLOAD: u64 = 256 * 1024;

/// Number of headers of a request, including those that the HTTP client adds.
const HEADERS: usize = 15;

impl HttpApi {
    /// Sends the request over HTTP/1.1 and waits for the response headers.
    pub(super) async fn over_http1(&self, attempt: &Attempt) -> Result<ApiResponse, UpstreamError> {
        let RequestParts {
            method,
            url,
            body,
            content_type,
        } = self.shared.addresses.request(&attempt.call);
        let silence = self.silence(attempt, body.as_ref());
        let mut request = reqwest::Request::new(method, url.into_owned());
        let to_sign = RequestToSign {
            method: request.method(),
            url: request.url(),
            body: body.as_ref(),
        };
        let headers = self.headers(attempt, to_sign, content_type);
        *request.headers_mut() = headers.await?;
        *request.body_mut() = body.map(Into::into);
        match timeout(silence, self.http.execute(request)).await {
            Ok(Ok(response)) => Ok(ApiResponse::Http1(response)),
            Ok(Err(error)) => Err(self.http1_error(&error)),
            Err(_) => Err(UpstreamError::Stalled(silence)),
        }
    }

    /// Sends the request over HTTP/2 and waits for the response headers. What the
    /// peer says that it did not process is sent again.
    pub(super) async fn over_http2(
        &self,
        attempt: &Attempt,
        mut reservation: Reservation,
    ) -> Result<ApiResponse, UpstreamError> {
        let ticket = reservation.ticket();
        let mut resends = Resends::within(self.shared.acquire_timeout);
        loop {
            let granted = reservation.granted(self.shared.acquire_timeout).await;
            let stream = match granted.map_err(|error| self.pool_error(&error))? {
                Grant::Http1 => return self.over_http1(attempt).await,
                Grant::Stream(stream) => stream,
            };
            let error = match self.exchange(attempt, stream).await? {
                Ok(response) => return Ok(ApiResponse::Http2(response)),
                Err(error) => error,
            };
            let (Some(left), Some(pool)) = (resends.after(error), &self.pool) else {
                return Err(match error {
                    StreamError::Unreadable => unreadable_head(),
                    StreamError::BrokenWithOthers => UpstreamError::BrokenWithOthers,
                    StreamError::Drained | StreamError::Refused | StreamError::Broken => {
                        UpstreamError::Broken
                    }
                });
            };
            let reserved = pool.reserve_with(ticket, left).await;
            reservation = reserved.map_err(|error| self.pool_error(&error))?;
        }
    }

    /// One request on one stream.
    async fn exchange(
        &self,
        attempt: &Attempt,
        stream: StreamSlot,
    ) -> Result<Result<http::Response<Http2Body>, StreamError>, UpstreamError> {
        let RequestParts {
            method,
            url,
            body,
            content_type,
        } = self.shared.addresses.request(&attempt.call);
        let silence = self.silence(attempt, body.as_ref());
        let mut request = http::Request::new(());
        *request.version_mut() = Version::HTTP_2;
        *request.method_mut() = method;
        *request.uri_mut() = Uri::try_from(url.as_str())
            .map_err(|_| UpstreamError::Malformed("the URL is not valid".into()))?;
        let to_sign = RequestToSign {
            method: request.method(),
            url: &url,
            body: body.as_ref(),
        };
        let headers = self.headers(attempt, to_sign, content_type);
        *request.headers_mut() = headers.await?;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let body = body.unwrap_or_default();
        if !body.is_empty() {
            headers.insert(CONTENT_LENGTH, body.len().into());
        }
        // Waiting until the stream is open is not the API's silence.
        let opened = timeout(self.shared.acquire_timeout, stream.open(request, body)).await;
        let exchange = match opened {
            Ok(Ok(exchange)) => exchange,
            Ok(Err(error)) => return Ok(Err(error)),
            Err(_) => return Err(self.pool_error(&PoolError::NoStream)),
        };
        timeout(silence, exchange.response())
            .await
            .map_err(|_| UpstreamError::Stalled(silence))
    }

    /// How long the peer may be silent after it was sent this body. The headers
    /// of a whole response come when it is complete; until then pings (HTTP/2)
    /// and keepalives (TCP) show that the connection is alive.
    fn silence(&self, attempt: &Attempt, body: Option<&Bytes>) -> Duration {
        let sent = body.map_or(0, |body| body.len() as u64);
        let upload = Duration::from_secs(sent / SLOWEST_UPLOAD);
        let answer = match &attempt.call.payload {
            Payload::Messages {
                transport: Transport::Whole,
                ..
            } => longest_answer(attempt.call.max_tokens),
            _ => Duration::ZERO,
        };
        self.shared.read_timeout + upload + answer
    }

    fn pool_error(&self, error: &PoolError) -> UpstreamError {
        match error {
            PoolError::Connect(failure) => UpstreamError::Connect(*failure),
            PoolError::NoStream => UpstreamError::ConcurrencyLimitExceeded {
                retry_after: self.shared.acquire_timeout,
            },
        }
    }

    /// The kind of failure. The error itself contains the URL and is discarded.
    fn http1_error(&self, error: &reqwest::Error) -> UpstreamError {
        if error.is_connect() {
            if let Some(pool) = &self.pool {
                pool.forget_http1();
            }
            self.connect_failure(error)
        } else if is_unreadable(error) {
            unreadable_head()
        } else {
            UpstreamError::Broken
        }
    }

    fn connect_failure(&self, error: &reqwest::Error) -> UpstreamError {
        let failure = match ConnectFailure::of(error) {
            // Its own type, and no `io::Error`.
            ConnectFailure::Other if error.is_timeout() => ConnectFailure::TimedOut,
            failure => failure,
        };
        UpstreamError::Connect(match &self.shared.proxy {
            Some(_) => failure.through_proxy(),
            None => failure,
        })
    }

    async fn headers(
        &self,
        attempt: &Attempt,
        request: RequestToSign<'_>,
        content_type: HeaderValue,
    ) -> Result<HeaderMap, UpstreamError> {
        // Includes the headers that the client adds, so that the map never
        // grows.
        let mut headers = HeaderMap::with_capacity(HEADERS);
        match &attempt.call.headers {
            None if self.shared.header_map.is_empty() => {}
            None => headers.extend(self.shared.header_map.clone()),
            Some(own) => headers.extend(self.shared.headers.with(own).to_map()),
        }
        if self.shared.kind.takes_profile_in_body() {
            headers.remove(USER_PROFILE);
        }
        headers.insert(VERSION, self.shared.version.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if request.body.is_some() {
            headers.insert(CONTENT_TYPE, content_type);
        }
        for (name, value) in [
            (TRACEPARENT, &attempt.traceparent),
            (TRACESTATE, &attempt.tracestate),
        ] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        let authenticated = attempt.key.authenticate(request, &mut headers);
        authenticated.await.map_err(UpstreamError::NoCredentials)?;
        Ok(headers)
    }
}

/// What is left of a response whose head is not valid. It was paid for, so it is
/// not asked for again.
fn unreadable_head() -> UpstreamError {
    UpstreamError::Malformed("the headers are not valid, or too large".into())
}

/// Whether the peer answered with what is not HTTP, or with too many headers.
fn is_unreadable(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return error.is_parse();
        }
        cause = error.source();
    }
    false
}
