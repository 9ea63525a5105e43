//! What the admin port reads.

use crate::{
    access::Refusals,
    memory::MessageBudget,
    response_cache::ResponseCache,
    secrets::Reload,
    server::Drain,
    store::StoreHealth,
    telemetry::{LogLevel, Telemetry},
    upstream::Upstream,
};
use std::sync::Arc;

/// The parts of the service that the admin port reports on.
#[derive(Clone)]
pub struct ServiceView {
    /// Metrics and the last failures.
    pub telemetry: Telemetry,
    /// The stack that calls the Claude API.
    pub upstream: Upstream,
    /// Whether the server is shutting down.
    pub drain: Drain,
    /// The memory of messages.
    pub messages: MessageBudget,
    /// The log level, where it can be changed.
    pub log_level: Option<LogLevel>,
    /// Files that are reloaded when they change.
    pub reloads: Vec<Arc<dyn Reload>>,
    /// Counts of rejected callers, when callers must authenticate.
    pub refusals: Option<Refusals>,
    /// The responses that are kept, if any are.
    pub responses: Option<ResponseCache>,
    /// Health of the store that replicas share; always healthy in memory.
    pub store: StoreHealth,
}

// === impl ServiceView ===

impl ServiceView {
    /// Why the service accepts no calls; `None` when it is ready. It does not
    /// follow the health of the Claude API: an outage there must not take every
    /// replica out of service.
    pub fn unready(&self) -> Option<&'static str> {
        if self.drain.has_begun() {
            return Some("shutting down");
        }
        let mut keys = self.upstream.hosts.iter().flat_map(|it| it.keys.refused());
        if keys.all(|(_, refusal)| refusal.is_some()) {
            return Some("no usable API key");
        }
        None
    }
}
