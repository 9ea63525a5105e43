//! One host at run time: its keys, the state of its layers, and its stack.

use super::{
    CredentialsKind, DEFAULT_HOST, HostConfig, HostFeature, HostKind, HostLacks, LackingHost,
    model_ids, request_body,
};
use crate::credentials::TOKEN_BETA;
use crate::host_features::LackedFeatures;
use crate::models::{ModelNeeds, catalogue};
use crate::upstream::{
    ApiHeaders, BoxStack, Call, CircuitBreaker, ConcurrencyLimit, ConnectionPool, Fingerprint,
    Keys, Payload, PoolCounts, RateLimiter, UpstreamConfig,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The keys of each host.
#[derive(Debug, Clone)]
pub struct HostKeys {
    /// Those of the Claude API.
    of_claude: Keys,
    of_hosts: BTreeMap<String, Keys>,
}

/// A host, and the state of its layers.
#[derive(Clone)]
pub struct Host {
    /// Its name, kind and ids of models.
    pub(super) config: Arc<HostConfig>,
    name: Arc<str>,
    /// What it lacks of requests.
    lacked: Arc<LackedFeatures>,
    /// Its keys.
    pub keys: Keys,
    /// Its circuit breaker, for its state.
    pub breaker: CircuitBreaker,
    /// Its rate limiter, for what is left of its limits.
    pub rate_limiter: RateLimiter,
    /// The limit on calls in flight to it.
    pub concurrency_limit: ConcurrencyLimit,
    /// Its HTTP/2 connections; `None` for an `http` address.
    connections: Option<ConnectionPool>,
    /// Sent with each request, in headers or in the body.
    headers: ApiHeaders,
    /// The version of the API.
    version: Arc<str>,
    failovers: Arc<AtomicU64>,
    /// From its circuit breaker down to its connections.
    pub(super) stack: BoxStack,
}

impl HostKeys {
    /// The keys of the Claude API, and of hosts by their names.
    pub fn new(of_claude: Keys, of_hosts: BTreeMap<String, Keys>) -> Self {
        HostKeys {
            of_claude,
            of_hosts,
        }
    }

    /// The keys of a host.
    pub fn of(&self, host: &HostConfig) -> Keys {
        self.of_hosts
            .get(&host.name)
            .unwrap_or(&self.of_claude)
            .clone()
    }
}

impl From<Keys> for HostKeys {
    fn from(of_claude: Keys) -> Self {
        HostKeys::new(of_claude, BTreeMap::new())
    }
}

/// The layers of a host, from which it is made.
pub struct HostLayers {
    /// Its keys.
    pub keys: Keys,
    /// Its circuit breaker.
    pub breaker: CircuitBreaker,
    /// Its rate limiter.
    pub rate_limiter: RateLimiter,
    /// The limit on calls in flight to it.
    pub concurrency_limit: ConcurrencyLimit,
    /// Its HTTP/2 connections.
    pub connections: Option<ConnectionPool>,
    /// All layers.
    pub stack: BoxStack,
}

// === impl Host ===

impl Host {
    /// A host with its layers.
    pub fn new(config: HostConfig, upstream: &UpstreamConfig, layers: HostLayers) -> Self {
        Host {
            name: Arc::from(config.name.as_str()),
            headers: upstream.headers_of(&config),
            lacked: Arc::new(config.lacked_features()),
            config: Arc::new(config),
            keys: layers.keys,
            breaker: layers.breaker,
            rate_limiter: layers.rate_limiter,
            concurrency_limit: layers.concurrency_limit,
            connections: layers.connections,
            version: Arc::from(upstream.api_version.as_str()),
            failovers: Arc::default(),
            stack: layers.stack,
        }
    }

    /// The name in the configuration.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What the host is.
    pub fn kind(&self) -> HostKind {
        self.config.kind
    }

    /// The HTTP/2 connections and streams; all 0 for a peer that does not speak
    /// HTTP/2.
    pub fn http2(&self) -> PoolCounts {
        let counts = self.connections.as_ref().map(ConnectionPool::counts);
        counts.unwrap_or_default()
    }

    /// Whether there is a point in asking it: it can be connected to as far as is known,
    /// and has a key that it has not rejected.
    pub(super) fn is_up(&self) -> bool {
        let keys = self.keys.current();
        self.breaker.is_connected() && keys.iter().any(|key| key.refusal().is_none())
    }

    /// Gives a configured model a circuit of its own, under its id on this host.
    pub fn add_circuit(&self, model: &str) {
        let model = Arc::from(model);
        let id = model_ids::id_on(&self.config, &model);
        self.breaker.add_model(&id.unwrap_or(model));
    }

    /// Whether one of its keys is this one.
    pub(super) fn has_key(&self, key: Fingerprint) -> bool {
        self.keys
            .current()
            .iter()
            .any(|one| one.fingerprint() == key)
    }

    /// The id of a model on this host, if it can serve the call.
    ///
    /// # Errors
    /// What the host lacks.
    pub(super) fn serves(&self, call: &Call, model: &Arc<str>) -> Result<Arc<str>, HostLacks> {
        let feature = feature(&call.payload);
        if !self.kind().has(feature) {
            return Err(HostLacks::Feature(feature));
        }
        if let Some(feature) = self.lacked.first_of(call.needs, model) {
            let host = Arc::clone(&self.name);
            return Err(HostLacks::Needs(vec![LackingHost { host, feature }]));
        }
        let workspace = call.headers.as_ref().and_then(|it| it.workspace.as_ref());
        // The token is for one, and the header would be ignored.
        if self.config.credentials == CredentialsKind::Federation
            && workspace.is_some_and(|it| self.config.workspace_id.as_ref() != Some(it))
        {
            return Err(HostLacks::Workspace);
        }
        if model.is_empty() {
            return Ok(Arc::clone(model));
        }
        model_ids::id_on(&self.config, model).ok_or(HostLacks::Model)
    }

    /// The call as this host takes it, for a model and its id here.
    pub(super) fn prepared(&self, call: &Call, named: Arc<str>, model: Arc<str>) -> Call {
        let mut call = call.clone();
        // The effort is what the model that was asked for is to make of it.
        let keeps_effort = named == call.model || accepts_effort(&named, call.model_needs);
        call.named = named;
        if model == call.model && self.kind().takes_bodies_as_they_are() {
            return call;
        }
        let headers = call.headers.as_deref();
        let headers = headers.map_or_else(|| self.headers.clone(), |own| self.headers.with(own));
        let feature = feature(&call.payload);
        if let Payload::Messages { body, .. } | Payload::CountTokens { body } = &mut call.payload
            && let Some(own) = request_body::for_host(
                self.kind(),
                feature,
                body,
                &model,
                &headers,
                &self.version,
                keeps_effort,
            )
        {
            *body = own;
        }
        call.model = model;
        call
    }

    /// Whether it has all features of requests.
    pub(crate) fn has_all_features(&self) -> bool {
        self.lacked.is_empty()
    }

    /// Counts a call that was moved on to another host.
    pub(super) fn moved_on(&self) {
        self.failovers.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls that were moved on to another host because this one failed.
    pub fn failovers(&self) -> u64 {
        self.failovers.load(Ordering::Relaxed)
    }
}

/// Whether a model accepts the effort level of a request; so does one that is not known.
fn accepts_effort(model: &str, needs: ModelNeeds) -> bool {
    let model = catalogue().find(model);
    let level = needs.effort;
    model
        .zip(level)
        .is_none_or(|(model, level)| model.accepts_effort(level))
}

/// The part of the API that a request is for.
pub(super) fn feature(payload: &Payload) -> HostFeature {
    match payload {
        Payload::Messages { .. } => HostFeature::Messages,
        Payload::CountTokens { .. } => HostFeature::CountTokens,
        Payload::Models(_) => HostFeature::Models,
        Payload::Batches(_) => HostFeature::Batches,
        Payload::Files(_) => HostFeature::Files,
    }
}

impl UpstreamConfig {
    /// The hosts, in their order: those of `hosts`, or the one that `[upstream]`
    /// describes by itself.
    pub fn all_hosts(&self) -> Vec<HostConfig> {
        let itself = || HostConfig {
            name: DEFAULT_HOST.to_owned(),
            ..HostConfig::default()
        };
        let mut hosts = match self.hosts[..] {
            [] => vec![itself()],
            ref hosts => hosts.to_vec(),
        };
        for host in &mut hosts {
            if host.kind == HostKind::Claude {
                let base_url = host.base_url.take();
                host.base_url = base_url.or_else(|| Some(self.base_url.clone()));
            }
            if host.credentials == CredentialsKind::Federation {
                let workspace = host.workspace_id.take();
                host.workspace_id = workspace.or_else(|| self.workspace_id.clone());
            }
            host.ca_file = host.ca_file.take().or_else(|| self.ca_file.clone());
        }
        hosts
    }

    /// The headers of every request to a host.
    pub fn headers_of(&self, host: &HostConfig) -> ApiHeaders {
        let mut headers = self.headers();
        if host.kind == HostKind::ClaudePlatformAws {
            headers.workspace.clone_from(&host.workspace_id);
        }
        if host.credentials == CredentialsKind::Federation {
            headers.add_beta(TOKEN_BETA);
            // The token is for one already.
            headers.workspace = None;
        }
        headers
    }
}
