//! The data of one attempt, as its span shows it.

use crate::models::Tokens;
use crate::telemetry::metrics::{ErrorType, Operation, Wait};
use bytes::Bytes;
use opentelemetry::SpanId;
use std::{sync::Arc, time::Duration};

/// The data of one attempt.
#[derive(Debug)]
pub struct AttemptData {
    pub(in crate::telemetry) span: SpanId,
    pub(in crate::telemetry) number: u32,
    pub(in crate::telemetry) request: AttemptRequest,
    /// Start of the attempt, since the start of the call.
    pub(in crate::telemetry) began: Duration,
    pub(in crate::telemetry) took: Duration,
    /// Waits before the attempt, by [`Wait`].
    pub(in crate::telemetry) waits: [Duration; 4],
    /// Error of the previous attempt, if this one is a retry.
    pub(in crate::telemetry) cause: Option<ErrorType>,
    pub(in crate::telemetry) error: Option<ErrorType>,
    /// HTTP status, or 0 without a response.
    pub(in crate::telemetry) status: u16,
    pub(in crate::telemetry) request_id: Option<String>,
    pub(in crate::telemetry) response: Option<ResponseMetadata>,
    pub(in crate::telemetry) first_chunk: Option<Duration>,
    pub(in crate::telemetry) tokens: Option<Tokens>,
    pub(in crate::telemetry) answer: Option<String>,
}

/// The request of an attempt.
#[derive(Debug, Clone)]
pub struct AttemptRequest {
    /// The operation of the API.
    pub operation: Operation,
    /// Id of the model on the host, or empty.
    pub model: Arc<str>,
    /// The model by the id with which the caller or the route names it.
    pub named: Arc<str>,
    /// Whether the API streams the response.
    pub streamed: bool,
    /// Maximum number of output tokens, or 0 without output.
    pub max_tokens: u32,
    /// Name of the API key used.
    pub key: Arc<str>,
    /// The JSON of the request, if content is captured.
    pub body: Option<Bytes>,
    /// Name of the host that is asked.
    pub host: Arc<str>,
    /// The address of the API.
    pub server: Arc<ServerAddress>,
}

/// Host and port of the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerAddress {
    /// The host name.
    pub host: Arc<str>,
    /// The TCP port.
    pub port: u16,
}

/// Metadata of a response.
#[derive(Debug, Clone, Default)]
pub struct ResponseMetadata {
    /// The API's id of the response.
    pub id: String,
    /// The model that responded.
    pub model: String,
    /// Why the model stopped generating.
    pub finish_reason: Option<String>,
}

impl AttemptData {
    /// How long the attempt waited for `wait`.
    pub(in crate::telemetry) fn waited(&self, wait: Wait) -> Duration {
        self.waits[wait as usize]
    }
}
