//! The upstream stack: every layer of a call, in order.

use super::{
    BoxStack, Client, UpstreamConfig,
    breaker::CircuitBreaker,
    budget::ChargeBudget,
    coalesce::{Coalesce, Coalesced},
    concurrency_limit::{ConcurrencyLimit, LimitConcurrency},
    deadline::EnforceDeadline,
    http::{ConnectionPool, HttpApi, HttpConfigError, PoolCounts, ProxyVariables},
    key_selection::SelectKey,
    keys::Keys,
    pacing::{Pace, RateLimiter},
    retry::RetryPolicy,
    trace::{TraceAttempt, waits_for},
};
use crate::{access::Access, layer::rule, store::Store, telemetry::Wait};
use tower::{Layer, ServiceBuilder, retry::RetryLayer};

/// A client and the state of its layers.
#[derive(Clone)]
pub struct Upstream {
    /// The client of the API.
    pub client: Client,
    /// The API keys.
    pub keys: Keys,
    /// The circuit breaker, for its state.
    pub breaker: CircuitBreaker,
    /// The rate limiter, for what is left of the API's limits.
    pub rate_limiter: RateLimiter,
    /// The limit on calls in flight.
    pub concurrency_limit: ConcurrencyLimit,
    /// The HTTP/2 connections; `None` for an `http` address.
    connections: Option<ConnectionPool>,
    /// Counts calls that shared another call's response.
    pub coalesced: Coalesced,
}

impl Upstream {
    /// The whole stack on top of a connection pool.
    ///
    /// # Errors
    /// When `base_url` or `api_version` is not valid.
    pub fn new(config: &UpstreamConfig, keys: Keys) -> Result<Self, HttpConfigError> {
        Upstream::with(config, keys, &ProxyVariables::default(), None, None)
    }

    /// As [`new`](Self::new), through the proxy of the environment. With a store,
    /// replicas share the API's limits; with `access`, calls count against the
    /// limits of their clients.
    ///
    /// # Errors
    /// When `base_url` or `api_version` is not valid, the CAs cannot be loaded, or
    /// a variable does not name a proxy.
    pub fn with(
        config: &UpstreamConfig,
        keys: Keys,
        proxies: &ProxyVariables,
        store: Option<Store>,
        access: Option<&Access>,
    ) -> Result<Self, HttpConfigError> {
        let http = HttpApi::new(config, proxies)?;
        let breaker = CircuitBreaker::new(&config.breaker);
        let rate_limiter = RateLimiter::new(store);
        let concurrency_limit = ConcurrencyLimit::new(config.max_in_flight);
        let coalesced = Coalesced::default();
        let connections = http.pool().cloned();

        // Outermost first.
        let stack = ServiceBuilder::new()
            // Each client pays for its own calls, even if several share a
            // response.
            .option_layer(access.map(ChargeBudget::of))
            // Everything below ends at the caller's deadline.
            .layer(rule(EnforceDeadline))
            // A shared call is made and limited once.
            .layer(rule(Coalesce::new(&coalesced)))
            // Counts calls after their retries: partial failures of the API do
            // not open it.
            .layer(rule(breaker.clone()))
            // Each attempt selects its key and waits again, and holds nothing
            // during a backoff.
            .layer(RetryLayer::new(RetryPolicy::new(&config.retry)))
            // A key that the API rejects is replaced without counting as a
            // retry.
            .layer(rule(SelectKey::new(keys.clone(), rate_limiter.clone())))
            .map_request(waits_for(Wait::RateLimit))
            // Each key has limits of its own; waiting for them holds no permit.
            .layer(rule(Pace::new(rate_limiter.clone(), config.pacing)))
            .map_request(waits_for(Wait::Permit))
            // Only a running attempt holds a permit, and a stream over HTTP/2.
            .layer(rule(LimitConcurrency::new(
                concurrency_limit.clone(),
                connections.clone(),
                config.acquire_timeout,
            )))
            // An attempt is only the HTTP exchange; waiting comes before it.
            .layer(rule(TraceAttempt::new(config)))
            .service(http);
        Ok(Upstream {
            client: Client::new(BoxStack::new(stack)),
            keys,
            breaker,
            rate_limiter,
            concurrency_limit,
            connections,
            coalesced,
        })
    }

    /// The HTTP/2 connections and streams; all 0 for a peer that does not speak
    /// HTTP/2.
    pub fn http2(&self) -> PoolCounts {
        let counts = self.connections.as_ref().map(ConnectionPool::counts);
        counts.unwrap_or_default()
    }
}

/// The budget layer alone on top of a stack, for tests of access control.
#[doc(hidden)]
pub fn charging(stack: BoxStack, access: &Access) -> BoxStack {
    BoxStack::new(ChargeBudget::of(access).layer(stack))
}
