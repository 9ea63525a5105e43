//! What the record of a call is told on the way up: its waits, and each
//! attempt.

use super::{
    Body, EventStream, Payload, Reply, Transport, UpstreamConfig, UpstreamError, attempt::Attempt,
};
use crate::{
    claude::{
        answer::{Message, Usage},
        event::{Delta, StreamEvent},
    },
    layer::{Next, Rule},
    pricing::Tokens,
    telemetry::{
        AttemptRecord, AttemptRequest, ErrorType, Operation, ResponseMetadata, ServerAddress, Wait,
    },
};
use futures::StreamExt;
use std::sync::Arc;

/// Longest request that a span shows; it would be kept until it is exported.
const MAX_SHOWN: usize = 256 * 1024;

/// Notes that an attempt now waits for what stands below.
pub fn waits_for(wait: Wait) -> impl FnMut(Attempt) -> Attempt + Clone + Send + Sync + 'static {
    move |attempt| {
        attempt.call.record.waits(wait);
        attempt
    }
}

/// Records each attempt, a stream to its end.
#[derive(Debug)]
pub struct TraceAttempt {
    server: Arc<ServerAddress>,
}

impl TraceAttempt {
    /// Attempts go to the configured address.
    pub fn new(config: &UpstreamConfig) -> Self {
        let url = reqwest::Url::parse(&config.base_url).ok();
        let server = url.and_then(|url| {
            Some(ServerAddress {
                host: url.host_str()?.into(),
                port: url.port_or_known_default()?,
            })
        });
        TraceAttempt {
            server: Arc::new(server.unwrap_or_default()),
        }
    }
}

impl Rule<Attempt> for TraceAttempt {
    type Inner = Attempt;
    type Response = Reply;
    type Error = UpstreamError;

    async fn call(
        &self,
        mut attempt: Attempt,
        mut next: impl Next<Attempt, Reply, UpstreamError>,
    ) -> Result<Reply, UpstreamError> {
        let mut record = AttemptRecord::begin(&attempt.call.record, |shows_content| {
            asked(&attempt, &self.server, shows_content)
        });
        attempt.traceparent = record.traceparent();
        attempt.tracestate = record.tracestate();
        match next.run(attempt).await {
            Ok(mut reply) => {
                record.replied(reply.request_id.as_deref());
                reply.body = recorded(reply.body, record);
                Ok(reply)
            }
            Err(error) => {
                fail(record, &error);
                Err(error)
            }
        }
    }
}

fn asked(attempt: &Attempt, server: &Arc<ServerAddress>, shows_content: bool) -> AttemptRequest {
    let call = &attempt.call;
    let (operation, streamed, body) = match &call.payload {
        Payload::Messages { body, transport } => {
            (Operation::Chat, *transport != Transport::Whole, Some(body))
        }
        Payload::CountTokens { body } => (Operation::CountTokens, false, Some(body)),
        Payload::Models(_) => (Operation::ListModels, false, None),
    };
    AttemptRequest {
        operation,
        model: Arc::clone(&call.model),
        streamed,
        max_tokens: call.max_tokens,
        key: Arc::clone(attempt.key.name()),
        body: body
            .filter(|body| shows_content && body.len() <= MAX_SHOWN)
            .cloned(),
        server: Arc::clone(server),
    }
}

fn fail(record: AttemptRecord, error: &UpstreamError) {
    let (kind, status, request_id) = match error {
        UpstreamError::Api(failure) => {
            let id = failure.request_id.as_deref();
            (failure.kind.as_str(), failure.status, id)
        }
        UpstreamError::Connect => ("connect", 0, None),
        UpstreamError::Broken => ("broken", 0, None),
        UpstreamError::Stalled(_) => ("stalled", 0, None),
        UpstreamError::Malformed(_) => ("malformed", 200, None),
        UpstreamError::DeadlineExceeded(_) => ("timeout", 0, None),
        _ => ("", 0, None),
    };
    record.fail(ErrorType::named(kind), status, request_id);
}

/// The same answer; the record ends with it.
fn recorded(body: Body, mut record: AttemptRecord) -> Body {
    match body {
        Body::Message(message) => {
            record.tokens(Tokens::of(&message.usage));
            record.response(|| response(&message));
            if record.shows_content() {
                record.text(&message.text());
            }
            record.succeed();
            Body::Message(message)
        }
        Body::Events(events) => Body::Events(recorded_to_end(events, record)),
        other => {
            record.succeed();
            other
        }
    }
}

/// The same events. Dropped before their end, the attempt was cancelled.
fn recorded_to_end(events: EventStream, record: AttemptRecord) -> EventStream {
    let shows_content = record.shows_content();
    let mut record = Some(record);
    let mut usage = Usage::default();
    EventStream::new(events.map(move |event| {
        let Some(known) = &mut record else {
            return event;
        };
        match &event {
            Ok(StreamEvent::BlockDelta { delta, .. }) => {
                known.chunk();
                if let (Delta::Text(text), true) = (delta, shows_content) {
                    known.text(text);
                }
            }
            Ok(StreamEvent::MessageStart(message)) => {
                usage.clone_from(&message.usage);
                known.tokens(Tokens::of(&usage));
                known.response(|| response(message));
            }
            Ok(StreamEvent::MessageDelta(end)) => {
                usage.update(end.usage.clone());
                known.tokens(Tokens::of(&usage));
                known.finish_reason(end.delta.stop_reason.as_deref());
            }
            Ok(StreamEvent::MessageStop) => {
                if let Some(record) = record.take() {
                    record.succeed();
                }
            }
            Err(error) => {
                if let Some(record) = record.take() {
                    fail(record, error);
                }
            }
            Ok(_) => {}
        }
        event
    }))
}

fn response(message: &Message) -> ResponseMetadata {
    ResponseMetadata {
        id: message.id.clone(),
        model: message.model.clone(),
        finish_reason: message.stop_reason.clone(),
    }
}
