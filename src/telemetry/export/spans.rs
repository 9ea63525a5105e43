//! Calls and attempts as spans of the SDK, made from their records.
//!
//! Calls are not spans of `tracing-opentelemetry`, which costs more than tracing
//! may. A prototype that made the two spans of a sampled call so, each with its
//! attributes in one piece, took 19,600 instructions a call, and 33,100 with
//! `set_attribute` for each; from the record it is 7,300, of which 2,900 are for
//! the attributes themselves. Measured by `cargo bench --bench telemetry -- cost`
//! in turns on a busy machine of two cores, a service that samples every call
//! used 1.39 and 1.46 times the CPU of one without tracing, against 1.24 and 1.29
//! from records (the limit is 1.25); at 1 % the two do not differ. The sampler,
//! the queue budget and the length limits would remain: the SDK decides only when
//! it starts a span, drops without counting, and does not limit lengths.

use super::{content, resource::scope};
use crate::{
    models::in_dollars,
    telemetry::{
        metrics::{self, ErrorType, Operation, Wait},
        names::{self, attribute as a, event},
        record::{AttemptData, CallData, CallEnd, CallState},
    },
};
use opentelemetry::{
    Array, InstrumentationScope, KeyValue, StringValue, Value,
    trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::{
    ops::Range,
    str::FromStr,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The statuses that the conventions for RPC servers define as errors.
const SERVER_ERRORS: [&str; 6] = [
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];

/// Creates spans. The tracer of the SDK is not used: it would generate its own
/// ids, after those of the attempts were sent to the API.
#[derive(Debug, Clone)]
pub struct SpanFactory {
    scope: InstrumentationScope,
}

impl Default for SpanFactory {
    fn default() -> Self {
        SpanFactory { scope: scope() }
    }
}

impl SpanFactory {
    /// The span of a call that ended, and the spans of its attempts.
    pub fn call(&self, call: &CallData, end: &CallEnd) -> Vec<SpanData> {
        let attempts = std::mem::take(&mut call.state().spans);
        let mut spans = Vec::with_capacity(1 + attempts.len());
        spans.push(self.server(call, end, &attempts));
        spans.extend(
            attempts
                .into_iter()
                .map(|attempt| self.attempt(call, attempt)),
        );
        spans
    }

    fn server(&self, call: &CallData, end: &CallEnd, attempts: &[AttemptData]) -> SpanData {
        let parent = call.parent.as_ref();
        let ended = call.at + end.took;
        let state = call.state();
        let mut span = self.span(call, call.span, SpanKind::Server, call.at..ended);
        span.name = metrics::method(call.rpc).into();
        span.parent_span_id = parent.map_or(SpanId::INVALID, |it| it.span);
        span.parent_span_is_remote = parent.is_some();
        span.events.events = events(call.at, &state, attempts);
        if let Some((trace, other)) = state.joined {
            let context =
                SpanContext::new(trace, other, TraceFlags::default(), false, TraceState::NONE);
            span.links.links.push(Link::with_context(context));
        }
        let status = names::STATUSES[end.status];
        if SERVER_ERRORS.contains(&status) {
            let reason = end.reason.as_deref().unwrap_or(status);
            span.status = Status::error(reason.to_owned());
        }
        drop(state);
        span.attributes = call_attributes(call, end).0;
        span
    }

    /// The span of an attempt.
    pub fn attempt(&self, call: &CallData, attempt: AttemptData) -> SpanData {
        let request = &attempt.request;
        let began = call.at + attempt.began;
        let time = began..began + attempt.took;
        let mut span = self.span(call, attempt.span, SpanKind::Client, time);
        let operation = request.operation.name();
        span.name = match &*request.model {
            "" => operation.into(),
            model => format!("{operation} {model}").into(),
        };
        span.parent_span_id = call.span;
        if let Some(error) = attempt.error {
            span.status = Status::error(error.name());
        }
        span.attributes = attempt_attributes(attempt).0;
        span
    }

    /// A span without attributes. Only sampled calls have spans.
    fn span(
        &self,
        call: &CallData,
        id: SpanId,
        span_kind: SpanKind,
        time: Range<SystemTime>,
    ) -> SpanData {
        let flags = TraceFlags::SAMPLED;
        SpanData {
            span_context: SpanContext::new(call.trace, id, flags, false, state(call)),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind,
            name: "".into(),
            start_time: time.start,
            end_time: time.end,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

fn call_attributes(call: &CallData, end: &CallEnd) -> Attributes {
    let client = call.client_name();
    let state = call.state();
    let status = names::STATUSES[end.status];
    let mut attributes = Attributes(Vec::with_capacity(12));
    attributes.text(a::RPC_SYSTEM, names::GRPC);
    attributes.text(a::RPC_METHOD, metrics::method(call.rpc));
    attributes.text(a::RPC_STATUS, status);
    attributes.text(a::CLIENT, client);
    if SERVER_ERRORS.contains(&status) {
        attributes.text(a::ERROR_TYPE, status);
    }
    if let Some(reason) = &end.reason {
        attributes.text(a::REASON, reason.to_string());
    }
    if let Some(model) = &state.model {
        attributes.text(a::REQUEST_MODEL, Arc::clone(model));
    }
    attributes.integer(a::ATTEMPTS, state.attempts);
    attributes.seconds(a::OVERHEAD_DURATION, state.overhead.unwrap_or_default());
    if state.cost > 0 {
        attributes.number(a::COST, in_dollars(state.cost));
    }
    if state.found {
        attributes.boolean(a::CACHED, true);
    }
    if state.joined.is_some() {
        attributes.boolean(a::COALESCED, true);
    }
    for (index, value) in &call.baggage {
        if let Some(key) = call.observer.policy.baggage_keys.get(*index) {
            attributes.0.push(KeyValue::new(key.clone(), value.clone()));
        }
    }
    attributes
}

/// Events: the waits before attempts, and the first chunk of the response.
fn events(began: SystemTime, state: &CallState, attempts: &[AttemptData]) -> Vec<Event> {
    let mut events = Vec::new();
    for attempt in attempts {
        let ready = began + attempt.began;
        let permit = attempt.waited(Wait::Permit);
        let rate_limit = attempt.waited(Wait::RateLimit);
        let prompt_cache = attempt.waited(Wait::PromptCache);
        let waits = [
            (
                event::WAIT_PROMPT_CACHE,
                a::WAIT_PROMPT_CACHE,
                prompt_cache,
                permit + rate_limit + prompt_cache,
            ),
            (
                event::WAIT_RATE_LIMIT,
                a::WAIT_RATE_LIMIT,
                rate_limit,
                permit + rate_limit,
            ),
            (event::WAIT_PERMIT, a::WAIT_PERMIT, permit, permit),
        ];
        for (name, key, time, before) in waits {
            // Passing without delay is not a wait.
            if time < Duration::from_millis(1) {
                continue;
            }
            let mut attributes = Attributes::default();
            attributes.seconds(key, time);
            events.push(Event::new(name, ready - before, attributes.0, 0));
        }
    }
    if let Some(first) = state.first_chunk {
        events.push(Event::new(event::FIRST_CHUNK, began + first, Vec::new(), 0));
    }
    events
}

fn attempt_attributes(attempt: AttemptData) -> Attributes {
    let waited = |wait| attempt.waited(wait);
    let [backoff, rate_limit] = [Wait::Backoff, Wait::RateLimit].map(waited);
    let [permit, prompt_cache] = [Wait::Permit, Wait::PromptCache].map(waited);
    let shown = attempt.answer.as_ref();
    let shown = shown.map(|answer| content::of_answer(answer, &attempt));
    let request = attempt.request;
    let (method, path) = match request.operation {
        Operation::Chat => ("POST", "/v1/messages"),
        Operation::CountTokens => ("POST", "/v1/messages/count_tokens"),
        Operation::ListModels => ("GET", "/v1/models"),
        Operation::CreateBatch => ("POST", "/v1/messages/batches"),
        Operation::ListBatches => ("GET", "/v1/messages/batches"),
        // Without the id.
        Operation::GetBatch => ("GET", "/v1/messages/batches/{id}"),
        Operation::CancelBatch => ("POST", "/v1/messages/batches/{id}/cancel"),
        Operation::DeleteBatch => ("DELETE", "/v1/messages/batches/{id}"),
        Operation::BatchResults => ("GET", "/v1/messages/batches/{id}/results"),
        Operation::UploadFile => ("POST", "/v1/files"),
        Operation::GetFile => ("GET", "/v1/files/{id}"),
        Operation::DeleteFile => ("DELETE", "/v1/files/{id}"),
        Operation::DownloadFile => ("GET", "/v1/files/{id}/content"),
    };
    let mut all = Attributes(Vec::with_capacity(24));
    all.text(a::OPERATION, request.operation.name());
    all.text(a::PROVIDER, names::ANTHROPIC);
    all.text(a::REQUEST_MODEL, Arc::clone(&request.model));
    if request.operation == Operation::Chat {
        all.integer(a::REQUEST_MAX_TOKENS, request.max_tokens);
        all.boolean(a::REQUEST_STREAM, request.streamed);
    }
    all.text(a::HTTP_METHOD, method);
    all.text(a::URL_PATH, path);
    all.text(a::SERVER_ADDRESS, Arc::clone(&request.server.host));
    all.integer(a::SERVER_PORT, request.server.port);
    if attempt.status != 0 {
        all.integer(a::HTTP_STATUS, attempt.status);
    }
    if attempt.number > 1 {
        all.integer(a::HTTP_RESEND_COUNT, attempt.number - 1);
    }
    all.text(a::ERROR_TYPE, attempt.error.map_or("", ErrorType::name));
    all.text(a::RETRY_REASON, attempt.cause.map_or("", ErrorType::name));
    all.seconds(a::BACKOFF, backoff);
    all.seconds(a::WAIT_PROMPT_CACHE, prompt_cache);
    all.seconds(a::WAIT_RATE_LIMIT, rate_limit);
    all.seconds(a::WAIT_PERMIT, permit);
    all.text(a::HOST, request.host);
    all.text(a::KEY, request.key);
    if let Some(id) = attempt.request_id {
        all.text(a::UPSTREAM_REQUEST_ID, id);
    }
    if let Some(response) = attempt.response {
        all.text(a::RESPONSE_ID, response.id);
        all.text(a::RESPONSE_MODEL, response.model);
        if let Some(reason) = response.finish_reason {
            all.list_of(a::FINISH_REASONS, reason);
        }
    }
    if let Some(first) = attempt.first_chunk {
        all.seconds(a::TIME_TO_FIRST_CHUNK, first.saturating_sub(attempt.began));
    }
    if let Some(tokens) = &attempt.tokens {
        // The conventions count cached tokens as input; the API does not.
        all.integer(a::INPUT_TOKENS, tokens.all_input());
        all.integer(a::OUTPUT_TOKENS, tokens.output);
        all.integer(a::CACHE_READ_TOKENS, tokens.cache_read);
        all.integer(a::CACHE_WRITE_TOKENS, tokens.cache_write());
    }
    if let Some(body) = &request.body {
        let content = content::of_request(body);
        all.text(a::SYSTEM_INSTRUCTIONS, content.system);
        all.text(a::INPUT_MESSAGES, content.messages);
    }
    if let Some(shown) = shown {
        all.text(a::OUTPUT_MESSAGES, shown);
    }
    all
}

/// The trace state of the caller's context.
fn state(call: &CallData) -> TraceState {
    let given = call.parent.as_ref().and_then(|it| it.state.as_ref());
    let text = given.and_then(|it| it.to_str().ok());
    text.and_then(|it| TraceState::from_str(it).ok())
        .unwrap_or_default()
}

/// A list of attributes.
#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn push(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.push(KeyValue::new(key, value));
    }

    /// Adds a text, unless it is empty.
    fn text(&mut self, key: &'static str, text: impl Into<StringValue>) {
        let text = text.into();
        if !text.as_str().is_empty() {
            self.push(key, text);
        }
    }

    fn integer(&mut self, key: &'static str, number: impl TryInto<i64>) {
        self.push(key, number.try_into().unwrap_or(i64::MAX));
    }

    fn number(&mut self, key: &'static str, number: f64) {
        self.push(key, number);
    }

    /// Adds a duration in seconds, unless it is zero.
    fn seconds(&mut self, key: &'static str, time: Duration) {
        if !time.is_zero() {
            self.number(key, time.as_secs_f64());
        }
    }

    fn boolean(&mut self, key: &'static str, yes: bool) {
        self.push(key, yes);
    }

    fn list_of(&mut self, key: &'static str, text: String) {
        let list = Array::String(vec![text.into()]);
        self.push(key, Value::Array(list));
    }
}
