//! One HTTP attempt over pooled connections: the innermost service.
//!
//! It answers `Ok` only when there is something to show: a whole answer, or
//! the first event of a stream. Until then nothing has gone to the caller, and
//! the attempt may be repeated.

mod events;
mod headers;

use super::{
    ApiFailure, Body, EventStream, ModelsQuery, Payload, Reply, Transport, UpstreamConfig,
    UpstreamError, attempt::Attempt,
};
use crate::{
    claude::{answer::Message, error::ErrorBody, gather::Gather},
    telemetry::context::{TRACEPARENT, TRACESTATE},
};
use futures::{Stream, StreamExt, future::BoxFuture};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use reqwest::{Request, Response, Url};
use serde::de::DeserializeOwned;
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use thiserror::Error;
use tokio::time::timeout;
use tower::Service;

const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The figures of the official SDKs.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
const TCP_KEEPALIVE_PROBES: u32 = 5;

/// An HTTP/2 connection that does not answer a ping for so long is dead.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// What the API may send ahead of a slow reader on an HTTP/2 stream. With the
/// default of 2 MiB, one reader that stops lets more small DATA frames pile up
/// than h2 (0.4.16 and later) takes, and it closes the connection under
/// everybody else.
const HTTP2_STREAM_WINDOW: u32 = 64 * 1024;

/// h2 takes small frames up to half of this, for all streams together: enough
/// for two hundred readers that stop.
const HTTP2_CONNECTION_WINDOW: u32 = 32 * 1024 * 1024;

/// A link slower than this is too slow for documents: while a body may still
/// be on its way, silence is not the API's.
const SLOWEST_UPLOAD: u64 = 256 * 1024;

/// Headers of a request, with those that the HTTP client adds.
const HEADERS: usize = 12;

/// Most bytes of an error body that are read.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// Most bytes of a whole answer; the largest answers of the API are far below.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Makes attempts. Cloning is cheap; all clones share the connections.
#[derive(Debug, Clone)]
pub struct HttpApi {
    http: reqwest::Client,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    messages: Url,
    count_tokens: Url,
    models: Url,
    version: HeaderValue,
    read_timeout: Duration,
}

/// The client cannot be built.
#[derive(Debug, Error)]
pub enum HttpConfigError {
    /// `base_url` is no `http` or `https` address.
    #[error("upstream.base_url must be an http or https URL")]
    BaseUrl,
    /// `api_version` cannot be sent.
    #[error("upstream.api_version must contain only characters that are valid in an HTTP header")]
    ApiVersion,
    /// TLS could not be set up.
    #[error("failed to build the HTTP client")]
    Client(#[source] reqwest::Error),
}

impl HttpApi {
    /// A client with a pool of connections.
    ///
    /// # Errors
    /// When the configuration has an address or a version that cannot be used.
    pub fn new(config: &UpstreamConfig) -> Result<Self, HttpConfigError> {
        let base = config.base_url.trim_end_matches('/');
        let url = |path: &str| {
            Url::parse(&format!("{base}{path}"))
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
                .ok_or(HttpConfigError::BaseUrl)
        };
        let http = reqwest::Client::builder()
            .user_agent(concat!("claude-grpc/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.connect_timeout)
            .pool_max_idle_per_host(config.max_idle_connections)
            .pool_idle_timeout(config.idle_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(TCP_KEEPALIVE)
            .tcp_keepalive_interval(TCP_KEEPALIVE)
            .tcp_keepalive_retries(TCP_KEEPALIVE_PROBES)
            .tcp_user_timeout(config.write_timeout)
            .http2_keep_alive_interval(HTTP2_PING_INTERVAL)
            .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
            // Following a redirect would take the key to another host.
            .redirect(reqwest::redirect::Policy::none())
            // Repeating is the retry layer's, which counts it.
            .retry(reqwest::retry::never())
            .build()
            .map_err(HttpConfigError::Client)?;
        Ok(HttpApi {
            http,
            shared: Arc::new(Shared {
                messages: url("/v1/messages")?,
                count_tokens: url("/v1/messages/count_tokens")?,
                models: url("/v1/models")?,
                version: HeaderValue::try_from(config.api_version.as_str())
                    .map_err(|_| HttpConfigError::ApiVersion)?,
                read_timeout: config.read_timeout,
            }),
        })
    }

    async fn attempt(self, attempt: Attempt) -> Result<Reply, UpstreamError> {
        attempt.call.attempts.begin();
        let response = self.head(&attempt).await?;
        attempt
            .limits_seen
            .tell(|| headers::rate_limits(response.status(), response.headers()));
        if !response.status().is_success() {
            return Err(self.failure(response).await);
        }
        let request_id = headers::request_id(response.headers());
        let body = match self.body(&attempt.call.payload, response).await {
            Ok(body) => body,
            Err(error) => return Err(with_request_id(error, request_id)),
        };
        Ok(Reply { request_id, body })
    }

    /// Sends the request and awaits the head of its answer.
    async fn head(&self, attempt: &Attempt) -> Result<Response, UpstreamError> {
        let request = self.request(attempt);
        let sent = request.body().and_then(|body| body.as_bytes());
        let sent = sent.map_or(0, |bytes| bytes.len() as u64);
        let silence = self.shared.read_timeout + Duration::from_secs(sent / SLOWEST_UPLOAD);
        match timeout(silence, self.http.execute(request)).await {
            Ok(outcome) => outcome.map_err(|error| transport_error(&error)),
            Err(_) => Err(UpstreamError::Stalled(silence)),
        }
    }

    fn request(&self, attempt: &Attempt) -> Request {
        let shared = &self.shared;
        let (method, url, body) = match &attempt.call.payload {
            Payload::Messages { body, .. } => {
                (Method::POST, shared.messages.clone(), Some(body.clone()))
            }
            Payload::CountTokens { body } => (
                Method::POST,
                shared.count_tokens.clone(),
                Some(body.clone()),
            ),
            Payload::Models(query) => (Method::GET, page(&shared.models, query), None),
        };
        let mut request = Request::new(method, url);
        // Room for those that the client adds too, so that it never grows.
        *request.headers_mut() = HeaderMap::with_capacity(HEADERS);
        let headers = request.headers_mut();
        headers.insert(VERSION, shared.version.clone());
        headers.insert(AUTHORIZATION, attempt.key.authorization());
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if body.is_some() {
            let json = HeaderValue::from_static("application/json");
            headers.insert(CONTENT_TYPE, json);
        }
        for (name, value) in [
            (TRACEPARENT, &attempt.traceparent),
            (TRACESTATE, &attempt.tracestate),
        ] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        *request.body_mut() = body.map(Into::into);
        request
    }

    async fn body(&self, payload: &Payload, response: Response) -> Result<Body, UpstreamError> {
        Ok(match payload {
            Payload::Messages { transport, .. } => match transport {
                Transport::Whole => Body::Message(self.json(response).await?),
                Transport::Gathered => Body::Message(gathered(self.events(response)).await?),
                Transport::Events => Body::Events(self.events(response).begun().await?),
            },
            Payload::CountTokens { .. } => Body::TokenCount(self.json(response).await?),
            Payload::Models(_) => Body::Models(self.json(response).await?),
        })
    }

    fn events(&self, response: Response) -> EventStream {
        events::events(response.bytes_stream(), self.shared.read_timeout)
    }

    async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, UpstreamError> {
        let body = self.read(response, MAX_ANSWER).await?;
        serde_json::from_slice(&body)
            .map_err(|_| UpstreamError::Malformed("the body does not match the documented format"))
    }

    /// The error that an answer is.
    async fn failure(&self, response: Response) -> UpstreamError {
        let status = response.status().as_u16();
        let headers = response.headers();
        let mut failure = ApiFailure {
            status,
            retry_after: headers::retry_after(headers, SystemTime::now()),
            should_retry: headers::should_retry(headers),
            request_id: headers::request_id(headers),
            ..ApiFailure::default()
        };
        // The status says enough when the body does not come.
        if let Ok(body) = self.read(response, MAX_ERROR_BODY).await {
            let body = ErrorBody::read(&body);
            failure.kind = body.kind;
            failure.message = body.message;
            failure.code = body.code;
            failure.request_id = failure.request_id.or(body.request_id);
        }
        UpstreamError::Api(Box::new(failure))
    }

    /// Reads a body to its end.
    async fn read(&self, mut response: Response, most: usize) -> Result<Vec<u8>, UpstreamError> {
        let read_timeout = self.shared.read_timeout;
        let announced = response.content_length().unwrap_or(0);
        let mut read = Vec::with_capacity(usize::try_from(announced).map_or(0, |it| it.min(most)));
        loop {
            match timeout(read_timeout, response.chunk()).await {
                Ok(Ok(Some(bytes))) if read.len() + bytes.len() <= most => {
                    read.extend_from_slice(&bytes);
                }
                Ok(Ok(Some(_))) => return Err(UpstreamError::Malformed("the body is too large")),
                Ok(Err(_)) => return Err(UpstreamError::Broken),
                Ok(Ok(None)) => return Ok(read),
                Err(_) => return Err(UpstreamError::Stalled(read_timeout)),
            }
        }
    }
}

/// The whole answer that events make.
async fn gathered(
    mut events: impl Stream<Item = Result<crate::claude::event::StreamEvent, UpstreamError>> + Unpin,
) -> Result<Box<Message>, UpstreamError> {
    let mut gather = Gather::default();
    let mut answer = None;
    while let Some(event) = events.next().await {
        let whole = gather
            .push(event?)
            .map_err(|_| UpstreamError::Malformed("the events do not form a complete message"))?;
        answer = answer.or(whole);
    }
    answer.map(Box::new).ok_or(UpstreamError::Broken)
}

fn page(models: &Url, query: &ModelsQuery) -> Url {
    let mut url = models.clone();
    if let Some(limit) = query.limit {
        url.query_pairs_mut()
            .append_pair("limit", &limit.to_string());
    }
    if let Some(after_id) = &query.after_id {
        url.query_pairs_mut().append_pair("after_id", after_id);
    }
    url
}

/// An `error` event need not repeat the id that the head has told.
fn with_request_id(mut error: UpstreamError, request_id: Option<String>) -> UpstreamError {
    if let UpstreamError::Api(failure) = &mut error
        && failure.request_id.is_none()
    {
        failure.request_id = request_id;
    }
    error
}

/// What kind of failure it was. The error itself names the address and goes
/// nowhere.
fn transport_error(error: &reqwest::Error) -> UpstreamError {
    if error.is_connect() {
        UpstreamError::Connect
    } else {
        UpstreamError::Broken
    }
}

impl Service<Attempt> for HttpApi {
    type Response = Reply;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Result<Reply, UpstreamError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        // The limit on calls in flight is a layer of its own.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt) -> Self::Future {
        Box::pin(self.clone().attempt(attempt))
    }
}
