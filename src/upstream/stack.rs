//! The stack, layer by layer.

use super::{
    Client, UpstreamConfig,
    breaker::{Breaker, BreakerLayer},
    coalesce::{CoalesceLayer, Coalesced},
    deadline::DeadlineLayer,
    http::{HttpApi, HttpConfigError},
    keys::{Keys, KeysLayer},
    pacing::{Ledger, PacingLayer},
    places::{Places, PlacesLayer},
    retry::RetryPolicy,
    trace::{TraceLayer, WaitLayer},
};
use crate::{store::Store, telemetry::Wait};
use tower::{ServiceBuilder, retry::RetryLayer};

/// The way up: a client, and what its layers can be asked about themselves.
#[derive(Clone)]
pub struct Upstream {
    /// Asks the API.
    pub client: Client,
    /// The API keys.
    pub keys: Keys,
    /// Whether the API fails.
    pub breaker: Breaker,
    /// What is left of the API's limits.
    pub ledger: Ledger,
    /// The places for calls in flight.
    pub places: Places,
    /// Calls that shared another's answer.
    pub coalesced: Coalesced,
}

impl Upstream {
    /// The whole stack over a pool of connections.
    ///
    /// # Errors
    /// When the configuration has an address or a version that cannot be used.
    pub fn new(config: &UpstreamConfig, keys: Keys) -> Result<Self, HttpConfigError> {
        Upstream::with_store(config, keys, None)
    }

    /// The same; with a store, its replicas keep the API's limits together.
    ///
    /// # Errors
    /// When the configuration has an address or a version that cannot be used.
    pub fn with_store(
        config: &UpstreamConfig,
        keys: Keys,
        store: Option<Store>,
    ) -> Result<Self, HttpConfigError> {
        let http = HttpApi::new(config)?;
        let breaker = Breaker::new(&config.breaker);
        let ledger = Ledger::new(store);
        let places = Places::new(config.max_in_flight);
        let coalesced = Coalesced::default();

        // Outermost first.
        let stack = ServiceBuilder::new()
            // Whatever happens below ends at the caller's deadline.
            .layer(DeadlineLayer)
            // What several callers share is asked for and limited once.
            .layer(CoalesceLayer::new(coalesced.clone()))
            // Counts calls after their retries: an API that fails in part does
            // not open it.
            .layer(BreakerLayer::new(breaker.clone()))
            // Each attempt chooses its key and waits for its turn anew, and
            // holds nothing during a backoff.
            .layer(RetryLayer::new(RetryPolicy::new(&config.retry)))
            // A key that the API refuses is replaced without counting as a
            // retry.
            .layer(KeysLayer::new(keys.clone(), ledger.clone()))
            .layer(WaitLayer(Wait::RateLimit))
            // Each key has limits of its own; waiting for them takes no place.
            .layer(PacingLayer::new(ledger.clone(), config.pacing))
            .layer(WaitLayer(Wait::Permit))
            // Only an attempt that runs holds a place.
            .layer(PlacesLayer::new(places.clone(), config.place_timeout))
            // An attempt is what goes over the wire; its waits are before it.
            .layer(TraceLayer::new(config))
            .service(http);
        Ok(Upstream {
            client: Client::new(super::BoxStack::new(stack), config.read_timeout),
            keys,
            breaker,
            ledger,
            places,
            coalesced,
        })
    }
}
