//! One HTTP attempt over pooled connections: the innermost service.
//!
//! It returns `Ok` only once there is something to return: a complete response,
//! or the first event of a stream. Until then nothing was sent to the caller,
//! and the attempt may be repeated.

mod body_ends;
mod events;
mod headers;
mod tls;

use super::{
    ApiFailure, Body, EventStream, ModelsQuery, Payload, Reply, Transport, UpstreamConfig,
    UpstreamError, attempt::Attempt, call::longest_answer, usage_meter::UsageMeter,
};
use crate::{
    certificates::TrustError,
    claude::{
        answer::{Message, Usage},
        error::ErrorBody,
        event::StreamEvent,
        gather::Gather,
        models::{ModelPage, TokenCount},
        unreadable::Unreadable,
    },
    telemetry::context::{TRACEPARENT, TRACESTATE},
};
use body_ends::BodyEnds;
use futures::{Stream, StreamExt, future::BoxFuture};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use reqwest::{Request, Response, Url};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use thiserror::Error;
use tokio::time::timeout;
use tower::Service;

const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The values of the official SDKs.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
const TCP_KEEPALIVE_PROBES: u32 = 5;

/// An HTTP/2 connection that does not answer a ping within this time is dead.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How much the API may send ahead of a slow reader on an HTTP/2 stream. With
/// the default of 2 MiB, one reader that stops lets more small DATA frames pile
/// up than h2 (0.4.16 and later) accepts, and it closes the connection for all
/// streams.
const HTTP2_STREAM_WINDOW: u32 = 64 * 1024;

/// h2 accepts small frames up to half of this, for all streams together: enough
/// for two hundred readers that stop.
const HTTP2_CONNECTION_WINDOW: u32 = 32 * 1024 * 1024;

/// Minimum upload rate in bytes per second: the read timeout is extended by the
/// time that the body takes at this rate.
const SLOWEST_UPLOAD: u64 = 256 * 1024;

/// Number of headers of a request, including those that the HTTP client adds.
const HEADERS: usize = 12;

/// Maximum size of an error body that is read, in bytes.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// Maximum size of a complete response, in bytes; the largest responses of the
/// API are far smaller.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Sends attempts. Cloning is cheap; all clones share the connections.
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
    body_ends: BodyEnds,
}

/// The HTTP client cannot be built.
#[derive(Debug, Error)]
pub enum HttpConfigError {
    /// `base_url` is not an `http` or `https` URL.
    #[error("upstream.base_url must be an http or https URL")]
    BaseUrl,
    /// `api_version` is not valid in a header.
    #[error("upstream.api_version must contain only characters that are valid in an HTTP header")]
    ApiVersion,
    /// The CAs of the system or of `ca_file` cannot be loaded.
    #[error("failed to load the CAs of the Claude API")]
    Trust(#[from] TrustError),
    /// The HTTP client could not be initialized.
    #[error("failed to build the HTTP client")]
    Client(#[source] reqwest::Error),
}

impl HttpApi {
    /// A client with a connection pool.
    ///
    /// # Errors
    /// When `base_url` or `api_version` is not valid.
    pub fn new(config: &UpstreamConfig) -> Result<Self, HttpConfigError> {
        let base = config.base_url.trim_end_matches('/');
        let url = |path: &str| {
            Url::parse(&format!("{base}{path}"))
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
                .ok_or(HttpConfigError::BaseUrl)
        };
        let mut builder = reqwest::Client::builder();
        if url("/")?.scheme() == "https" {
            let tls = tls::client_config(config.ca_file.as_deref())?;
            builder = builder.tls_backend_preconfigured(tls);
        }
        let http = builder
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
            // Following a redirect would send the key to another host.
            .redirect(reqwest::redirect::Policy::none())
            // Retries belong to the retry layer, which counts them.
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
                body_ends: BodyEnds::default(),
            }),
        })
    }

    async fn attempt(self, attempt: Attempt) -> Result<Reply, UpstreamError> {
        attempt.call.attempts.begin();
        let response = self.head(&attempt).await?;
        attempt
            .rate_limit_observer
            .observe(|| headers::rate_limits(response.status(), response.headers()));
        if !response.status().is_success() {
            return Err(self.failure(response).await);
        }
        let request_id = headers::request_id(response.headers());
        let body = match self.body(&attempt, response).await {
            Ok(body) => body,
            Err(error) => return Err(with_request_id(error, request_id)),
        };
        Ok(Reply { request_id, body })
    }

    /// Sends the request and waits for the response headers. Those of a whole
    /// response come when it is complete. Until then pings (HTTP/2) and
    /// keepalives (TCP) show that the connection is alive.
    async fn head(&self, attempt: &Attempt) -> Result<Response, UpstreamError> {
        let request = self.request(attempt);
        let sent = request.body().and_then(|body| body.as_bytes());
        let sent = sent.map_or(0, |bytes| bytes.len() as u64);
        let upload = Duration::from_secs(sent / SLOWEST_UPLOAD);
        let answer = match &attempt.call.payload {
            Payload::Messages {
                transport: Transport::Whole,
                ..
            } => longest_answer(attempt.call.max_tokens),
            _ => Duration::ZERO,
        };
        let silence = self.shared.read_timeout + upload + answer;
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
        // Includes the headers that the client adds, so that the map never
        // grows.
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

    async fn body(&self, attempt: &Attempt, response: Response) -> Result<Body, UpstreamError> {
        let events = |response| self.events(response, &attempt.meter);
        Ok(match &attempt.call.payload {
            Payload::Messages { transport, .. } => match transport {
                Transport::Whole => Body::Message(self.whole(response, &attempt.meter).await?),
                Transport::Gathered => Body::Message(gathered(events(response)).await?),
                Transport::Events => Body::Events(events(response).begun().await?),
            },
            Payload::CountTokens { .. } => {
                Body::TokenCount(self.json(response, TokenCount::read).await?)
            }
            Payload::Models(_) => Body::Models(self.json(response, ModelPage::read).await?),
        })
    }

    fn events(&self, response: Response, meter: &UsageMeter) -> EventStream {
        let shared = &self.shared;
        let (body, body_ends) = (response.bytes_stream(), shared.body_ends.clone());
        events::events(body, shared.read_timeout, meter.clone(), body_ends)
    }

    /// A complete response, which was paid for even if it cannot be read.
    async fn whole(
        &self,
        response: Response,
        meter: &UsageMeter,
    ) -> Result<Box<Message>, UpstreamError> {
        meter.content_came();
        let body = self.read(response, MAX_ANSWER).await?;
        match Message::read(&body) {
            Ok(message) => {
                if message.usage != Usage::default() {
                    meter.set(&message.usage);
                }
                Ok(Box::new(message))
            }
            Err(unreadable) => {
                if let Some(usage) = Usage::of_body(&body) {
                    meter.set(&usage);
                }
                Err(UpstreamError::Malformed(unreadable))
            }
        }
    }

    async fn json<T>(
        &self,
        response: Response,
        read: fn(&[u8]) -> Result<T, Unreadable>,
    ) -> Result<T, UpstreamError> {
        let body = self.read(response, MAX_ANSWER).await?;
        read(&body).map_err(UpstreamError::Malformed)
    }

    /// Converts an error response into an error.
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
        // The status is enough if the body does not arrive.
        if let Ok(body) = self.read(response, MAX_ERROR_BODY).await {
            let body = ErrorBody::read(&body);
            failure.kind = body.kind;
            failure.message = body.message;
            failure.code = body.code;
            failure.request_id = failure.request_id.or(body.request_id);
        }
        UpstreamError::Api(Box::new(failure))
    }

    /// Reads a body to its end, up to a maximum size.
    async fn read(&self, mut response: Response, most: usize) -> Result<Vec<u8>, UpstreamError> {
        let read_timeout = self.shared.read_timeout;
        let announced = response.content_length().unwrap_or(0);
        let mut read = Vec::with_capacity(usize::try_from(announced).map_or(0, |it| it.min(most)));
        loop {
            match timeout(read_timeout, response.chunk()).await {
                Ok(Ok(Some(bytes))) if read.len() + bytes.len() <= most => {
                    read.extend_from_slice(&bytes);
                }
                Ok(Ok(Some(_))) => {
                    return Err(UpstreamError::Malformed("the body is too large".into()));
                }
                Ok(Err(_)) => return Err(UpstreamError::Broken),
                Ok(Ok(None)) => return Ok(read),
                Err(_) => return Err(UpstreamError::Stalled(read_timeout)),
            }
        }
    }
}

/// Assembles events into a complete response.
async fn gathered(
    mut events: impl Stream<Item = Result<StreamEvent, UpstreamError>> + Unpin,
) -> Result<Box<Message>, UpstreamError> {
    let mut gather = Gather::default();
    let mut answer = None;
    while let Some(event) = events.next().await {
        let whole = gather.push(event?);
        answer = answer.or(whole);
    }
    answer.ok_or(UpstreamError::Broken)
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

/// An `error` event may lack the request id, which the headers had.
fn with_request_id(mut error: UpstreamError, request_id: Option<String>) -> UpstreamError {
    if let UpstreamError::Api(failure) = &mut error
        && failure.request_id.is_none()
    {
        failure.request_id = request_id;
    }
    error
}

/// The kind of failure. The error itself contains the URL and is discarded.
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
        // The concurrency limit is a layer of its own.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt) -> Self::Future {
        Box::pin(self.clone().attempt(attempt))
    }
}
