//! One call on its way to the API.

use crate::{
    access::Identity,
    call::{Deadline, Priority},
    telemetry::CallRecord,
};
use bytes::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// One call, as the stack sees it. Cloning is cheap: a retry clones it.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is asked.
    pub payload: Payload,
    /// Model id; empty for the catalogue.
    pub model: Arc<str>,
    /// When the caller stops waiting. Bounds waiting, attempts and backoff,
    /// and the events of a stream.
    pub deadline: Deadline,
    /// Who goes first when calls have to wait.
    pub priority: Priority,
    /// Whether the call may share the answer of an identical one in flight.
    pub coalesce: bool,
    /// Whose call it is; answers are shared within a tenant only.
    pub tenant: Option<Arc<str>>,
    /// Who makes the call, and what it may use; `None` without access
    /// control.
    pub caller: Option<Arc<Identity>>,
    /// Estimate of the input tokens: what the API's input bucket is charged
    /// before the answer is known.
    pub input_tokens: u32,
    /// Upper limit of output tokens: what the API's output bucket is charged
    /// before the answer is known. 0 where there is no output.
    pub max_tokens: u32,
    /// Counts the attempts made for this call, over all clones.
    pub attempts: Attempts,
    /// What is recorded of it.
    pub record: CallRecord,
}

/// What is asked of the API.
#[derive(Debug, Clone)]
pub enum Payload {
    /// `POST /v1/messages`.
    Messages {
        /// The JSON body; its `stream` agrees with `transport`.
        body: Bytes,
        /// How the answer travels.
        transport: Transport,
    },
    /// `POST /v1/messages/count_tokens`.
    CountTokens {
        /// The JSON body.
        body: Bytes,
    },
    /// `GET /v1/models`.
    Models(ModelsQuery),
}

/// How an answer travels from the API, and in which form it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One JSON body; gives [`Body::Message`](super::Body::Message).
    Whole,
    /// Server-sent events, gathered into one answer within the attempt, so
    /// that a broken stream can be retried; gives
    /// [`Body::Message`](super::Body::Message).
    Gathered,
    /// Server-sent events, passed on as they come; gives
    /// [`Body::Events`](super::Body::Events).
    Events,
}

/// Which page of the catalogue is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelsQuery {
    /// Most models in the page: 1 to 1,000.
    pub limit: Option<u32>,
    /// Begin after the model with this id.
    pub after_id: Option<String>,
}

/// Counts the attempts that were made for one call.
#[derive(Debug, Clone, Default)]
pub struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// Attempts begun so far.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes over the count of the call that was shared.
    pub fn set(&self, count: u32) {
        self.0.store(count, Ordering::Relaxed);
    }

    /// Notes that one more attempt begins; gives its number, from 1.
    pub fn begin(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}
