//! What the admin port reads.

use crate::{
    access::Refusals,
    secrets::Reload,
    server::Drain,
    store::StoreHealth,
    telemetry::{LogLevel, Telemetry},
    upstream::Upstream,
};
use std::sync::Arc;

/// What the port tells about.
#[derive(Clone)]
pub struct ServiceView {
    /// The figures.
    pub telemetry: Telemetry,
    /// The way up.
    pub upstream: Upstream,
    /// The shutdown.
    pub drain: Drain,
    /// The logs, where their level can be changed.
    pub log_level: Option<LogLevel>,
    /// What is read again when it changes.
    pub reloads: Vec<Arc<dyn Reload>>,
    /// Callers that were not let in, where anybody is kept out.
    pub refusals: Option<Refusals>,
    /// Whether the store answers that replicas share. In memory it always does.
    pub store: StoreHealth,
}

// === impl ServiceView ===

impl ServiceView {
    /// Why the service takes no calls, if it does not. It does not follow the
    /// health of the Claude API: an outage there must not take every replica
    /// out of service.
    pub fn unready(&self) -> Option<&'static str> {
        if self.drain.has_begun() {
            return Some("shutting down");
        }
        let keys = self.upstream.keys.refused();
        if keys.iter().all(|(_, refusal)| refusal.is_some()) {
            return Some("no usable API key");
        }
        None
    }
}
