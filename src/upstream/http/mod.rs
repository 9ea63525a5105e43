//! One HTTP attempt over pooled connections: the innermost service.
//!
//! `http` addresses and peers that speak only HTTP/1.1 are called through
//! `reqwest`, whose pool is right for them. An `https` peer that speaks HTTP/2 is
//! called through [`pool`].
//!
//! It returns `Ok` only once there is something to return: a complete response,
//! or the first event of a stream. Until then nothing was sent to the caller,
//! and the attempt may be repeated.

mod body_ends;
mod events;
mod headers;
mod pool;
mod proxy;
mod reachability;
mod response;
mod tls;

pub use pool::{ConnectionPool, PoolCounts, PoolError, Reservation};
pub use proxy::ProxyVariables;

use super::{
    ApiFailure, Body, ConnectFailure, EventStream, ModelsQuery, Payload, Reply, Transport,
    UpstreamConfig, UpstreamError, attempt::Attempt, call::longest_answer, usage_meter::UsageMeter,
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
    dns,
    telemetry::context::{TRACEPARENT, TRACESTATE},
};
use body_ends::BodyEnds;
use bytes::Bytes;
use futures::{Stream, StreamExt, future::BoxFuture};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, Version,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT},
};
use pool::{Connector, Grant, PoolLimits, StreamError};
use proxy::{Proxy, ProxyVariableError};
use reachability::Reachability;
use reqwest::Url;
use response::{ApiResponse, BodyFormat};
use rustls::ClientConfig;
use std::{
    borrow::Cow,
    error::Error as _,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use thiserror::Error;
use tokio::time::timeout;
use tower::Service;

const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

const AGENT: &str = concat!("claude-grpc/", env!("CARGO_PKG_VERSION"));

/// Maximum number of headers of a response over HTTP/1.1; over HTTP/2, their
/// size is limited.
const MAX_HEADERS: usize = 1_000;

/// How often a request is sent again, at once, because the peer says that it did
/// not process it.
const MAX_RESENDS: u32 = 3;

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
    pool: Option<ConnectionPool>,
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
    acquire_timeout: Duration,
    proxy: Option<Proxy>,
    reachability: Reachability,
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
    /// A variable of the environment is not the address of a proxy.
    #[error(transparent)]
    Proxy(#[from] ProxyVariableError),
    /// The HTTP client could not be initialized.
    #[error("failed to build the HTTP client")]
    Client(#[source] reqwest::Error),
}

impl HttpApi {
    /// A client with a connection pool.
    ///
    /// # Errors
    /// When `base_url` or `api_version` is not valid, the CAs cannot be loaded, or
    /// a variable does not name a proxy.
    pub fn new(config: &UpstreamConfig, proxies: &ProxyVariables) -> Result<Self, HttpConfigError> {
        let base = config.base_url.trim_end_matches('/');
        let url = |path: &str| {
            Url::parse(&format!("{base}{path}"))
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
                .ok_or(HttpConfigError::BaseUrl)
        };
        let messages = url("/v1/messages")?;
        let proxy = proxies.proxy_for(&messages)?;
        // Its own reading of the environment ignores what it does not understand.
        let mut builder = reqwest::Client::builder().no_proxy();
        if let Some(proxy) = &proxy {
            let proxy = proxy.for_reqwest().map_err(HttpConfigError::Client)?;
            builder = builder.proxy(proxy);
        }
        let mut pool = None;
        if messages.scheme() == "https" {
            let mut tls = tls::client_config(config.ca_file.as_deref())?;
            pool = Some(pooled(&messages, &tls, proxy.clone(), config)?);
            // A peer of HTTP/2 is the pool's.
            tls.alpn_protocols = vec![tls::HTTP_1_1.to_vec()];
            builder = builder.tls_backend_preconfigured(tls);
        }
        let http = builder
            .user_agent(AGENT)
            .dns_resolver(dns::NameResolver::default())
            .http1_only()
            .http1_max_headers(MAX_HEADERS)
            .connect_timeout(config.connect_timeout)
            .pool_max_idle_per_host(config.max_idle_connections)
            .pool_idle_timeout(config.idle_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(pool::TCP_KEEPALIVE)
            .tcp_keepalive_interval(pool::TCP_KEEPALIVE)
            .tcp_keepalive_retries(pool::TCP_KEEPALIVE_PROBES)
            .tcp_user_timeout(config.write_timeout)
            // Following a redirect would send the key to another host.
            .redirect(reqwest::redirect::Policy::none())
            // Retries belong to the retry layer, which counts them.
            .retry(reqwest::retry::never())
            .build()
            .map_err(HttpConfigError::Client)?;
        Ok(HttpApi {
            http,
            pool,
            shared: Arc::new(Shared {
                messages,
                count_tokens: url("/v1/messages/count_tokens")?,
                models: url("/v1/models")?,
                version: HeaderValue::try_from(config.api_version.as_str())
                    .map_err(|_| HttpConfigError::ApiVersion)?,
                read_timeout: config.read_timeout,
                body_ends: BodyEnds::default(),
                acquire_timeout: config.acquire_timeout,
                proxy,
                reachability: Reachability::default(),
            }),
        })
    }

    /// The connections to an `https` address.
    pub fn pool(&self) -> Option<&ConnectionPool> {
        self.pool.as_ref()
    }

    async fn attempt(self, mut attempt: Attempt) -> Result<Reply, UpstreamError> {
        attempt.call.attempts.begin();
        let response = match attempt.reservation.take() {
            None => self.over_http1(&attempt).await?,
            // Boxed, so that the future of a call over HTTP/1.1 is no larger.
            Some(reservation) => Box::pin(self.over_http2(&attempt, reservation)).await?,
        };
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

    /// Sends the request over HTTP/1.1 and waits for the response headers.
    async fn over_http1(&self, attempt: &Attempt) -> Result<ApiResponse, UpstreamError> {
        let Parts { method, url, body } = self.parts(attempt);
        let silence = self.silence(attempt, body.as_ref());
        let mut request = reqwest::Request::new(method, url.into_owned());
        *request.headers_mut() = self.headers(attempt, body.is_some());
        *request.body_mut() = body.map(Into::into);
        match timeout(silence, self.http.execute(request)).await {
            Ok(Ok(response)) => Ok(ApiResponse::Http1(response)),
            Ok(Err(error)) => Err(self.http1_error(&error)),
            Err(_) => Err(UpstreamError::Stalled(silence)),
        }
    }

    /// Sends the request over HTTP/2 and waits for the response headers. What the
    /// peer says that it did not process is sent again.
    async fn over_http2(
        &self,
        attempt: &Attempt,
        mut reservation: Reservation,
    ) -> Result<ApiResponse, UpstreamError> {
        let mut resends = 0;
        loop {
            let granted = reservation.granted(self.shared.acquire_timeout).await;
            let stream = match granted.map_err(|error| self.pool_error(&error))? {
                Grant::Http1 => return self.over_http1(attempt).await,
                Grant::Stream(stream) => stream,
            };
            match self.exchange(attempt, stream).await? {
                Ok(response) => return Ok(ApiResponse::Http2(response)),
                Err(StreamError::Unprocessed) if resends < MAX_RESENDS => resends += 1,
                Err(StreamError::Unreadable) => return Err(unreadable_head()),
                Err(StreamError::Unprocessed | StreamError::Broken) => {
                    return Err(UpstreamError::Broken);
                }
            }
            let Some(pool) = &self.pool else {
                return Err(UpstreamError::Broken);
            };
            let reserved = pool.reserve(self.shared.acquire_timeout).await;
            reservation = reserved.map_err(|error| self.pool_error(&error))?;
        }
    }

    /// One request on one stream.
    async fn exchange(
        &self,
        attempt: &Attempt,
        stream: pool::StreamSlot,
    ) -> Result<Result<http::Response<pool::Http2Body>, StreamError>, UpstreamError> {
        let Parts { method, url, body } = self.parts(attempt);
        let silence = self.silence(attempt, body.as_ref());
        let mut request = http::Request::new(());
        *request.version_mut() = Version::HTTP_2;
        *request.method_mut() = method;
        *request.uri_mut() = Uri::try_from(url.as_str())
            .map_err(|_| UpstreamError::Malformed("the URL is not valid".into()))?;
        *request.headers_mut() = self.headers(attempt, body.is_some());
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

    fn parts(&self, attempt: &Attempt) -> Parts<'_> {
        let shared = &self.shared;
        let (method, url, body) = match &attempt.call.payload {
            Payload::Messages { body, .. } => (
                Method::POST,
                Cow::Borrowed(&shared.messages),
                Some(body.clone()),
            ),
            Payload::CountTokens { body } => (
                Method::POST,
                Cow::Borrowed(&shared.count_tokens),
                Some(body.clone()),
            ),
            Payload::Models(query) => (Method::GET, Cow::Owned(page(&shared.models, query)), None),
        };
        Parts { method, url, body }
    }

    fn headers(&self, attempt: &Attempt, has_body: bool) -> HeaderMap {
        // Includes the headers that the client adds, so that the map never
        // grows.
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(VERSION, self.shared.version.clone());
        headers.insert(AUTHORIZATION, attempt.key.authorization());
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if has_body {
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
        headers
    }

    async fn body(&self, attempt: &Attempt, response: ApiResponse) -> Result<Body, UpstreamError> {
        let events = |response| self.events(response, &attempt.meter);
        Ok(match &attempt.call.payload {
            // Some proxies stream every answer, or none, whatever was asked for.
            Payload::Messages { transport, .. } => match (transport, response.format()) {
                (Transport::Events, _) => Body::Events(events(response).begun().await?),
                (Transport::Whole, BodyFormat::Events)
                | (Transport::Gathered, BodyFormat::Events | BodyFormat::Other) => {
                    Body::Message(gathered(events(response)).await?)
                }
                (Transport::Whole, BodyFormat::Json | BodyFormat::Other)
                | (Transport::Gathered, BodyFormat::Json) => {
                    Body::Message(self.whole(response, &attempt.meter).await?)
                }
            },
            Payload::CountTokens { .. } => {
                Body::TokenCount(self.json(response, TokenCount::read).await?)
            }
            Payload::Models(_) => Body::Models(self.json(response, ModelPage::read).await?),
        })
    }

    fn events(&self, response: ApiResponse, meter: &UsageMeter) -> EventStream {
        let shared = &self.shared;
        let (body, body_ends) = (response.into_stream(), shared.body_ends.clone());
        events::events(body, shared.read_timeout, meter.clone(), body_ends)
    }

    /// A complete response, which was paid for even if it cannot be read.
    async fn whole(
        &self,
        response: ApiResponse,
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
        response: ApiResponse,
        read: fn(&[u8]) -> Result<T, Unreadable>,
    ) -> Result<T, UpstreamError> {
        let body = self.read(response, MAX_ANSWER).await?;
        read(&body).map_err(UpstreamError::Malformed)
    }

    /// Converts an error response into an error.
    async fn failure(&self, response: ApiResponse) -> UpstreamError {
        let status = response.status().as_u16();
        // The status of a proxy: no call has reached the API.
        if status == 407 && self.shared.proxy.is_some() {
            return UpstreamError::Connect(ConnectFailure::ProxyRejected(status));
        }
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
    async fn read(&self, mut response: ApiResponse, most: usize) -> Result<Vec<u8>, UpstreamError> {
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

/// The request line and body of an attempt.
struct Parts<'a> {
    method: Method,
    url: Cow<'a, Url>,
    body: Option<Bytes>,
}

/// The pool of connections to an `https` address.
fn pooled(
    url: &Url,
    tls: &ClientConfig,
    proxy: Option<Proxy>,
    config: &UpstreamConfig,
) -> Result<ConnectionPool, HttpConfigError> {
    let address = Uri::try_from(url.as_str()).map_err(|_| HttpConfigError::BaseUrl)?;
    let connector =
        Connector::new(address, tls, proxy, config).map_err(|_| HttpConfigError::BaseUrl)?;
    let limits = PoolLimits {
        connections: config.max_connections,
        idle: config.max_idle_connections,
        idle_timeout: config.idle_timeout,
    };
    Ok(ConnectionPool::new(
        Arc::new(connector),
        limits,
        config.connect_timeout,
    ))
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
        let api = self.clone();
        Box::pin(async move {
            let shared = Arc::clone(&api.shared);
            let outcome = api.attempt(attempt).await;
            match &outcome {
                Ok(_) | Err(UpstreamError::Api(_)) => shared.reachability.answered(),
                Err(UpstreamError::Connect(failure)) => shared.reachability.failed(*failure),
                Err(_) => {}
            }
            outcome
        })
    }
}
