//! Limits of the calls that anybody may make: health, and reflection where it
//! needs no credentials.
//!
//! They are outside the limits of calls, and `Health/Watch` has no end. So each
//! peer has a maximum number of them, and all peers one of watches.

use super::peers::{Peer, PendingCall};
use crate::{
    layer::{Next, Rule},
    status,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, body::Body};

const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Limits the calls of a peer, and watches over all of them. The peer is an
/// `Arc<Peer>` in the request's extensions.
#[derive(Debug)]
pub struct LimitPublicCalls {
    watches: Arc<Semaphore>,
}

impl LimitPublicCalls {
    /// Limits watches to this permit count.
    pub fn new(watches: Arc<Semaphore>) -> Self {
        LimitPublicCalls { watches }
    }
}

impl<B: Send + 'static> Rule<Request<B>> for LimitPublicCalls {
    type Inner = Request<B>;
    type Response = Response<Body>;
    type Error = Infallible;

    async fn call(
        &self,
        request: Request<B>,
        mut next: impl Next<Request<B>, Response<Body>, Infallible>,
    ) -> Result<Response<Body>, Infallible> {
        let pending = match request.extensions().get::<Arc<Peer>>() {
            None => None,
            Some(peer) => match peer.pending_call() {
                None => return Ok(status::too_many_pending_calls().into_http()),
                pending => pending,
            },
        };
        let watch = match request.uri().path() {
            WATCH => match Arc::clone(&self.watches).try_acquire_owned() {
                Err(_) => return Ok(status::too_many_watches().into_http()),
                Ok(permit) => Some(permit),
            },
            _ => None,
        };
        let response = next.run(request).await?;
        Ok(response.map(|body| {
            Body::new(CountedBody {
                body,
                _pending: pending,
                _watch: watch,
            })
        }))
    }
}

/// The body of a response; the call counts until it is dropped.
struct CountedBody {
    body: Body,
    _pending: Option<PendingCall>,
    _watch: Option<OwnedSemaphorePermit>,
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
