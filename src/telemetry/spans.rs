//! Whether and how calls become spans.

use super::{
    attempt::AttemptData,
    call::{CallData, CallEnd},
    context::{RemoteParent, TraceId},
    otlp::{SpanQueue, environment::ExemplarFilter, spans::SpanFactory},
    sampler::Sampler,
};
use http::HeaderMap;

/// Decides what is traced, and passes it on to the exporter.
pub struct CallTracing {
    /// Without these, nothing is traced.
    into: Option<(SpanQueue, SpanFactory)>,
    sampler: Sampler,
    /// Whether callers' contexts are taken.
    takes_context: bool,
    baggage_keys: Vec<String>,
    exemplars: ExemplarFilter,
    content: bool,
}

impl CallTracing {
    /// Traces nothing, and passes contexts on.
    pub fn off() -> Self {
        CallTracing {
            into: None,
            sampler: Sampler::default(),
            takes_context: true,
            baggage_keys: Vec::new(),
            exemplars: ExemplarFilter::default(),
            content: false,
        }
    }

    /// Makes spans, and leaves them to be exported.
    pub fn new(spans: SpanQueue, sampler: Sampler) -> Self {
        CallTracing {
            into: Some((spans, SpanFactory::default())),
            sampler,
            ..CallTracing::off()
        }
    }

    /// Takes these keys of the callers' baggage into spans.
    pub fn with_baggage(mut self, keys: Vec<String>) -> Self {
        self.baggage_keys = keys;
        self
    }

    /// Which calls may be exemplars.
    pub fn with_exemplars(mut self, filter: ExemplarFilter) -> Self {
        self.exemplars = filter;
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
        self.into.is_some()
    }

    pub(super) fn parent(&self, headers: &HeaderMap) -> Option<RemoteParent> {
        self.takes_context
            .then(|| RemoteParent::read(headers))
            .flatten()
    }

    pub(super) fn samples(&self, trace: TraceId, parent: Option<&RemoteParent>) -> bool {
        self.is_on() && self.sampler.samples(trace, parent)
    }

    pub(super) fn exemplifies(&self, sampled: bool) -> bool {
        self.exemplars.takes(sampled)
    }

    pub(super) fn baggage_keys(&self) -> &[String] {
        &self.baggage_keys
    }

    pub(super) fn shows_content(&self) -> bool {
        self.content
    }

    pub(super) fn finished(&self, call: &CallData, end: &CallEnd) {
        if let Some((spans, maker)) = &self.into {
            spans.leave(maker.call(call, end));
        }
    }

    /// An attempt that went on after its call.
    pub(super) fn late_attempt(&self, call: &CallData, attempt: AttemptData) {
        if let Some((spans, maker)) = &self.into {
            spans.leave(vec![maker.attempt(call, attempt)]);
        }
    }
}
