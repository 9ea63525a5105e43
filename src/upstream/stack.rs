//! The upstream stacks: every layer of a call, in order.

use super::{
    BoxStack, Client, UpstreamConfig,
    breaker::CircuitBreaker,
    budget::ChargeBudget,
    coalesce::{Coalesce, Coalesced},
    concurrency_limit::{ConcurrencyLimit, LimitConcurrency},
    deadline::EnforceDeadline,
    hosts::{Failover, Host, HostConfig, HostFeature, HostKeys, HostLayers, Routes, id_on},
    http::{HttpApi, HttpConfigError, ProxyVariables},
    key_selection::SelectKey,
    keys::Keys,
    pacing::{AssumedLimits, Pace, RateLimiter},
    prefix_warmup::{PrefixTable, WarmPrefix},
    retry::RetryPolicy,
    trace::{TraceAttempt, waits_for},
};
use crate::{access::Access, layer::rule, store::Store, telemetry::Wait};
use std::sync::Arc;
use tower::{Layer, ServiceBuilder, retry::RetryLayer};

/// A client, the hosts that it calls, and the state of their layers.
#[derive(Clone)]
pub struct Upstream {
    /// The client of the API.
    pub client: Client,
    /// The hosts, in their order; at least one.
    pub hosts: Arc<[Host]>,
    /// Counts calls that shared another call's response.
    pub coalesced: Coalesced,
}

impl Upstream {
    /// The hosts that have a part of the API, with their keys.
    pub fn hosts_with(&self, feature: HostFeature) -> Vec<(Arc<str>, Keys)> {
        let hosts = self.hosts.iter();
        let hosts = hosts.filter(|host| host.kind().has(feature));
        hosts
            .map(|host| (Arc::clone(host.name()), host.keys.clone()))
            .collect()
    }

    /// The whole stack on top of a connection pool for each host.
    ///
    /// # Errors
    /// When a base URL or `api_version` is not valid.
    pub fn new(
        config: &UpstreamConfig,
        keys: impl Into<HostKeys>,
    ) -> Result<Self, HttpConfigError> {
        Upstream::with(config, keys, &ProxyVariables::default(), None, None)
    }

    /// As [`new`](Self::new), through the proxy of the environment. With a store,
    /// replicas share the API's limits; with `access`, calls count against the
    /// limits of their clients.
    ///
    /// # Errors
    /// When a base URL or `api_version` is not valid, the CAs cannot be loaded, or
    /// a variable does not name a proxy.
    pub fn with(
        config: &UpstreamConfig,
        keys: impl Into<HostKeys>,
        proxies: &ProxyVariables,
        store: Option<Store>,
        access: Option<&Access>,
    ) -> Result<Self, HttpConfigError> {
        let keys = keys.into();
        let hosts = config.all_hosts().into_iter();
        let prefixes = PrefixTable::default();
        let hosts = hosts.map(|host| {
            let (store, prefixes) = (store.clone(), prefixes.clone());
            of_host(host, config, &keys, proxies, store, prefixes)
        });
        let hosts: Arc<[Host]> = hosts.collect::<Result<_, _>>()?;
        let routes = Routes::new(&config.routes, &hosts);
        let coalesced = Coalesced::default();
        let finds_needs = !hosts.iter().all(Host::has_all_features);

        let usage_store = access.map(|access| access.usage_store().clone());
        let failover = Failover::new(Arc::clone(&hosts), routes, usage_store);
        let charge = access.map(|access| ChargeBudget::of(access, Some(failover.clone())));

        // Outermost first.
        let stack = ServiceBuilder::new()
            // Each client pays for its own calls, even if several share a
            // response.
            .option_layer(charge)
            // Everything below ends at the caller's deadline.
            .layer(rule(EnforceDeadline))
            // A shared call is made and limited once.
            .layer(rule(Coalesce::new(&coalesced)))
            // The stack of a host, and that of the next one when it fails.
            .service(failover);
        Ok(Upstream {
            client: Client::new(BoxStack::new(stack))
                .finding_needs(finds_needs)
                .warming_up(prefixes),
            hosts,
            coalesced,
        })
    }
}

/// The stack of one host.
fn of_host(
    host: HostConfig,
    config: &UpstreamConfig,
    keys: &HostKeys,
    proxies: &ProxyVariables,
    store: Option<Store>,
    prefixes: PrefixTable,
) -> Result<Host, HttpConfigError> {
    let http = HttpApi::new(&host, config, proxies)?;
    let keys = keys.of(&host);
    let breaker = CircuitBreaker::new(&config.breaker);
    let assumed = AssumedLimits::new(&host.rate_limits, |model| id_on(&host, model));
    let rate_limiter = RateLimiter::new(store, assumed);
    let concurrency_limit =
        ConcurrencyLimit::new(host.max_in_flight.unwrap_or(config.max_in_flight));
    let connections = http.pool().cloned();

    // Outermost first.
    let stack = ServiceBuilder::new()
        // Counts calls after their retries: partial failures of the API do
        // not open it.
        .layer(rule(breaker.clone()))
        // Each attempt selects its key and waits again, and holds nothing
        // during a backoff.
        .layer(RetryLayer::new(RetryPolicy::new(&config.retry)))
        // A key that the API rejects is replaced without counting as a
        // retry.
        .layer(rule(SelectKey::new(keys.clone(), rate_limiter.clone())))
        // Each account has a prompt cache of its own; who waits for the first
        // call of a prefix holds no reservation.
        .layer(rule(WarmPrefix::new(prefixes, config.prompt_cache_wait)))
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
        .layer(rule(TraceAttempt::new(&host, http.base_url())))
        .service(http);
    let layers = HostLayers {
        keys,
        breaker,
        rate_limiter,
        concurrency_limit,
        connections,
        stack: BoxStack::new(stack),
    };
    Ok(Host::new(host, config, layers))
}

/// The budget layer alone on top of a stack, for tests of access control.
#[doc(hidden)]
pub fn charging(stack: BoxStack, access: &Access) -> BoxStack {
    BoxStack::new(ChargeBudget::of(access, None).layer(stack))
}
