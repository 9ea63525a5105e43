//! The client of the Claude API that the RPCs use.

use super::{
    ApiHeaders, Attempts, Body, BoxStack, Call, CallParts, EventStream, Fingerprint, KeyAffinity,
    KeyChoice, ModelsQuery, Payload, Reply, RequestShape, RoutedRpc, Transport, UpstreamError,
    cached_prefix::CachedPrefix, call::longest_answer, prefix_warmup::PrefixTable, serialize,
    unpriced::unpriced_feature,
};
use crate::access::Identity;
use crate::call::{Deadline, Holder, PeerNetwork, Priority, Tenant};
use crate::claude::{
    answer::Message,
    estimate,
    models::{ModelPage, TokenCount},
    request::MessagesRequest,
};
use crate::host_features::Needs;
use crate::layer::{Rule, RuleLayer};
use crate::models::ModelNeeds;
use crate::telemetry::CallRecord;
use bytes::Bytes;
use std::{borrow::BorrowMut, sync::Arc, time::Duration};
use tower::{Layer, ServiceExt};

/// A response that may take longer is streamed from the API even if the caller
/// wants it in one piece. The official SDKs reject such calls.
const LONGEST_WHOLE: Duration = Duration::from_secs(600);

/// A client of the Claude API. Cloning is cheap; all clones share the stack and
/// its connections.
#[derive(Debug, Clone)]
pub struct Client {
    stack: BoxStack,
    /// Whether some host lacks a feature, so that the needs of calls matter.
    finds_needs: bool,
    /// The prefixes that the API caches.
    prefixes: PrefixTable,
}

/// Options of one call.
#[derive(Debug, Clone)]
pub struct CallOptions {
    /// When the caller stops waiting.
    pub deadline: Deadline,
    /// Which calls go first when calls must wait.
    pub priority: Priority,
    /// Headers of the request, in addition to those that are configured.
    pub headers: Option<Arc<ApiHeaders>>,
    /// Whether the call may share the response of an identical one in flight.
    pub coalesce: bool,
    /// What decides the API key, unless the caller has named the conversation.
    pub key_choice: KeyChoice,
    /// The conversation, as the caller names it.
    pub conversation: Option<String>,
    /// The API key whose workspace has what the call is about.
    pub key: Option<Fingerprint>,
    /// The host that the caller names; `None` for those of the route.
    pub host: Option<Arc<str>>,
    /// The RPC, which decides the route.
    pub rpc: RoutedRpc,
    /// Tenant of the caller; responses are shared within a tenant only.
    pub tenant: Tenant,
    /// The peer, without access control.
    pub peer: Option<PeerNetwork>,
    /// Who makes the call; `None` without access control.
    pub caller: Option<Arc<Identity>>,
    /// The telemetry record of the call.
    pub record: CallRecord,
}

impl CallOptions {
    /// An interactive call that shares no response.
    pub fn new(deadline: Deadline) -> Self {
        CallOptions {
            deadline,
            priority: Priority::default(),
            headers: None,
            coalesce: false,
            key_choice: KeyChoice::Conversation,
            conversation: None,
            key: None,
            host: None,
            rpc: RoutedRpc::default(),
            tenant: None,
            peer: None,
            caller: None,
            record: CallRecord::default(),
        }
    }

    /// Whose share it takes: the tenant's, or else the peer's.
    pub fn holder(&self) -> Option<Holder> {
        let tenant = self.tenant.clone().map(Holder::Tenant);
        tenant.or_else(|| self.peer.map(Holder::Peer))
    }
}

/// A response and how it was obtained.
#[derive(Debug)]
pub struct Answered<T> {
    /// The response itself.
    pub value: T,
    /// Where it is from.
    pub origin: AnswerOrigin,
    /// Attempts that were made.
    pub attempts: u32,
}

/// Where a response is from.
#[derive(Debug, Clone, Default)]
pub struct AnswerOrigin {
    /// Name of the host.
    pub host: Arc<str>,
    /// The host's id of the request.
    pub request_id: Option<String>,
}

/// A failure and the attempts before it.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Why the last attempt failed, or why there was none.
    pub error: UpstreamError,
    /// Attempts that were made.
    pub attempts: u32,
}

impl Failed {
    /// Whether the API does not have what the call is about.
    pub fn is_not_found(&self) -> bool {
        matches!(&self.error, UpstreamError::Api(failure) if failure.is_not_found())
    }
}

impl Client {
    /// A client on top of a stack, whose hosts have all features.
    pub fn new(stack: BoxStack) -> Self {
        Client {
            stack,
            finds_needs: false,
            prefixes: PrefixTable::default(),
        }
    }

    /// The client, if some host lacks a feature: it finds out what each call needs.
    #[must_use]
    pub fn finding_needs(self, finds_needs: bool) -> Self {
        Client {
            finds_needs,
            ..self
        }
    }

    /// The client, if calls wait for the first one of their prefix.
    #[must_use]
    pub fn warming_up(self, prefixes: PrefixTable) -> Self {
        Client { prefixes, ..self }
    }

    /// The same client, with a layer on top of its stack.
    #[must_use]
    pub fn under<R>(self, layer: &RuleLayer<R>) -> Self
    where
        R: Rule<Call, Inner = Call, Response = Reply, Error = UpstreamError>,
    {
        Client {
            stack: BoxStack::new(layer.layer(self.stack)),
            ..self
        }
    }

    /// Requests one complete response. A request that is not borrowed is dropped
    /// before it is sent: only its body is kept.
    ///
    /// # Errors
    /// When no attempt succeeds before the deadline.
    pub async fn message(
        &self,
        mut request: impl BorrowMut<MessagesRequest>,
        options: CallOptions,
    ) -> Result<Answered<Message>, Failed> {
        let (transport, prefix) = {
            let request = request.borrow_mut();
            let prefix = prefix(request, &options);
            let transport = self.transport(request, prefix);
            request.stream = transport != Transport::Whole;
            (transport, prefix)
        };
        let call = self.messages(request.borrow(), transport, prefix, options)?;
        drop(request);
        let answered = self.answered(call).await?;
        answered.expect(|body| match body {
            Body::Message(message) => Some(*message),
            _ => None,
        })
    }

    /// Requests a response as events. Returns with the first one.
    ///
    /// # Errors
    /// When no attempt returns a first event before the deadline.
    pub async fn stream(
        &self,
        mut request: MessagesRequest,
        options: CallOptions,
    ) -> Result<Answered<EventStream>, Failed> {
        request.stream = true;
        let prefix = prefix(&request, &options);
        let call = self.messages(&request, Transport::Events, prefix, options)?;
        drop(request);
        let answered = self.answered(call).await?;
        answered.expect(|body| match body {
            Body::Events(events) => Some(events),
            _ => None,
        })
    }

    /// Counts the tokens of a request.
    ///
    /// # Errors
    /// When no attempt succeeds before the deadline.
    pub async fn count_tokens(
        &self,
        request: MessagesRequest,
        options: CallOptions,
    ) -> Result<Answered<TokenCount>, Failed> {
        let payload = Payload::CountTokens {
            body: body(&request)?,
        };
        let call = self.call(payload, &request, options);
        drop(request);
        let answered = self.answered(call).await?;
        answered.expect(|body| match body {
            Body::TokenCount(count) => Some(count),
            _ => None,
        })
    }

    /// Requests a page of the list of models.
    ///
    /// # Errors
    /// When no attempt succeeds before the deadline.
    pub async fn models(
        &self,
        query: ModelsQuery,
        options: CallOptions,
    ) -> Result<Answered<ModelPage>, Failed> {
        let nothing = MessagesRequest::default();
        let call = call(Payload::Models(query), &nothing, options);
        let answered = self.answered(call).await?;
        answered.expect(|body| match body {
            Body::Models(page) => Some(page),
            _ => None,
        })
    }

    fn messages(
        &self,
        request: &MessagesRequest,
        transport: Transport,
        prefix: Option<CachedPrefix>,
        options: CallOptions,
    ) -> Result<Call, Failed> {
        let body = body(request)?;
        let payload = Payload::Messages { body, transport };
        let mut call = self.call(payload, request, options);
        call.prefix = prefix;
        Ok(call)
    }

    /// How a response that the caller wants in one piece is transferred. Reading it
    /// whole costs a fraction of reading its events, but the API is silent until it
    /// is complete; of a call that others may wait for, its beginning must be seen.
    fn transport(&self, request: &MessagesRequest, prefix: Option<CachedPrefix>) -> Transport {
        let is_long = longest_answer(request.max_tokens.unwrap_or(0)) > LONGEST_WHOLE;
        if is_long || prefix.is_some_and(|prefix| !self.prefixes.has(prefix)) {
            Transport::Gathered
        } else {
            Transport::Whole
        }
    }

    /// A call with its needs.
    fn call(&self, payload: Payload, request: &MessagesRequest, options: CallOptions) -> Call {
        let mut call = call(payload, request, options);
        if self.finds_needs {
            let betas = call.headers.as_deref().map_or(&[][..], |it| &it.betas);
            call.needs = Needs::of(request, betas);
        }
        call
    }

    pub(super) async fn answered(&self, call: Call) -> Result<Answered<Body>, Failed> {
        let attempts = call.attempts.clone();
        match self.stack.clone().oneshot(call).await {
            Ok(Reply {
                request_id,
                host,
                body,
                ..
            }) => Ok(Answered {
                value: body,
                origin: AnswerOrigin { host, request_id },
                attempts: attempts.count(),
            }),
            Err(error) => Err(Failed {
                error,
                attempts: attempts.count(),
            }),
        }
    }
}

/// What the stack knows of a request: its body, and what is computed from it.
pub(super) fn call(payload: Payload, request: &MessagesRequest, options: CallOptions) -> Call {
    let tenant = options.tenant.as_deref();
    let holder = options.holder();
    let affinity = match &options.conversation {
        Some(name) => KeyAffinity::named(tenant, name),
        None => KeyAffinity::of(tenant, request, options.key_choice),
    };
    let model = Arc::from(request.model.as_str());
    options.record.model(&model);
    let input_tokens = estimate::input_tokens(request);
    let shape = RequestShape::of(request, input_tokens);
    let headers = options.headers.as_deref();
    let is_of_account =
        headers.is_some_and(|it| it.workspace.is_some() || it.user_profile.is_some());
    let is_bound =
        options.key.is_some() || is_of_account || shape.is_bound() || has_thread(request);
    let parts = CallParts {
        payload,
        named: Arc::clone(&model),
        model,
        deadline: options.deadline,
        priority: options.priority,
        headers: options.headers,
        coalesce: options.coalesce,
        affinity,
        prefix: None,
        key: options.key,
        host: options.host,
        rpc: options.rpc,
        alternative: None,
        holder,
        tenant: options.tenant,
        caller: options.caller,
        input_tokens,
        unpriced: unpriced_feature(request),
        is_bound,
        model_needs: ModelNeeds::of(request),
        needs: Needs::default(),
        shape,
        max_tokens: request.max_tokens.unwrap_or(0),
        attempts: Attempts::default(),
        record: options.record,
    };
    parts.into()
}

/// Whether a request goes on with a thread, which the API keeps.
fn has_thread(request: &MessagesRequest) -> bool {
    let extra = request.extra.as_ref();
    extra.is_some_and(|extra| extra.get().contains("\"thread\""))
}

fn body(request: &MessagesRequest) -> Result<Bytes, Failed> {
    serialize::body(request).map_err(|error| Failed { error, attempts: 0 })
}

/// What the API caches of a request.
fn prefix(request: &MessagesRequest, options: &CallOptions) -> Option<CachedPrefix> {
    let headers = options.headers.as_deref();
    CachedPrefix::of(request, options.tenant.as_deref(), headers)
}

impl Answered<Body> {
    pub(super) fn expect<T>(
        self,
        pick: impl FnOnce(Body) -> Option<T>,
    ) -> Result<Answered<T>, Failed> {
        match pick(self.value) {
            Some(value) => Ok(Answered {
                value,
                origin: self.origin,
                attempts: self.attempts,
            }),
            None => Err(Failed {
                error: UpstreamError::Malformed("unexpected response type".into()),
                attempts: self.attempts,
            }),
        }
    }
}
