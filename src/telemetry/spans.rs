//! Whether and how calls become spans.

use super::{
    attempt::Attempt,
    call::{End, Recorded},
    context::{Parent, TraceId},
    otlp::queue::Queue,
    sampler::Sampler,
};
use http::HeaderMap;
use std::sync::Arc;

/// What the exporter makes spans of: a call that ended, with its attempts, or
/// an attempt that went on after its call.
pub enum Ended {
    /// A call.
    Call(Arc<Recorded>, End),
    /// An attempt alone.
    Attempt(Arc<Recorded>, Box<Attempt>),
}

/// Decides what is traced, and passes it on to the exporter.
pub struct Tracing {
    /// Without one, nothing is traced.
    queue: Option<Arc<Queue<Ended>>>,
    sampler: Sampler,
    /// Whether callers' contexts are taken.
    takes_context: bool,
    baggage_keys: Vec<String>,
    content: bool,
}

impl Tracing {
    /// Traces nothing, and passes contexts on.
    pub fn off() -> Self {
        Tracing {
            queue: None,
            sampler: Sampler::PARENT_BASED_ALWAYS_ON,
            takes_context: true,
            baggage_keys: Vec::new(),
            content: false,
        }
    }

    /// Traces into a queue.
    pub fn into_queue(queue: Arc<Queue<Ended>>, sampler: Sampler) -> Self {
        Tracing {
            queue: Some(queue),
            sampler,
            ..Tracing::off()
        }
    }

    /// Takes these keys of the callers' baggage into spans.
    pub fn with_baggage(mut self, keys: Vec<String>) -> Self {
        self.baggage_keys = keys;
        self
    }

    /// Whether callers' contexts are taken.
    pub fn taking_context(mut self, takes: bool) -> Self {
        self.takes_context = takes;
        self
    }

    /// Whether spans show prompts and answers.
    pub fn with_content(mut self, content: bool) -> Self {
        self.content = content;
        self
    }

    pub(super) fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    pub(super) fn parent(&self, headers: &HeaderMap) -> Option<Parent> {
        self.takes_context.then(|| Parent::read(headers)).flatten()
    }

    pub(super) fn samples(&self, trace: TraceId, parent: Option<&Parent>) -> bool {
        self.is_on() && self.sampler.samples(trace, parent)
    }

    pub(super) fn baggage_keys(&self) -> &[String] {
        &self.baggage_keys
    }

    pub(super) fn shows_content(&self) -> bool {
        self.content
    }

    pub(super) fn finished(&self, call: &Arc<Recorded>, end: End) {
        if let Some(queue) = &self.queue {
            let spans = 1 + call.state().spans.len();
            queue.push(Ended::Call(Arc::clone(call), end), spans);
        }
    }

    pub(super) fn late_attempt(&self, call: &Arc<Recorded>, attempt: Attempt) {
        if let Some(queue) = &self.queue {
            queue.push(Ended::Attempt(Arc::clone(call), Box::new(attempt)), 1);
        }
    }
}
