//! Limits of the calls that anybody may make: health, and reflection where it
//! needs no credentials.
//!
//! They are outside the limits of calls, and `Health/Watch` has no end. So each
//! peer has a maximum number of them, and all peers one of watches.

use super::{held::until_sent, last_byte::LastByte, peers::Peer};
use crate::{
    layer::{Next, Rule},
    status,
};
use http::{Request, Response};
use std::{convert::Infallible, sync::Arc};
use tokio::sync::Semaphore;
use tonic::body::Body;

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
        let response = next.run(request).await?.map(LastByte::of);
        Ok(until_sent(response, (pending, watch)))
    }
}
