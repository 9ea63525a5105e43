//! Admits calls: by the state of the drain, by the maximum number of calls in
//! the process and the memory of their messages, and until their deadline.
//!
//! The gRPC library's own timeout answers CANCELLED, does not cover streams,
//! and ignores a header that it cannot parse; so it is implemented here. A call
//! whose time is up ends with a status, and everything below it is dropped.

use super::{
    body::{DeadlineBody, StreamLimits},
    drain::Drain,
    ended_tasks::EndedTasks,
    messages::{DecompressionTurns, GatheredBody, MessageCount},
    outgoing::Held,
    peers::{Peer, PeerCall},
    tenant_calls::share,
    timeout,
    unread::UnreadResponses,
};
use crate::{
    access::has_signature,
    call::{Deadline, Holder},
    layer::{Next, Rule},
    memory::{MessageBudget, MessageBytes},
    proto::{self, DecodedSize},
    status,
    telemetry::CallRecord,
};
use bytes::Bytes;
use futures::FutureExt;
use http::{Request, Response};
use http_body::Body as _;
use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tonic::{body::Body, codegen::StdError};

/// Admits calls. Handlers find their [`Deadline`] in the request's extensions.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Aborts the remaining calls at the end of a drain.
    pub drain: Drain,
    /// Whether the connection was accepted during the drain: its calls are
    /// rejected.
    pub refused: bool,
    /// Maximum number of calls at once, in the whole process.
    pub max_calls: usize,
    /// Maximum duration of a call.
    pub max_deadline: Duration,
    /// The memory of the messages of all calls.
    pub messages: MessageBudget,
    /// Who decompresses a large message.
    pub turns: DecompressionTurns,
    /// Maximum size of a message, in bytes.
    pub max_message_bytes: usize,
    /// Maximum time for which the reader of a stream may take nothing.
    pub stall_timeout: Duration,
    /// The unary responses, whose readers may take nothing for as long.
    pub unread: UnreadResponses,
    /// Where a task is ended whose stream's status is not taken.
    pub ended_tasks: EndedTasks,
    /// Whether callers are known only by the addresses of their peers: there is no
    /// access control.
    pub is_anonymous: bool,
}

impl<B> Rule<Request<B>> for Admission
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError>,
{
    type Inner = Request<GatheredBody<B>>;
    type Response = Response<Body>;
    type Error = Infallible;

    async fn call(
        &self,
        mut request: Request<B>,
        mut next: impl Next<Request<GatheredBody<B>>, Response<Body>, Infallible>,
    ) -> Result<Response<Body>, Infallible> {
        if self.refused {
            return Ok(status::draining().into_http());
        }
        let place = self.drain.call();
        let Some(free) = self.max_calls.checked_sub(self.drain.running()) else {
            return Ok(status::overloaded().into_http());
        };
        let Ok(of_peer) = self.of_peer(&mut request, free) else {
            return Ok(status::overloaded_by_peer().into_http());
        };
        let deadline = match timeout::requested(request.headers()) {
            Ok(requested) => {
                let longest = self.max_deadline;
                Deadline::after(requested.map_or(longest, |it| it.min(longest)))
            }
            Err(malformed) => return Ok(status::invalid_timeout(malformed).into_http()),
        };
        request.extensions_mut().insert(deadline);
        let is_stream = proto::method(request.uri().path()).is_some_and(proto::is_stream);
        let record = request.extensions().get::<CallRecord>().cloned();
        let record = record.unwrap_or_default();
        let bytes = self.bytes(&mut request);
        let request = self.gathered(request, Arc::clone(&bytes));
        let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
        let answered = tokio::select! {
            // The response first: its own status for an exceeded deadline is
            // more specific.
            biased;
            answered = answer => answered,
            () = tokio::time::sleep_until(deadline.0) => {
                return Ok(status::deadline_exceeded().into_http());
            }
            () = self.drain.until_aborted() => return Ok(status::draining().into_http()),
        };
        match answered {
            Ok(response) => {
                let response = response?;
                // A status alone: it needs no reader, and nothing may follow its headers.
                if response.body().is_end_stream() {
                    return Ok(response);
                }
                let held = Held::new(place, of_peer, bytes);
                if !is_stream {
                    let unread = &self.unread;
                    return Ok(response
                        .map(|body| Body::new(DeadlineBody::unary(body, held, unread, record))));
                }
                let limits = StreamLimits {
                    deadline,
                    stall_timeout: self.stall_timeout,
                    drain: self.drain.clone(),
                    ended_tasks: self.ended_tasks.clone(),
                    record,
                };
                Ok(response.map(|body| Body::new(DeadlineBody::stream(body, limits, held))))
            }
            Err(_panic) => {
                tracing::error!("a handler panicked");
                Ok(status::panicked().into_http())
            }
        }
    }
}

/// The peer has its share of the calls.
struct PeerHasItsShare;

impl Admission {
    /// Counts a call as its peer's that is nobody's yet. Without access control it
    /// stays the peer's. A signed call finds it in its extensions until it is
    /// verified, which takes as long as its message.
    fn of_peer<B>(
        &self,
        request: &mut Request<B>,
        free: usize,
    ) -> Result<Option<PeerCall>, PeerHasItsShare> {
        if !self.is_anonymous && !has_signature(request.headers()) {
            return Ok(None);
        }
        let Some(peer) = request.extensions().get::<Arc<Peer>>() else {
            return Ok(None);
        };
        let call = peer.call(share(free, 1)).ok_or(PeerHasItsShare)?;
        if self.is_anonymous {
            return Ok(Some(call));
        }
        request.extensions_mut().insert(Arc::new(call));
        Ok(None)
    }

    /// What the message holds: its peer's, until it is known whose it is. Without access
    /// control it stays the peer's, as is what else the call holds.
    fn bytes<B>(&self, request: &mut Request<B>) -> Arc<MessageBytes> {
        let peer = request.extensions().get::<Arc<Peer>>();
        let network = peer.map(|peer| peer.network());
        let bytes = Arc::new(self.messages.message(network.map(Holder::Peer), 1));
        if !self.is_anonymous {
            request.extensions_mut().insert(Arc::clone(&bytes));
        } else if let Some(network) = network {
            request.extensions_mut().insert(network);
        }
        bytes
    }

    fn gathered<B>(
        &self,
        request: Request<B>,
        bytes: Arc<MessageBytes>,
    ) -> Request<GatheredBody<B>> {
        let (mut parts, body) = request.into_parts();
        let max_bytes = self.max_message_bytes.min(self.messages.capacity());
        let path = parts.uri.path();
        let is_stream = proto::method(path).is_some_and(proto::is_client_stream);
        let (count, decoded_size) = match is_stream {
            true => (MessageCount::Stream, DecodedSize::of_stream(path)),
            false => (MessageCount::One, DecodedSize::of_request(path)),
        };
        if is_stream {
            parts.extensions.insert(decoded_size.clone());
        }
        let body = GatheredBody::new(
            body,
            &parts.headers,
            count,
            bytes,
            decoded_size,
            max_bytes,
            self.turns.clone(),
        );
        Request::from_parts(parts, body)
    }
}
