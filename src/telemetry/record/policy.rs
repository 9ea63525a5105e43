//! Which calls are traced, and what their spans show.

use crate::telemetry::{
    context::RemoteParent,
    sampler::{ExemplarFilter, Sampler},
};
use http::HeaderMap;
use opentelemetry::TraceId;

/// Decides what is traced.
pub struct TracePolicy {
    /// Whether spans are exported at all.
    pub is_on: bool,
    /// Which calls are sampled.
    pub sampler: Sampler,
    /// Whether the trace context of callers is continued.
    pub accepts_context: bool,
    /// Keys of the callers' baggage that become attributes of spans.
    pub baggage_keys: Vec<String>,
    /// Which calls may be exemplars.
    pub exemplars: ExemplarFilter,
    /// Whether spans contain prompts and responses.
    pub shows_content: bool,
}

impl TracePolicy {
    /// The caller's span, if it is to be continued.
    pub fn parent(&self, headers: &HeaderMap) -> Option<RemoteParent> {
        self.accepts_context
            .then(|| RemoteParent::read(headers))
            .flatten()
    }

    /// Whether a call leaves spans.
    pub fn samples(&self, trace: TraceId, parent: Option<&RemoteParent>) -> bool {
        self.is_on && self.sampler.samples(trace, parent)
    }
}
