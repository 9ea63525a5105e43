//! Telemetry of a call on its way to the API: its waits, and each attempt.

use super::{
    BatchCall, Body, FileCall, HostConfig, Payload, Reply, Transport, UpstreamError,
    attempt::Attempt, usage_meter::UsageMeter,
};
use crate::{
    claude::{
        answer::Message,
        event::{Delta, StreamEvent},
    },
    layer::{Next, Rule},
    telemetry::{
        AttemptRecord, AttemptRequest, ErrorType, Operation, ResponseMetadata, ServerAddress, Wait,
    },
};
use reqwest::Url;
use std::sync::Arc;

/// Maximum size of a request in a span, in bytes; it is kept until it is
/// exported.
const MAX_SHOWN: usize = 256 * 1024;

/// Records that an attempt now waits for the layer below.
pub fn waits_for(wait: Wait) -> impl FnMut(Attempt) -> Attempt + Clone + Send + Sync + 'static {
    move |attempt| {
        attempt.call.record.waits(wait);
        attempt
    }
}

/// Records each attempt, a stream to its end.
#[derive(Debug)]
pub struct TraceAttempt {
    host: Arc<str>,
    server: Arc<ServerAddress>,
}

impl TraceAttempt {
    /// Records attempts at a host with this base URL.
    pub fn new(host: &HostConfig, base_url: &Url) -> Self {
        TraceAttempt {
            host: Arc::from(host.name.as_str()),
            server: Arc::new(ServerAddress {
                host: base_url.host_str().unwrap_or_default().into(),
                port: base_url.port_or_known_default().unwrap_or_default(),
            }),
        }
    }

    fn asked(&self, attempt: &Attempt, shows_content: bool) -> AttemptRequest {
        let call = &attempt.call;
        let (operation, streamed, body) = match &call.payload {
            Payload::Messages { body, transport } => {
                (Operation::Chat, *transport != Transport::Whole, Some(body))
            }
            Payload::CountTokens { body } => (Operation::CountTokens, false, Some(body)),
            Payload::Models(_) => (Operation::ListModels, false, None),
            Payload::Batches(of) => (batch_operation(of), false, None),
            Payload::Files(of) => (file_operation(of), false, None),
        };
        AttemptRequest {
            operation,
            model: Arc::clone(&call.model),
            named: Arc::clone(&call.named),
            streamed,
            max_tokens: call.max_tokens,
            key: Arc::clone(attempt.key.name()),
            body: body
                .filter(|body| shows_content && body.len() <= MAX_SHOWN)
                .cloned(),
            host: Arc::clone(&self.host),
            server: Arc::clone(&self.server),
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
        let record = AttemptRecord::begin(&attempt.call.record, |shows_content| {
            self.asked(&attempt, shows_content)
        });
        attempt.traceparent = record.traceparent();
        attempt.tracestate = record.tracestate();
        let mut record = MeteredRecord {
            record: Some(record),
            meter: attempt.meter.clone(),
        };
        match next.run(attempt).await {
            Ok(mut reply) => {
                record.replied(reply.request_id.as_deref());
                reply.body = recorded(reply.body, record);
                Ok(reply)
            }
            Err(error) => {
                record.end(|record| fail(record, &error));
                Err(error)
            }
        }
    }
}

fn batch_operation(of: &BatchCall) -> Operation {
    match of {
        BatchCall::Create { .. } => Operation::CreateBatch,
        BatchCall::List { .. } => Operation::ListBatches,
        BatchCall::Get(_) => Operation::GetBatch,
        BatchCall::Cancel(_) => Operation::CancelBatch,
        BatchCall::Delete(_) => Operation::DeleteBatch,
        BatchCall::Results(_) => Operation::BatchResults,
    }
}

fn file_operation(of: &FileCall) -> Operation {
    match of {
        FileCall::Upload(_) => Operation::UploadFile,
        FileCall::Get(_) => Operation::GetFile,
        FileCall::Delete(_) => Operation::DeleteFile,
        FileCall::Content(_) => Operation::DownloadFile,
    }
}

fn fail(record: AttemptRecord, error: &UpstreamError) {
    let (kind, status, request_id) = failure(error);
    record.fail(ErrorType::named(kind), status, request_id);
}

/// The error type of an attempt that failed, its status and its request id.
fn failure(error: &UpstreamError) -> (&str, u16, Option<&str>) {
    match error {
        UpstreamError::Api(failure) => {
            let id = failure.request_id.as_deref();
            (failure.kind.as_str(), failure.status, id)
        }
        UpstreamError::Connect(failure) => (failure.error_type(), 0, None),
        UpstreamError::Broken | UpstreamError::BrokenWithOthers => ("broken", 0, None),
        UpstreamError::Stalled(_) => ("stalled", 0, None),
        UpstreamError::Malformed(_) => ("malformed", 200, None),
        UpstreamError::DeadlineExceeded(_) => ("timeout", 0, None),
        // It got a permit, but no stream.
        UpstreamError::ConcurrencyLimitExceeded { .. } => ("concurrency_limit", 0, None),
        _ => ("", 0, None),
    }
}

/// The same response; the record ends with it.
fn recorded(body: Body, mut record: MeteredRecord) -> Body {
    match body {
        Body::Message(message) => {
            record.end(|mut record| {
                record.response(|| response(&message));
                if record.shows_content() {
                    record.text(&message.text());
                }
                record.succeed();
            });
            Body::Message(message)
        }
        Body::Events(events) => Body::Events(events.inspect(move |event| record.see(event))),
        other => {
            record.end(AttemptRecord::succeed);
            other
        }
    }
}

/// The record of an attempt, which ends with what the attempt has used. If
/// dropped before its end, the attempt was cancelled.
struct MeteredRecord {
    record: Option<AttemptRecord>,
    meter: UsageMeter,
}

impl MeteredRecord {
    fn replied(&mut self, request_id: Option<&str>) {
        if let Some(record) = &mut self.record {
            record.replied(request_id);
        }
    }

    fn see(&mut self, event: &Result<StreamEvent, UpstreamError>) {
        let Some(record) = &mut self.record else {
            return;
        };
        match event {
            Ok(StreamEvent::BlockDelta { delta, .. }) => {
                record.chunk();
                if let Delta::Text(text) = delta
                    && record.shows_content()
                {
                    record.text(text);
                }
            }
            Ok(StreamEvent::MessageStart(message)) => record.response(|| response(message)),
            Ok(StreamEvent::MessageDelta(end)) => {
                record.finish_reason(end.delta.stop_reason.as_deref());
            }
            Ok(StreamEvent::MessageStop) => self.end(AttemptRecord::succeed),
            Err(error) => self.end(|record| fail(record, error)),
            Ok(_) => {}
        }
    }

    fn end(&mut self, end: impl FnOnce(AttemptRecord)) {
        if let Some(mut record) = self.record.take() {
            if let Some(tokens) = self.meter.usage() {
                record.tokens(tokens);
            }
            end(record);
        }
    }
}

impl Drop for MeteredRecord {
    fn drop(&mut self) {
        self.end(drop);
    }
}

fn response(message: &Message) -> ResponseMetadata {
    ResponseMetadata {
        id: message.id.clone(),
        model: message.model.clone(),
        finish_reason: message.stop_reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::ConnectFailure;
    use std::time::Duration;

    #[test]
    fn each_failure_of_an_attempt_has_an_error_type() {
        let second = Duration::from_secs(1);
        for (error, name) in [
            (
                UpstreamError::Connect(ConnectFailure::Refused),
                "connect_refused",
            ),
            (UpstreamError::Broken, "broken"),
            (UpstreamError::BrokenWithOthers, "broken"),
            (UpstreamError::Stalled(second), "stalled"),
            (UpstreamError::Malformed("in a test".into()), "malformed"),
            (UpstreamError::DeadlineExceeded("in a test"), "timeout"),
            (
                UpstreamError::ConcurrencyLimitExceeded {
                    retry_after: second,
                },
                "concurrency_limit",
            ),
        ] {
            assert_eq!(ErrorType::named(failure(&error).0).name(), name);
        }
    }
}
