//! What is known of one attempt, as its span shows it.

use crate::pricing::Tokens;
use crate::telemetry::metrics::{ErrorType, Operation, Wait};
use bytes::Bytes;
use opentelemetry::SpanId;
use std::{sync::Arc, time::Duration};

/// What is known of an attempt, as its span shows it.
#[derive(Debug)]
pub struct AttemptData {
    pub(in crate::telemetry) span: SpanId,
    pub(in crate::telemetry) number: u32,
    pub(in crate::telemetry) request: AttemptRequest,
    /// Since the call began.
    pub(in crate::telemetry) began: Duration,
    pub(in crate::telemetry) took: Duration,
    /// By [`Wait`].
    pub(in crate::telemetry) waits: [Duration; 3],
    /// Why it was made, unless it was the first.
    pub(in crate::telemetry) cause: Option<ErrorType>,
    pub(in crate::telemetry) error: Option<ErrorType>,
    /// HTTP status; 0 when none came.
    pub(in crate::telemetry) status: u16,
    pub(in crate::telemetry) request_id: Option<String>,
    pub(in crate::telemetry) response: Option<ResponseMetadata>,
    pub(in crate::telemetry) first_chunk: Option<Duration>,
    pub(in crate::telemetry) tokens: Option<Tokens>,
    pub(in crate::telemetry) answer: Option<String>,
}

/// What an attempt asks.
#[derive(Debug, Clone)]
pub struct AttemptRequest {
    /// What for.
    pub operation: Operation,
    /// The model.
    pub model: Arc<str>,
    /// Whether the answer is streamed from the API.
    pub streamed: bool,
    /// Most output tokens; 0 where there is no output.
    pub max_tokens: u32,
    /// Name of the API key.
    pub key: Arc<str>,
    /// The request's JSON; shown only when that is asked for.
    pub body: Option<Bytes>,
    /// Where it goes.
    pub server: Arc<ServerAddress>,
}

/// Where the API is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerAddress {
    /// Host.
    pub host: Arc<str>,
    /// Port.
    pub port: u16,
}

/// What an answer says of itself.
#[derive(Debug, Clone, Default)]
pub struct ResponseMetadata {
    /// The API's id of it.
    pub id: String,
    /// The model that answered.
    pub model: String,
    /// Why the model stopped.
    pub finish_reason: Option<String>,
}

impl AttemptData {
    /// The wait for something before it was made.
    pub(in crate::telemetry) fn waited(&self, wait: Wait) -> Duration {
        self.waits[wait as usize]
    }
}
