//! One stream of a connection: reserved, opened, and read to its end.

use super::{connection::ConnectionId, driver::Link};
use bytes::Bytes;
use futures::{Stream, ready};
use h2::{Reason, RecvStream, client::ResponseFuture};
use http::{Request, Response};
use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use thiserror::Error;

/// Whom a stream belongs to.
pub trait StreamOwner: Send + Sync + 'static {
    /// The peer answered on a connection.
    fn answered(&self, id: ConnectionId);
    /// The peer drains a connection, and did not process a stream of it.
    fn unprocessed(&self, id: ConnectionId);
    /// A connection broke under a stream. Whether this stream is the first one
    /// to say so.
    fn broke(&self, id: ConnectionId) -> bool;
    /// A stream of a connection ended.
    fn release(self: Arc<Self>, id: ConnectionId);
}

/// A stream that may be opened. Dropping it gives it back.
pub struct StreamSlot {
    owner: Arc<dyn StreamOwner>,
    id: ConnectionId,
    link: Arc<Link>,
}

/// Why a stream has no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StreamError {
    /// The peer drains the connection, and did not process the request. It may be
    /// sent again, on another connection.
    #[error("the connection was drained before the request was processed")]
    Drained,
    /// The peer did not process the request, and says so. It may be sent again.
    #[error("the request was refused")]
    Refused,
    /// What the peer sends is not HTTP/2, or the headers are too large.
    #[error("the response is not valid")]
    Unreadable,
    /// The connection or the stream broke.
    #[error("the stream broke")]
    Broken,
    /// The connection broke, which another of its streams has reported as
    /// [`StreamError::Broken`].
    #[error("the connection broke")]
    BrokenWithOthers,
}

/// A request that was sent. Dropping it resets the stream.
pub struct StreamExchange {
    response: ResponseFuture,
    slot: StreamSlot,
}

/// The body of a response. Dropping it resets the stream, unless it has ended.
pub struct Http2Body {
    // Dropped before the slot: the stream ends before the next one begins.
    body: RecvStream,
    slot: Option<StreamSlot>,
}

// === impl StreamSlot ===

impl StreamSlot {
    /// A stream of a connection, which counts as in flight.
    pub fn new(owner: Arc<dyn StreamOwner>, id: ConnectionId, link: Arc<Link>) -> Self {
        StreamSlot { owner, id, link }
    }

    /// Sends a request, as soon as the stream is open: at once, unless the peer
    /// has lowered its limit since the stream was reserved.
    ///
    /// # Errors
    /// When the connection takes no streams any more.
    pub async fn open(
        self,
        request: Request<()>,
        body: Bytes,
    ) -> Result<StreamExchange, StreamError> {
        let mut sender = self.link.sender();
        let (response, mut stream) = sender
            .send_request(request, body.is_empty())
            .map_err(|_| self.drained())?;
        let exchange = StreamExchange {
            response,
            slot: self,
        };
        if !body.is_empty() {
            // h2 sends it as the windows allow. If the stream has ended, the
            // response tells why.
            let _ = stream.send_data(body, true);
        }
        let _ = poll_fn(|cx| sender.poll_ready(cx)).await;
        Ok(exchange)
    }

    fn drained(&self) -> StreamError {
        self.owner.unprocessed(self.id);
        StreamError::Drained
    }

    /// How the stream broke: a reset concerns only itself.
    fn broken(&self, error: &h2::Error) -> StreamError {
        match error.is_reset() || self.owner.broke(self.id) {
            true => StreamError::Broken,
            false => StreamError::BrokenWithOthers,
        }
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        Arc::clone(&self.owner).release(self.id);
    }
}

// === impl StreamExchange ===

impl StreamExchange {
    /// Waits for the head of the response.
    ///
    /// # Errors
    /// When there is none.
    pub async fn response(self) -> Result<Response<Http2Body>, StreamError> {
        let StreamExchange { response, slot } = self;
        match response.await {
            Ok(response) => {
                slot.owner.answered(slot.id);
                Ok(response.map(|body| Http2Body {
                    body,
                    slot: Some(slot),
                }))
            }
            Err(error) => Err(why(&error, &slot)),
        }
    }
}

/// Why there is no response. h2 blames GOAWAY only for streams after the last
/// one that the peer will process.
fn why(error: &h2::Error, slot: &StreamSlot) -> StreamError {
    match error.reason() {
        Some(Reason::NO_ERROR) if error.is_go_away() && error.is_remote() => slot.drained(),
        Some(Reason::REFUSED_STREAM) if error.is_reset() && error.is_remote() => {
            StreamError::Refused
        }
        _ if error.is_library() => StreamError::Unreadable,
        _ => slot.broken(error),
    }
}

// === impl Http2Body ===

impl Stream for Http2Body {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let outcome = match ready!(this.body.poll_data(cx)) {
            Some(Ok(bytes)) => {
                // What was read is the peer's to send again.
                let _ = this.body.flow_control().release_capacity(bytes.len());
                return Poll::Ready(Some(Ok(bytes)));
            }
            // The response was complete, and the peer wants no more of the
            // request (RFC 9113, 8.1).
            Some(Err(error)) if error.reason() == Some(Reason::NO_ERROR) && error.is_reset() => {
                None
            }
            Some(Err(error)) => Some(Err(match &this.slot {
                Some(slot) => slot.broken(&error),
                None => StreamError::Broken,
            })),
            None => None,
        };
        this.slot = None;
        Poll::Ready(outcome)
    }
}
