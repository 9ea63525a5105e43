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
    telemetry::{
        AttemptRecord, AttemptRequest, ErrorType, Operation, ResponseMetadata, ServerAddress,
        Tokens, Wait,
    },
};
use futures::{StreamExt, future::BoxFuture};
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Layer, Service};

/// Longest request that a span shows; it would be kept until it is exported.
const MAX_SHOWN: usize = 256 * 1024;

/// The layer that makes [`Waiting`].
#[derive(Debug, Clone, Copy)]
pub struct WaitLayer(pub Wait);

impl<S> Layer<S> for WaitLayer {
    type Service = Waiting<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Waiting {
            inner,
            wait: self.0,
        }
    }
}

/// Notes that an attempt now waits for what stands below.
#[derive(Debug, Clone)]
pub struct Waiting<S> {
    inner: S,
    wait: Wait,
}

impl<S: Service<Attempt>> Service<Attempt> for Waiting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, attempt: Attempt) -> S::Future {
        attempt.call.record.waits(self.wait);
        self.inner.call(attempt)
    }
}

/// The layer that makes [`Traced`].
#[derive(Debug, Clone)]
pub struct TraceLayer {
    server: Arc<ServerAddress>,
}

impl TraceLayer {
    /// Attempts go to the configured address.
    pub fn new(config: &UpstreamConfig) -> Self {
        let url = reqwest::Url::parse(&config.base_url).ok();
        let server = url.and_then(|url| {
            Some(ServerAddress {
                host: url.host_str()?.into(),
                port: url.port_or_known_default()?,
            })
        });
        TraceLayer {
            server: Arc::new(server.unwrap_or_default()),
        }
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Traced {
            inner,
            server: Arc::clone(&self.server),
        }
    }
}

/// Records each attempt, a stream to its end.
#[derive(Debug, Clone)]
pub struct Traced<S> {
    inner: S,
    server: Arc<ServerAddress>,
}

// === impl Traced ===

impl<S> Service<Attempt> for Traced<S>
where
    S: Service<Attempt, Response = Reply, Error = UpstreamError>,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Result<Reply, UpstreamError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut attempt: Attempt) -> Self::Future {
        let mut record = AttemptRecord::begin(&attempt.call.record, |shows_content| {
            asked(&attempt, &self.server, shows_content)
        });
        attempt.traceparent = record.traceparent();
        attempt.tracestate = record.tracestate();
        let answer = self.inner.call(attempt);
        Box::pin(async move {
            match answer.await {
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
        })
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
            record.tokens(tokens(&message.usage));
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
                known.tokens(tokens(&usage));
                known.response(|| response(message));
            }
            Ok(StreamEvent::MessageDelta(end)) => {
                usage.update(end.usage.clone());
                known.tokens(tokens(&usage));
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

fn tokens(usage: &Usage) -> Tokens {
    let written = usage.cache_creation_input_tokens.unwrap_or(0);
    let for_an_hour = usage
        .cache_creation
        .as_ref()
        .map_or(0, |it| it.ephemeral_1h_input_tokens.min(written));
    Tokens {
        input: usage.input_tokens.unwrap_or(0),
        output: usage.output_tokens.unwrap_or(0),
        cache_read: usage.cache_read_input_tokens.unwrap_or(0),
        cache_write_5m: written - for_an_hour,
        cache_write_1h: for_an_hour,
    }
}
