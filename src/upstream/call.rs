//! One call to the API.

use super::{
    ApiHeaders, Attempts, BatchCall, CachedPrefix, FileCall, Fingerprint, KeyAffinity,
    RequestShape, RoutedRpc,
};
use crate::{
    access::{Identity, limits::AttemptedModel},
    call::{Deadline, Holder, Priority, Tenant},
    host_features::Needs,
    models::ModelNeeds,
    telemetry::CallRecord,
};
use bytes::Bytes;
use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// Maximum time for which a call waits for its turn or a permit while another host is
/// left: as long as a burst may take, and less than a caller notices.
const WAIT_WITH_ALTERNATIVE: Duration = Duration::from_millis(500);

/// One call, as seen by the stack. Cloning is cheap: a retry clones it. Its parts are in a
/// box, since each layer moves it several times.
#[derive(Debug, Clone)]
pub struct Call(Box<CallParts>);

/// What a call consists of.
#[derive(Debug, Clone)]
pub struct CallParts {
    /// The request to the API.
    pub payload: Payload,
    /// Id of the model on the host; empty for the list of models.
    pub model: Arc<str>,
    /// The model by the id with which the caller or the route names it.
    pub named: Arc<str>,
    /// When the caller stops waiting. Limits waiting, attempts and backoff, and
    /// the events of a stream.
    pub deadline: Deadline,
    /// Which calls go first when calls must wait.
    pub priority: Priority,
    /// Headers of its own, in addition to those that are configured.
    pub headers: Option<Arc<ApiHeaders>>,
    /// Whether the call may share the response of an identical one in flight.
    pub coalesce: bool,
    /// Which calls should be made with the same API key.
    pub affinity: KeyAffinity,
    /// What the API caches of the request, if it marks that.
    pub prefix: Option<CachedPrefix>,
    /// The API key whose workspace has what the call is about. While it is configured,
    /// no other key is used.
    pub key: Option<Fingerprint>,
    /// The host that the caller names; `None` for those of the route.
    pub host: Option<Arc<str>>,
    /// The RPC, which decides the route.
    pub rpc: RoutedRpc,
    /// When the host was asked, if another one is left that can serve the call: a
    /// failure is then not repeated here.
    pub alternative: Option<Instant>,
    /// Tenant of the caller; responses are shared within a tenant only.
    pub tenant: Tenant,
    /// Whose permits and turns it takes; `None` for those of everybody.
    pub holder: Option<Holder>,
    /// Who makes the call, with its limits; `None` without access control.
    pub caller: Option<Arc<Identity>>,
    /// Estimate of the input tokens, reserved in the API's input quota until
    /// the actual usage is known.
    pub input_tokens: u32,
    /// Maximum number of output tokens, reserved in the API's output quota
    /// until the actual usage is known. 0 if there is no output.
    pub max_tokens: u32,
    /// A feature whose price is not that of its tokens.
    pub unpriced: Option<&'static str>,
    /// Whether it refers to what only one account has.
    pub is_bound: bool,
    /// What it asks of its model.
    pub model_needs: ModelNeeds,
    /// What it needs of its host; nothing if all hosts have all features.
    pub needs: Needs,
    /// What about the request the API may limit by itself.
    pub shape: RequestShape,
    /// The attempts of this call, over all clones.
    pub attempts: Attempts,
    /// The telemetry record of the call.
    pub record: CallRecord,
}

// === impl Call ===

impl From<CallParts> for Call {
    fn from(parts: CallParts) -> Self {
        Call(Box::new(parts))
    }
}

impl Deref for Call {
    type Target = CallParts;

    fn deref(&self) -> &CallParts {
        &self.0
    }
}

impl DerefMut for Call {
    fn deref_mut(&mut self) -> &mut CallParts {
        &mut self.0
    }
}

impl Call {
    /// What an attempt of it asks, as it is charged.
    pub fn attempted_model(&self) -> AttemptedModel {
        AttemptedModel {
            id: Arc::clone(&self.model),
            named: Arc::clone(&self.named),
        }
    }

    /// Until when it may wait for its turn: to its deadline, unless another host is left.
    pub fn waits_until(&self) -> Deadline {
        match self.alternative {
            None => self.deadline,
            Some(_) => self.deadline.min(Deadline::after(WAIT_WITH_ALTERNATIVE)),
        }
    }

    /// How long it may wait for a permit: this long, unless another host is left.
    pub fn longest_wait(&self, longest: Duration) -> Duration {
        match self.alternative {
            None => longest,
            Some(_) => longest.min(WAIT_WITH_ALTERNATIVE),
        }
    }

    /// The weight of its holder's turns; at least 1.
    pub fn weight(&self) -> u32 {
        self.caller.as_ref().map_or(1, |caller| caller.weight)
    }
}

#[cfg(test)]
impl Call {
    /// A call with an empty body and a minute of time.
    pub fn for_tests() -> Self {
        CallParts::for_tests().into()
    }
}

#[cfg(test)]
impl CallParts {
    /// A call with an empty body and a minute of time.
    pub fn for_tests() -> Self {
        CallParts {
            payload: Payload::Messages {
                body: Bytes::new(),
                transport: Transport::Whole,
            },
            model: Arc::from("m"),
            named: Arc::from("m"),
            deadline: Deadline::after(std::time::Duration::from_secs(60)),
            priority: Priority::default(),
            headers: None,
            coalesce: false,
            affinity: KeyAffinity::named(None, ""),
            prefix: None,
            key: None,
            host: None,
            rpc: RoutedRpc::default(),
            alternative: None,
            tenant: None,
            holder: None,
            caller: None,
            input_tokens: 0,
            max_tokens: 1,
            unpriced: None,
            is_bound: false,
            model_needs: ModelNeeds::default(),
            needs: Needs::default(),
            shape: RequestShape::default(),
            attempts: Attempts::default(),
            record: CallRecord::default(),
        }
    }
}

/// A request to the API.
#[derive(Debug, Clone)]
pub enum Payload {
    /// `POST /v1/messages`.
    Messages {
        /// The JSON body; its `stream` is consistent with `transport`.
        body: Bytes,
        /// How the response is transferred.
        transport: Transport,
    },
    /// `POST /v1/messages/count_tokens`.
    CountTokens {
        /// The JSON body.
        body: Bytes,
    },
    /// `GET /v1/models`.
    Models(ModelsQuery),
    /// `/v1/messages/batches`, and what is below.
    Batches(BatchCall),
    /// `/v1/files`, and what is below.
    Files(FileCall),
}

impl Payload {
    /// Whether it makes something at the API that nobody knows of without the answer: a
    /// batch that is paid, or a file.
    pub fn creates(&self) -> bool {
        matches!(
            self,
            Payload::Batches(BatchCall::Create { .. }) | Payload::Files(FileCall::Upload(_))
        )
    }
}

/// How a response is transferred from the API, and in which form it is
/// returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One JSON body, before which the API is silent until the response is
    /// complete; returns [`Body::Message`](super::Body::Message).
    Whole,
    /// Server-sent events, assembled into one response within the attempt, so
    /// that a broken stream can be retried; returns
    /// [`Body::Message`](super::Body::Message).
    Gathered,
    /// Server-sent events, passed on as they arrive; returns
    /// [`Body::Events`](super::Body::Events).
    Events,
}

/// The output rate with which the official SDKs estimate how long a response
/// takes: 128,000 tokens per hour.
const TOKENS_PER_HOUR: u64 = 128_000;

/// How long a response of `max_tokens` tokens may take: 115 s for 4,096.
pub(super) fn longest_answer(max_tokens: u32) -> Duration {
    Duration::from_millis(u64::from(max_tokens) * 3_600_000 / TOKENS_PER_HOUR)
}

/// Selects a page of the list of models.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelsQuery {
    /// Maximum number of models in the page: 1 to 1,000.
    pub limit: Option<u32>,
    /// Start after the model with this id.
    pub after_id: Option<String>,
    /// Stages of life of which models are listed; empty for those that are served.
    pub lifecycles: Vec<&'static str>,
}
