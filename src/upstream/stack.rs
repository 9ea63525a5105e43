//! The stack, layer by layer.

use super::{
    BoxStack, Client, UpstreamConfig,
    breaker::CircuitBreaker,
    budget::ChargeBudget,
    coalesce::{Coalesce, Coalesced},
    concurrency_limit::{ConcurrencyLimit, LimitConcurrency},
    deadline::EnforceDeadline,
    http::{HttpApi, HttpConfigError},
    key_selection::SelectKey,
    keys::Keys,
    pacing::{Pace, RateLimiter},
    retry::RetryPolicy,
    trace::{TraceAttempt, waits_for},
};
use crate::{access::Access, layer::rule, store::Store, telemetry::Wait};
use tower::{Layer, ServiceBuilder, retry::RetryLayer};

/// The way up: a client, and what its layers can be asked about themselves.
#[derive(Clone)]
pub struct Upstream {
    /// Asks the API.
    pub client: Client,
    /// The API keys.
    pub keys: Keys,
    /// Whether the API fails.
    pub breaker: CircuitBreaker,
    /// What is left of the API's limits.
    pub rate_limiter: RateLimiter,
    /// The limit on calls in flight.
    pub concurrency_limit: ConcurrencyLimit,
    /// Calls that shared another's answer.
    pub coalesced: Coalesced,
}

impl Upstream {
    /// The whole stack over a pool of connections.
    ///
    /// # Errors
    /// When the configuration has an address or a version that cannot be used.
    pub fn new(config: &UpstreamConfig, keys: Keys) -> Result<Self, HttpConfigError> {
        Upstream::with(config, keys, None, None)
    }

    /// The same; with a store, replicas keep the API's limits together, and
    /// with `access`, calls are charged to their callers.
    ///
    /// # Errors
    /// When the configuration has an address or a version that cannot be used.
    pub fn with(
        config: &UpstreamConfig,
        keys: Keys,
        store: Option<Store>,
        access: Option<&Access>,
    ) -> Result<Self, HttpConfigError> {
        let http = HttpApi::new(config)?;
        let breaker = CircuitBreaker::new(&config.breaker);
        let rate_limiter = RateLimiter::new(store);
        let concurrency_limit = ConcurrencyLimit::new(config.max_in_flight);
        let coalesced = Coalesced::default();

        // Outermost first.
        let stack = ServiceBuilder::new()
            // Each caller is charged for its own calls, also for an answer that
            // several share.
            .option_layer(access.map(ChargeBudget::of))
            // Whatever happens below ends at the caller's deadline.
            .layer(rule(EnforceDeadline))
            // What several callers share is asked for and limited once.
            .layer(rule(Coalesce::new(&coalesced)))
            // Counts calls after their retries: an API that fails in part does
            // not open it.
            .layer(rule(breaker.clone()))
            // Each attempt chooses its key and waits for its turn anew, and
            // holds nothing during a backoff.
            .layer(RetryLayer::new(RetryPolicy::new(&config.retry)))
            // A key that the API refuses is replaced without counting as a
            // retry.
            .layer(rule(SelectKey::new(keys.clone(), rate_limiter.clone())))
            .map_request(waits_for(Wait::RateLimit))
            // Each key has limits of its own; waiting for them takes no permit.
            .layer(rule(Pace::new(rate_limiter.clone(), config.pacing)))
            .map_request(waits_for(Wait::Permit))
            // Only an attempt that runs holds a permit.
            .layer(rule(LimitConcurrency::new(
                concurrency_limit.clone(),
                config.acquire_timeout,
            )))
            // An attempt is what goes over the wire; its waits are before it.
            .layer(rule(TraceAttempt::new(config)))
            .service(http);
        Ok(Upstream {
            client: Client::new(BoxStack::new(stack), config.read_timeout),
            keys,
            breaker,
            rate_limiter,
            concurrency_limit,
            coalesced,
        })
    }
}

/// The budget layer alone over a stack, for tests of access control.
#[doc(hidden)]
pub fn charging(stack: BoxStack, access: &Access) -> BoxStack {
    BoxStack::new(ChargeBudget::of(access).layer(stack))
}
