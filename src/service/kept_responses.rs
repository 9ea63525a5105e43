//! Responses that are kept, and found again: of unary calls that ask for it.
//!
//! Only complete answers are kept. What depends on more than the request is not: on a
//! thread, a container, or fields that are unknown here.

use super::{Rpcs, answer};
use crate::{
    access::Identity,
    claude::request::MessagesRequest,
    proto::v1,
    response_cache::{ResponseCache, ResponseKey},
    upstream::{self, ApiHeaders, CallOptions},
};
use bytes::Bytes;
use prost::Message;
use serde::Serialize;
use std::time::Duration;

/// A response that may be kept.
pub trait KeepableResponse: Message + Default {
    /// The name of its RPC.
    const RPC: &'static str;

    /// Whether it answers its request in full, and nothing that it names ends.
    fn is_complete(&self) -> bool;

    /// Its usage, and whether it is from the cache.
    fn usage_and_cached(&mut self) -> (&mut Option<v1::Usage>, &mut bool);
}

/// What was found for a call.
pub enum FoundResponse<T> {
    /// The response itself.
    Kept(T),
    /// None: the response of this call is to be kept, if it asks for that.
    Missing(Option<KeepAs>),
}

/// Where a response is to be kept.
pub struct KeepAs {
    cache: ResponseCache,
    key: ResponseKey,
}

/// All that a response follows from, except for the request to the API.
#[derive(Serialize)]
struct MadeBy<'a> {
    rpc: &'static str,
    tenant: Option<&'a str>,
    host: Option<&'a str>,
    headers: Option<&'a ApiHeaders>,
    /// An answer comes from where each client may have it from.
    may_use: Option<(&'a [String], &'a [String], bool)>,
}

// === impl Rpcs ===

impl Rpcs {
    /// The response to a request that is kept, if the call accepts one that is not older
    /// than `max_age`; zero if it accepts none.
    pub async fn kept<T: KeepableResponse>(
        &self,
        request: &MessagesRequest,
        options: &CallOptions,
        max_age: Duration,
    ) -> FoundResponse<T> {
        let Some(cache) = self.responses.as_ref().filter(|_| !max_age.is_zero()) else {
            return FoundResponse::Missing(None);
        };
        let caller = options.caller.as_deref();
        let is_refused = caller.is_some_and(|it| it.may_ask(&request.model).is_err());
        let depends_on_more = request.extra.is_some() || request.container.is_some();
        if is_refused || depends_on_more || options.key.is_some() {
            return FoundResponse::Missing(None);
        }
        // One that cannot be written fails when it is sent.
        let Ok(body) = upstream::body(request) else {
            return FoundResponse::Missing(None);
        };
        let by = MadeBy {
            rpc: T::RPC,
            tenant: options.tenant.as_deref(),
            host: options.host.as_deref(),
            headers: options.headers.as_deref(),
            may_use: caller.map(may_use),
        };
        let key = ResponseKey::of(&by, &body);
        let found = cache.get(&key, max_age).await;
        match found.and_then(|found| T::decode(found).ok()) {
            Some(response) => {
                options.record.found(&request.model);
                FoundResponse::Kept(as_found(response))
            }
            None => {
                let cache = cache.clone();
                FoundResponse::Missing(Some(KeepAs { cache, key }))
            }
        }
    }
}

fn may_use(caller: &Identity) -> (&[String], &[String], bool) {
    let is_in_dollars = caller.limits.are_in_dollars();
    (&caller.hosts, &caller.models, is_in_dollars)
}

/// A response as it is found: it has used nothing, and says what was saved.
fn as_found<T: KeepableResponse>(mut response: T) -> T {
    let (usage, cached) = response.usage_and_cached();
    *cached = true;
    let saved = usage.take().unwrap_or_default();
    *usage = Some(v1::Usage {
        saved_input_tokens: saved.total_input_tokens,
        saved_output_tokens: saved.output_tokens,
        ..v1::Usage::default()
    });
    response
}

// === impl KeepAs ===

impl KeepAs {
    /// Keeps a response, if it is complete.
    pub async fn keep(self, response: &impl KeepableResponse) {
        if response.is_complete() {
            let encoded = Bytes::from(response.encode_to_vec());
            self.cache.put(self.key, encoded).await;
        }
    }
}

fn has_ended(stop_reason: &str) -> bool {
    use v1::StopReason::{EndTurn, StopSequence, ToolUse};
    matches!(
        answer::stop_reason(stop_reason),
        EndTurn | StopSequence | ToolUse
    )
}

impl KeepableResponse for v1::GenerateResponse {
    const RPC: &'static str = "Generate";

    fn is_complete(&self) -> bool {
        has_ended(&self.stop_reason_text) && self.container.is_none()
    }

    fn usage_and_cached(&mut self) -> (&mut Option<v1::Usage>, &mut bool) {
        (&mut self.usage, &mut self.cached)
    }
}

impl KeepableResponse for v1::SummarizeResponse {
    const RPC: &'static str = "Summarize";

    fn is_complete(&self) -> bool {
        has_ended(&self.stop_reason_text)
    }

    fn usage_and_cached(&mut self) -> (&mut Option<v1::Usage>, &mut bool) {
        (&mut self.usage, &mut self.cached)
    }
}

impl KeepableResponse for v1::ClassifyResponse {
    const RPC: &'static str = "Classify";

    /// Every other classification is an error.
    fn is_complete(&self) -> bool {
        true
    }

    fn usage_and_cached(&mut self) -> (&mut Option<v1::Usage>, &mut bool) {
        (&mut self.usage, &mut self.cached)
    }
}
