//! One HTTP attempt over pooled connections: the innermost service.
//!
//! `http` addresses and peers that speak only HTTP/1.1 are called through
//! `reqwest`, whose pool is right for them. An `https` peer that speaks HTTP/2 is
//! called through [`pool`].
//!
//! It returns `Ok` only once there is something to return: a complete response,
//! or the first event of a stream. Until then nothing was sent to the caller,
//! and the attempt may be repeated.

mod addresses;
mod body_ends;
mod config_error;
mod content_encoding;
mod event_frames;
mod events;
mod headers;
mod http1_client;
mod pool;
mod proxy;
mod reachability;
mod read;
mod response;
mod send;
mod tls;

pub use config_error::HttpConfigError;
pub use http1_client::token_client;
pub use pool::{ConnectionPool, PoolCounts, Reservation};
pub use proxy::ProxyVariables;

use super::{
    ApiHeaders, HostConfig, HostKind, Reply, UpstreamConfig, UpstreamError, attempt::Attempt,
};
use addresses::Addresses;
use body_ends::BodyEnds;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Uri};
use http1_client::http1_client;
use pool::{Connector, PoolLimits};
use proxy::Proxy;
use reachability::Reachability;
use reqwest::Url;
use rustls::ClientConfig;
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::Service;

/// Sends attempts. Cloning is cheap; all clones share the connections.
#[derive(Debug, Clone)]
pub struct HttpApi {
    http: reqwest::Client,
    pool: Option<ConnectionPool>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The name of the host.
    host: Arc<str>,
    kind: HostKind,
    addresses: Addresses,
    version: HeaderValue,
    /// Sent with each request, except for what a call has of its own.
    headers: ApiHeaders,
    /// The same, as they are sent.
    header_map: HeaderMap,
    read_timeout: Duration,
    body_ends: BodyEnds,
    acquire_timeout: Duration,
    proxy: Option<Proxy>,
    reachability: Reachability,
}

impl HttpApi {
    /// A client of a host, with a connection pool.
    ///
    /// # Errors
    /// When the base URL or `api_version` is not valid, the CAs cannot be loaded, or
    /// a variable does not name a proxy.
    pub fn new(
        host: &HostConfig,
        config: &UpstreamConfig,
        proxies: &ProxyVariables,
    ) -> Result<Self, HttpConfigError> {
        let addresses = Addresses::of(host).ok_or(HttpConfigError::BaseUrl)?;
        let proxy = proxies.proxy_for(addresses.base())?;
        let mut tls = None;
        let mut pool = None;
        if addresses.base().scheme() == "https" {
            let offered = tls::client_config(host.ca_file.as_deref())?;
            pool = Some(pooled(addresses.base(), &offered, proxy.clone(), config)?);
            tls = Some(offered);
        }
        // A peer of HTTP/2 is the pool's.
        let http = http1_client(config, proxy.as_ref(), tls)?;
        let headers = config.headers_of(host);
        Ok(HttpApi {
            http,
            pool,
            shared: Arc::new(Shared {
                host: Arc::from(host.name.as_str()),
                kind: host.kind,
                addresses,
                version: HeaderValue::try_from(config.api_version.as_str())
                    .map_err(|_| HttpConfigError::ApiVersion)?,
                header_map: headers.to_map(),
                headers,
                read_timeout: config.read_timeout,
                body_ends: BodyEnds::default(),
                acquire_timeout: config.acquire_timeout,
                proxy,
                reachability: Reachability::default(),
            }),
        })
    }

    /// The base URL of the host.
    pub fn base_url(&self) -> &Url {
        self.shared.addresses.base()
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
        Ok(Reply {
            request_id,
            host: Arc::clone(&self.shared.host),
            key: None,
            body,
        })
    }
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
