//! Calls and attempts as spans.

use super::{
    environment::Settings,
    value::{self, Attributes, unix_nanos},
};
use crate::telemetry::{
    attempt::Attempt,
    call::{End, Recorded, State},
    content, metrics,
    metrics::{ErrorType, Operation, Wait},
    names::{self, attribute as a, event},
    spans::Ended,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status,
        span::{Event, Link, SpanKind},
        status::StatusCode,
    },
};
use std::{sync::Arc, time::Duration};

/// The statuses that are the service's failures, by the conventions of RPC
/// servers.
const SERVER_ERRORS: [&str; 6] = [
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];

/// `flags` of a span: whether its parent is remote is known, and it is.
const HAS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// A batch as it is sent.
pub fn request(batch: Vec<Ended>, settings: &Settings) -> (ExportTraceServiceRequest, usize) {
    let mut spans = Vec::with_capacity(batch.len() * 2);
    for ended in batch {
        match ended {
            Ended::Call(call, end) => of_call(&call, &end, settings, &mut spans),
            Ended::Attempt(call, attempt) => spans.push(of_attempt(&call, &attempt)),
        }
    }
    for span in &mut spans {
        limit(span, settings);
    }
    let count = spans.len();
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(value::resource(&settings.resource)),
            scope_spans: vec![ScopeSpans {
                scope: Some(value::scope()),
                spans,
                schema_url: names::SCHEMA_URL.to_owned(),
            }],
            schema_url: names::SCHEMA_URL.to_owned(),
        }],
    };
    (request, count)
}

fn of_call(call: &Arc<Recorded>, end: &End, settings: &Settings, spans: &mut Vec<Span>) {
    let client = call.client_name();
    let mut state = call.state();
    let attempts = std::mem::take(&mut state.spans);
    let status = names::STATUSES[end.status];
    let method = metrics::method(call.rpc);
    let is_error = SERVER_ERRORS.contains(&status);

    let mut attributes = Attributes::default();
    attributes.text(a::RPC_SYSTEM, names::GRPC);
    attributes.text(a::RPC_METHOD, method);
    attributes.text(a::RPC_STATUS, status);
    attributes.text(a::CLIENT, &*client);
    if is_error {
        attributes.text(a::ERROR_TYPE, status);
    }
    if let Some(reason) = &end.reason {
        attributes.text(a::REASON, &**reason);
    }
    if let Some(model) = &state.model {
        attributes.text(a::REQUEST_MODEL, &**model);
    }
    attributes.integer(a::ATTEMPTS, state.attempts);
    attributes.seconds(a::OWN_DURATION, state.own.unwrap_or_default());
    if state.cost > 0 {
        attributes.number(a::COST, state.cost as f64 / 1e9);
    }
    if state.joined.is_some() {
        attributes.boolean(a::COALESCED, true);
    }
    for (index, value) in &call.baggage {
        if let Some(key) = call.observed.tracing.baggage_keys().get(*index) {
            attributes.text(key, value.clone());
        }
    }
    let parent = call.parent.as_ref();
    let began = unix_nanos(call.at);
    spans.push(Span {
        trace_id: call.trace.0.to_vec(),
        span_id: call.span.0.to_vec(),
        parent_span_id: parent.map_or_else(Vec::new, |it| it.span.0.to_vec()),
        trace_state: trace_state(call),
        flags: flags(call) | parent.map_or(0, |_| IS_REMOTE),
        name: method.to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: began,
        end_time_unix_nano: after(began, end.took),
        attributes: attributes.0,
        events: events(began, &state, &attempts, settings.event_limit),
        links: state
            .joined
            .iter()
            .map(|(trace, span)| Link {
                trace_id: trace.0.to_vec(),
                span_id: span.0.to_vec(),
                ..Link::default()
            })
            .collect(),
        status: is_error.then(|| error_status(end.reason.as_deref().unwrap_or(status))),
        ..Span::default()
    });
    drop(state);
    spans.extend(attempts.iter().map(|attempt| of_attempt(call, attempt)));
}

/// The waits before attempts, and the first piece of the answer.
fn events(began: u64, state: &State, attempts: &[Attempt], most: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for attempt in attempts {
        let ready = after(began, attempt.began);
        let place = attempt.waited(Wait::Place);
        let ledger = attempt.waited(Wait::Ledger);
        let waits = [
            (event::WAIT_LEDGER, a::WAIT_LEDGER, ledger, place + ledger),
            (event::WAIT_PLACE, a::WAIT_PLACE, place, place),
        ];
        for (name, key, time, before) in waits {
            // What goes through at once has not waited.
            if time < Duration::from_millis(1) {
                continue;
            }
            let mut attributes = Attributes::default();
            attributes.seconds(key, time);
            events.push(Event {
                time_unix_nano: ready.saturating_sub(metrics::histogram::nanos(before)),
                name: name.to_owned(),
                attributes: attributes.0,
                ..Event::default()
            });
        }
    }
    if let Some(first) = state.first_chunk {
        events.push(Event {
            time_unix_nano: after(began, first),
            name: event::FIRST_CHUNK.to_owned(),
            ..Event::default()
        });
    }
    events.truncate(most);
    events
}

fn of_attempt(call: &Recorded, attempt: &Attempt) -> Span {
    let asked = &attempt.asked;
    let operation = asked.operation.name();
    let name = match &*asked.model {
        "" => operation.to_owned(),
        model => format!("{operation} {model}"),
    };
    let began = after(unix_nanos(call.at), attempt.began);
    Span {
        trace_id: call.trace.0.to_vec(),
        span_id: attempt.span.0.to_vec(),
        parent_span_id: call.span.0.to_vec(),
        trace_state: trace_state(call),
        flags: flags(call),
        name,
        kind: SpanKind::Client.into(),
        start_time_unix_nano: began,
        end_time_unix_nano: after(began, attempt.took),
        attributes: attempt_attributes(attempt).0,
        status: attempt.error.map(|error| error_status(error.name())),
        ..Span::default()
    }
}

fn attempt_attributes(attempt: &Attempt) -> Attributes {
    let asked = &attempt.asked;
    let (method, path) = match asked.operation {
        Operation::Chat => ("POST", "/v1/messages"),
        Operation::CountTokens => ("POST", "/v1/messages/count_tokens"),
        Operation::ListModels => ("GET", "/v1/models"),
    };
    let mut all = Attributes(Vec::with_capacity(24));
    all.text(a::OPERATION, asked.operation.name());
    all.text(a::PROVIDER, names::ANTHROPIC);
    all.text(a::REQUEST_MODEL, &*asked.model);
    if asked.operation == Operation::Chat {
        all.integer(a::REQUEST_MAX_TOKENS, asked.max_tokens);
        all.boolean(a::REQUEST_STREAM, asked.streamed);
    }
    all.text(a::HTTP_METHOD, method);
    all.text(a::URL_PATH, path);
    all.text(a::SERVER_ADDRESS, asked.server.host.as_str());
    all.integer(a::SERVER_PORT, asked.server.port);
    if attempt.status != 0 {
        all.integer(a::HTTP_STATUS, attempt.status);
    }
    if attempt.number > 1 {
        all.integer(a::HTTP_RESEND_COUNT, attempt.number - 1);
    }
    all.text(a::ERROR_TYPE, attempt.error.map_or("", ErrorType::name));
    all.text(a::RETRY_REASON, attempt.cause.map_or("", ErrorType::name));
    all.seconds(a::BACKOFF, attempt.waited(Wait::Backoff));
    all.seconds(a::WAIT_LEDGER, attempt.waited(Wait::Ledger));
    all.seconds(a::WAIT_PLACE, attempt.waited(Wait::Place));
    all.text(a::KEY, &*asked.key);
    all.text(
        a::UPSTREAM_REQUEST_ID,
        attempt.request_id.as_deref().unwrap_or(""),
    );
    if let Some(response) = &attempt.response {
        all.text(a::RESPONSE_ID, response.id.as_str());
        all.text(a::RESPONSE_MODEL, response.model.as_str());
        if let Some(reason) = &response.finish_reason {
            all.list_of(a::FINISH_REASONS, reason);
        }
    }
    if let Some(first) = attempt.first_chunk {
        all.seconds(a::TIME_TO_FIRST_CHUNK, first.saturating_sub(attempt.began));
    }
    if let Some(tokens) = &attempt.tokens {
        // The conventions count the cache's tokens as input; the API does not.
        all.integer(a::INPUT_TOKENS, tokens.all_input());
        all.integer(a::OUTPUT_TOKENS, tokens.output);
        all.integer(a::CACHE_READ_TOKENS, tokens.cache_read);
        all.integer(a::CACHE_WRITE_TOKENS, tokens.cache_write());
    }
    if let Some(body) = &asked.body {
        let content = content::of_request(body);
        all.text(a::SYSTEM_INSTRUCTIONS, content.system);
        all.text(a::INPUT_MESSAGES, content.messages);
    }
    if let Some(answer) = &attempt.answer {
        all.text(a::OUTPUT_MESSAGES, content::of_answer(answer, attempt));
    }
    all
}

fn trace_state(call: &Recorded) -> String {
    let state = call.parent.as_ref().and_then(|it| it.state.as_ref());
    let text = state.and_then(|it| it.to_str().ok());
    text.unwrap_or_default().to_owned()
}

/// Only sampled calls come here.
fn flags(_call: &Recorded) -> u32 {
    1 | HAS_REMOTE
}

fn after(began: u64, time: Duration) -> u64 {
    began.saturating_add(metrics::histogram::nanos(time))
}

fn error_status(message: &str) -> Status {
    Status {
        message: message.to_owned(),
        code: StatusCode::Error.into(),
    }
}

/// The limits that the variables set.
fn limit(span: &mut Span, settings: &Settings) {
    let most = settings.attribute_limit;
    span.dropped_attributes_count = span.attributes.len().saturating_sub(most) as u32;
    span.attributes.truncate(most);
    let Some(longest) = settings.value_limit else {
        return;
    };
    for KeyValue { value, .. } in &mut span.attributes {
        if let Some(Value::StringValue(text)) = value.as_mut().and_then(|it| it.value.as_mut())
            && let Some((end, _)) = text.char_indices().nth(longest)
        {
            text.truncate(end);
        }
    }
}
