//! The layer that lets a tenant name only what belongs to it.
//!
//! Outermost: nothing is charged or sent for a request that names what it may not. On the
//! way back it notes what an answer made before it is passed on, so that the tenant can name it
//! in later calls, which are made with the same key at the same host.

use super::{
    answer_ids::AnswerIds,
    named_ids::{NamedIds, Unsearchable},
    notes::NoteTaker,
};
use crate::{
    layer::{Next, Rule},
    upstream::{BatchCall, Body, Call, Payload, Reply, UpstreamError},
};
use bytes::Bytes;
use std::sync::Arc;

/// Checks the ids of requests, and notes those of answers.
pub struct Guard {
    /// Knows, and notes, what belongs to whom.
    pub note_taker: NoteTaker,
}

// === impl Guard ===

impl Guard {
    /// Checks what a request names, and returns the ids. Without access control there is
    /// one tenant, which may also name what is unknown here.
    async fn check(&self, call: &mut Call) -> Result<Option<NamedIds>, UpstreamError> {
        let Some(body) = searched(&call.payload) else {
            return Ok(None);
        };
        let named = NamedIds::search(body).await;
        let Some(named) = named.map_err(|Unsearchable| UpstreamError::Unsearchable)? else {
            return Ok(None);
        };
        let tenant = tenant_of(call);
        let ids: Vec<_> = named.ids.iter().map(|(kind, id)| (*kind, &**id)).collect();
        let found = self.note_taker.registry.find_all(tenant, &ids).await;
        let mut place = None;
        for ((kind, id), found) in ids.into_iter().zip(found) {
            match found {
                Ok(Some(owned)) => place = place.or(Some(owned)),
                _ if tenant.is_empty() => {}
                Ok(None) => {
                    let id = id.to_owned();
                    return Err(UpstreamError::NotOwned { kind, id });
                }
                Err(_) => return Err(UpstreamError::OwnershipUnknown),
            }
        }
        if let Some(owned) = place {
            call.key = call.key.or(owned.key);
            let host = || Arc::from(owned.host.as_str());
            call.host = Some(call.host.take().unwrap_or_else(host));
        }
        Ok(Some(named))
    }
}

/// The tenant of a call; empty without access control.
fn tenant_of(call: &Call) -> &str {
    call.tenant.as_deref().unwrap_or_default()
}

/// The body that is searched for ids.
fn searched(payload: &Payload) -> Option<&Bytes> {
    match payload {
        Payload::Messages { body, .. }
        | Payload::CountTokens { body }
        | Payload::Batches(BatchCall::Create { body }) => Some(body),
        _ => None,
    }
}

impl Rule<Call> for Guard {
    type Inner = Call;
    type Response = Reply;
    type Error = UpstreamError;

    async fn call(
        &self,
        mut call: Call,
        mut next: impl Next<Call, Reply, UpstreamError>,
    ) -> Result<Reply, UpstreamError> {
        let named = self.check(&mut call).await?;
        let are_results = matches!(call.payload, Payload::Batches(BatchCall::Results(_)));
        if named.is_none() && !are_results {
            return next.run(call).await;
        }
        let (tenant, headers) = (tenant_of(&call).to_owned(), call.headers.clone());
        let has_thread = named.is_some_and(|named| named.has_thread);
        let mut reply = next.run(call).await?;
        let notes = self.note_taker.on(&reply, tenant, headers);
        match &mut reply.body {
            Body::Message(message) => {
                if let Some(noted) = notes.add(AnswerIds::of_message(message, has_thread)) {
                    noted.await;
                }
            }
            Body::Events(events) => {
                let note = move |event: &_| notes.add(AnswerIds::of_event(event, has_thread));
                events.hold_back(note).await;
            }
            Body::BatchResults(results) => {
                results.hold_back(move |result| notes.add(AnswerIds::of_result(result)));
            }
            _ => {}
        }
        Ok(reply)
    }
}
