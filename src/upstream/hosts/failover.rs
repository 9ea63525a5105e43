//! Selects the host of a call, and the next one when it fails.
//!
//! Above the circuit breaker and the retries, which each host has of its own: an open
//! circuit costs no time, and while another host is left, a failed attempt is not
//! repeated at the same one (`Call::alternative`). Below the deadline, which all hosts
//! share, and below what belongs to the caller: a call is charged once, for what its
//! attempts have used.
//!
//! A call does not move on after the first byte of an answer. One that is bound to an
//! account by what it refers to (a file, a container, the results of a server tool) is
//! made where its route begins, or fails. A caller may name the host.

use super::{Host, HostFeature, HostLacks, Routes, host::feature};
use crate::{
    access::limits::{AttemptedModel, UsageStore},
    models::catalogue,
    upstream::{Call, Reply, UpstreamError},
};
use futures::future::BoxFuture;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;
use tower::{Service, ServiceExt};

/// Minimum time that must be left for another host.
const SHORTEST_CALL: Duration = Duration::from_millis(20);

/// Makes each call at the hosts of its route, one after another. Cloning is cheap.
#[derive(Clone)]
pub struct Failover(Arc<Inner>);

struct Inner {
    hosts: Arc<[Host]>,
    routes: Routes,
    /// Knows the prices, if clients have budgets.
    usage_store: Option<UsageStore>,
}

/// A host that can serve a call.
struct Candidate<'a> {
    host: &'a Host,
    /// The model, by the id with which the call or the route names it.
    named: Arc<str>,
    /// Its id there.
    id: Arc<str>,
}

// === impl Failover ===

impl Failover {
    /// Calls these hosts.
    pub fn new(hosts: Arc<[Host]>, routes: Routes, usage_store: Option<UsageStore>) -> Self {
        Failover(Arc::new(Inner {
            hosts,
            routes,
            usage_store,
        }))
    }
}

impl Failover {
    /// What may be asked of the hosts that can serve a call; nothing if none can.
    pub fn may_ask(&self, call: &Call) -> Vec<AttemptedModel> {
        let candidates = self.0.candidates(call).unwrap_or_default();
        let model = |it: Candidate<'_>| AttemptedModel {
            id: it.id,
            named: it.named,
        };
        candidates.into_iter().map(model).collect()
    }
}

impl fmt::Debug for Failover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failover")
    }
}

impl Inner {
    async fn run(&self, call: Call) -> Result<Reply, UpstreamError> {
        let mut candidates = self.candidates(&call)?.into_iter().peekable();
        let mut failed: Option<UpstreamError> = None;
        while let Some(Candidate { host, named, id }) = candidates.next() {
            let mut asked = host.prepared(&call, named, id);
            let other = candidates.peek().filter(|other| other.host.is_up());
            asked.alternative = other.map(|_| Instant::now());
            call.record.asks(host.name());
            let error = match host.stack.clone().oneshot(asked).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let may_move_on = candidates.peek().is_some()
                && call.attempts.with_content() == 0
                && call.deadline.remaining() >= SHORTEST_CALL
                && error.is_of_host();
            if !may_move_on {
                // What the first host said counts, unless this one knows better.
                return Err(match failed {
                    Some(first) if error.is_of_service() => first,
                    _ => error,
                });
            }
            host.moved_on();
            tracing::debug!(host = %host.name(), %error, "asking the next host");
            failed = failed.or(Some(error));
        }
        Err(failed.unwrap_or(UpstreamError::NotServed(HostLacks::Host)))
    }

    /// The hosts that can serve a call, in the order of its route.
    ///
    /// # Errors
    /// [`UpstreamError::NotServed`] when there is none.
    fn candidates(&self, call: &Call) -> Result<Vec<Candidate<'_>>, UpstreamError> {
        let targets = match feature(&call.payload) {
            HostFeature::Messages | HostFeature::CountTokens => self.routes.targets(call),
            // Not about a model, so no route names them.
            HostFeature::Models | HostFeature::Batches | HostFeature::Files => {
                self.routes.everywhere()
            }
        };
        let mut candidates = Vec::with_capacity(targets.len());
        let mut lacks = HostLacks::Host;
        for target in &*targets {
            let host = &self.hosts[target.host];
            if !may_use(call, host) {
                continue;
            }
            let model = target.model.as_ref().unwrap_or(&call.model);
            if target.model.is_some() && !self.may_ask(call, model) {
                continue;
            }
            let named = Arc::clone(model);
            match host.serves(call, &named) {
                Ok(id) if !self.may_pay(call, host, &id) => lacks = lacks.and(HostLacks::Price),
                Ok(id) => candidates.push(Candidate { host, named, id }),
                Err(reason) => lacks = lacks.and(reason),
            }
        }
        if let Some(key) = call.key
            && candidates.iter().any(|it| it.host.has_key(key))
        {
            candidates.retain(|it| it.host.has_key(key));
        }
        if is_bound(call) {
            candidates.truncate(1);
        }
        match candidates[..] {
            [] => Err(UpstreamError::NotServed(lacks)),
            _ => Ok(candidates),
        }
    }
}

impl Inner {
    /// Whether a call may use a model that the route names: the model accepts what the
    /// call asks, and is one of those of its client, with a price if a budget in dollars
    /// applies.
    fn may_ask(&self, call: &Call, model: &str) -> bool {
        let known = catalogue().find(model);
        if known.is_some_and(|known| !known.accepts(call.model_needs)) {
            return false;
        }
        let Some(caller) = &call.caller else {
            return true;
        };
        let is_priced = || !caller.limits.are_in_dollars() || self.is_priced(model);
        caller.may_ask(model).is_ok() && is_priced()
    }

    /// Whether it is known what an id on a host costs, where that matters. Bedrock has
    /// prices of its own; an id of another host costs what its model costs.
    fn may_pay(&self, call: &Call, host: &Host, id: &str) -> bool {
        let caller = call.caller.as_deref();
        let is_in_dollars = caller.is_some_and(|caller| caller.limits.are_in_dollars());
        !is_in_dollars || !host.kind().has_prices_of_its_own() || self.is_priced(id)
    }

    fn is_priced(&self, model: &str) -> bool {
        let prices = self.usage_store.as_ref();
        prices.is_some_and(|prices| !prices.is_unpriced(model))
    }
}

/// Whether a call may be made at a host: it is the one that the call names, if it names
/// one, and one of those that the client may use.
fn may_use(call: &Call, host: &Host) -> bool {
    let is_named = call.host.as_ref().is_none_or(|name| name == host.name());
    let caller = call.caller.as_deref();
    is_named && caller.is_none_or(|caller| caller.may_use_host(host.name()))
}

/// Whether a call cannot be made at another host than the first one.
fn is_bound(call: &Call) -> bool {
    let of_account = [HostFeature::Batches, HostFeature::Files];
    call.is_bound || of_account.contains(&feature(&call.payload))
}

impl Service<Call> for Failover {
    type Response = Reply;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Result<Reply, UpstreamError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.run(call).await })
    }
}
