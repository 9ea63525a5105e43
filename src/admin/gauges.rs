//! Gauges that are read when metrics are collected: the state of the upstream
//! stack, of the shutdown, of reloads and of the store.

use super::view::ServiceView;
use crate::{
    access::Refusals,
    response_cache::ResponseCache,
    telemetry::{
        metrics::Family,
        names::{Metric, OTHER_LABEL, attribute as a, metric as m},
    },
    upstream::{CircuitScope, CircuitState, Host, QuotaRemaining},
};
use std::{collections::BTreeMap, time::SystemTime};

/// The states of the circuit breaker, with their names in metrics.
pub const BREAKER_STATES: [(CircuitState, &str); 3] = [
    (CircuitState::Closed, "closed"),
    (CircuitState::Open, "open"),
    (CircuitState::HalfOpen, "half_open"),
];

/// One resource that the API limits, and where a quota has it.
type Resource = (&'static str, fn(&QuotaRemaining) -> Option<(f64, f64)>);

/// The resources that the API limits.
const RESOURCES: [Resource; 3] = [
    ("requests", |it| it.requests),
    ("input_tokens", |it| it.input_tokens),
    ("output_tokens", |it| it.output_tokens),
];

/// What is left of one of the API's limits; with several API keys, for the one
/// that has the least left.
#[derive(Debug)]
pub struct Headroom {
    /// The host.
    pub host: String,
    /// The model, by its label in metrics.
    pub model: String,
    /// The limited resource: requests, input or output tokens.
    pub resource: &'static str,
    /// Amount left; negative in debt.
    pub left: f64,
    /// Limit per minute.
    pub limit: f64,
}

impl Headroom {
    /// What is left, in percent of the limit.
    pub fn percent(&self) -> f64 {
        (100.0 * self.left / self.limit.max(1.0)).clamp(0.0, 100.0)
    }
}

impl ServiceView {
    /// Adds these gauges to the metrics.
    pub fn add_gauges(&self) {
        let Some(metrics) = self.telemetry.metrics() else {
            return;
        };
        let view = self.clone();
        metrics.add_source(Box::new(move |families| read(&view, families)));
    }
}

/// What kept the store from serving.
fn store_errors(view: &ServiceView) -> Family {
    let mut errors = Family::new(&m::STORE_ERRORS);
    for (kind, count) in view.store.causes() {
        errors.number(&[(a::CAUSE, kind.name())], count as f64);
    }
    errors
}

/// A figure of each host.
fn of_hosts(metric: &'static Metric, hosts: &[Host], figure: fn(&Host) -> f64) -> Family {
    let mut family = Family::new(metric);
    for host in hosts {
        family.number(&[(a::HOST, host.name())], figure(host));
    }
    family
}

/// The HTTP/2 connections and streams.
fn http2(hosts: &[Host]) -> [Family; 4] {
    let mut connections = Family::new(&m::HTTP2_CONNECTIONS);
    for host in hosts {
        let counts = host.http2();
        for (state, count) in [
            ("connecting", counts.connecting),
            ("active", counts.active),
            ("idle", counts.idle),
            ("draining", counts.draining),
        ] {
            let attributes = [(a::HOST, &**host.name()), (a::STATE, state)];
            connections.number(&attributes, count as f64);
        }
    }
    [
        connections,
        of_hosts(&m::HTTP2_STREAMS_IN_USE, hosts, |it| {
            it.http2().in_flight as f64
        }),
        of_hosts(&m::HTTP2_STREAMS_WAITING, hosts, |it| {
            it.http2().waiting as f64
        }),
        of_hosts(&m::HTTP2_STREAMS_CAPACITY, hosts, |it| {
            it.http2().capacity as f64
        }),
    ]
}

/// The cache of responses.
fn kept_responses(cache: &ResponseCache) -> [Family; 3] {
    let figures = cache.figures();
    let mut lookups = Family::new(&m::CACHE_LOOKUPS);
    for (result, count) in [("hit", figures.hits), ("miss", figures.misses)] {
        lookups.number(&[(a::CACHE_RESULT, result)], count as f64);
    }
    [
        lookups,
        Family::single(&m::CACHE_EVICTIONS, figures.evictions as f64),
        Family::single(&m::CACHE_SIZE, figures.bytes as f64),
    ]
}

/// The circuits of each host.
fn circuits(hosts: &[Host]) -> Family {
    let mut breaker = Family::new(&m::BREAKER);
    for host in hosts {
        for (scope, state) in host.breaker.states() {
            let model = match &scope {
                // Empty attributes are not exported.
                CircuitScope::Connection => "",
                CircuitScope::Model(model) => model,
                CircuitScope::OtherModels => OTHER_LABEL,
            };
            for (one, name) in BREAKER_STATES {
                let figure = if one == state { 1.0 } else { 0.0 };
                let attributes = [
                    (a::HOST, &**host.name()),
                    (a::REQUEST_MODEL, model),
                    (a::STATE, name),
                ];
                breaker.number(&attributes, figure);
            }
        }
    }
    breaker
}

/// The keys of a host that are quarantined.
fn refused(host: &Host) -> f64 {
    let keys = host.keys.refused();
    keys.iter().filter(|(_, refusal)| refusal.is_some()).count() as f64
}

/// When the credentials of each host expire, if they do.
fn expiries(hosts: &[Host]) -> Family {
    let mut expiries = Family::new(&m::CREDENTIALS_EXPIRY);
    for host in hosts {
        let keys = host.keys.current();
        let first = keys.iter().filter_map(|key| key.expiry()).min();
        if let Some(Ok(time)) = first.map(|it| it.duration_since(SystemTime::UNIX_EPOCH)) {
            expiries.number(&[(a::HOST, &**host.name())], time.as_secs_f64());
        }
    }
    expiries
}

fn read(view: &ServiceView, families: &mut Vec<Family>) {
    let upstream = &view.upstream;
    let hosts = &upstream.hosts;
    let ready = if view.unready().is_none() { 1.0 } else { 0.0 };
    let store_down = if view.store.is_down() { 1.0 } else { 0.0 };
    families.extend([
        circuits(hosts),
        Family::single(&m::MESSAGE_BYTES, view.messages.in_use() as f64),
        Family::single(&m::MESSAGE_BYTES_LIMIT, view.messages.capacity() as f64),
        Family::single(&m::MESSAGES_WAITING, view.messages.waiting() as f64),
        of_hosts(&m::CONCURRENCY_IN_USE, hosts, |it| {
            it.concurrency_limit.in_use() as f64
        }),
        of_hosts(&m::CONCURRENCY_WAITING, hosts, |it| {
            it.concurrency_limit.waiting() as f64
        }),
        of_hosts(&m::CONCURRENCY_LIMIT, hosts, |it| {
            it.concurrency_limit.limit() as f64
        }),
        of_hosts(&m::KEYS, hosts, |it| it.keys.current().len() as f64),
        of_hosts(&m::KEYS_REFUSED, hosts, refused),
        expiries(hosts),
        of_hosts(&m::FAILOVERS, hosts, |it| it.failovers() as f64),
        Family::single(&m::COALESCED, upstream.coalesced.count() as f64),
        Family::single(&m::READY, ready),
        Family::single(&m::STORE_FAILURES, view.store.failures() as f64),
        store_errors(view),
        Family::single(&m::STORE_DOWN, store_down),
        queued(view),
    ]);
    families.extend(http2(hosts));
    families.extend(view.responses.iter().flat_map(kept_responses));
    let mut reloads = Family::new(&m::RELOADS);
    for reload in &view.reloads {
        let counts = reload.counts();
        for (outcome, count) in [("succeeded", counts.reloaded), ("failed", counts.refused)] {
            let attributes = [(a::COMPONENT, reload.name()), (a::OUTCOME, outcome)];
            reloads.number(&attributes, count as f64);
        }
    }
    let mut refusals = Family::new(&m::REFUSALS);
    for (cause, count) in view.refusals.iter().flat_map(Refusals::all) {
        refusals.number(&[(a::CAUSE, cause.name())], count as f64);
    }
    families.extend([reloads, refusals]);
    let mut remaining = Family::new(&m::RATE_LIMIT_REMAINING);
    let mut limit = Family::new(&m::RATE_LIMIT);
    for left in rate_limits(view) {
        let attributes = [
            (a::HOST, left.host.as_str()),
            (a::REQUEST_MODEL, left.model.as_str()),
            (a::RESOURCE, left.resource),
        ];
        remaining.number(&attributes, left.left);
        limit.number(&attributes, left.limit);
    }
    families.extend([remaining, limit]);
}

fn queued(view: &ServiceView) -> Family {
    let (mut interactive, mut batch) = (0, 0);
    for quota in quotas(view).values().flatten() {
        interactive += quota.waiting_interactive;
        batch += quota.waiting_batch;
    }
    let mut queued = Family::new(&m::QUEUED);
    queued.number(&[(a::PRIORITY, "interactive")], interactive as f64);
    queued.number(&[(a::PRIORITY, "batch")], batch as f64);
    queued
}

/// What is left of the API's limits.
pub fn rate_limits(view: &ServiceView) -> Vec<Headroom> {
    let mut all = Vec::new();
    for ((host, model), quotas) in quotas(view) {
        for (resource, figures) in RESOURCES {
            let least = quotas
                .iter()
                .filter_map(figures)
                .min_by(|(one, _), (other, _)| one.total_cmp(other));
            if let Some((left, limit)) = least {
                let (host, model) = (host.clone(), model.clone());
                all.push(Headroom {
                    host,
                    model,
                    resource,
                    left,
                    limit,
                });
            }
        }
    }
    all
}

/// The quotas of each host and model.
fn quotas(view: &ServiceView) -> BTreeMap<(String, String), Vec<QuotaRemaining>> {
    let mut by_model: BTreeMap<_, Vec<QuotaRemaining>> = BTreeMap::new();
    let Some(metrics) = view.telemetry.metrics() else {
        return by_model;
    };
    for host in view.upstream.hosts.iter() {
        for (_, model, quota) in host.rate_limiter.quotas() {
            let name = metrics.models.name(metrics.models.label(&model));
            let of = (host.name().to_string(), name.to_string());
            by_model.entry(of).or_default().push(quota.remaining());
        }
    }
    by_model
}
