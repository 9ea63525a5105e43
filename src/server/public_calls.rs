//! Limits of the calls that anybody may make: health, and reflection where it
//! needs no credentials.
//!
//! They are outside the limits of calls, and `Health/Watch` has no end. So each
//! peer has a maximum number of them, and all peers one of watches, of which one peer
//! leaves some to the others.

use super::{
    held::until_sent,
    last_byte::LastByte,
    peers::{Peer, PeerWatch},
    tenant_calls::share,
};
use crate::{
    layer::{Next, Rule},
    status,
};
use http::{Request, Response};
use std::{convert::Infallible, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, body::Body};

const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Limits the calls of a peer, and watches over all of them. The peer is an
/// `Arc<Peer>` in the request's extensions.
#[derive(Debug)]
pub struct LimitPublicCalls {
    watches: Arc<Semaphore>,
}

/// What a watch counts as, in total and by peer.
type Watch = (OwnedSemaphorePermit, Option<PeerWatch>);

impl LimitPublicCalls {
    /// Limits watches to this permit count.
    pub fn new(watches: Arc<Semaphore>) -> Self {
        LimitPublicCalls { watches }
    }

    /// Counts a watch in total, and as its peer's.
    fn watch(&self, peer: Option<&Arc<Peer>>) -> Result<Watch, Status> {
        let permit = Arc::clone(&self.watches).try_acquire_owned();
        let permit = permit.map_err(|_| status::too_many_watches())?;
        let share = share(self.watches.available_permits(), 1);
        let of_peer = match peer.map(|peer| peer.watch(share)) {
            Some(None) => return Err(status::too_many_watches_of_peer()),
            of_peer => of_peer.flatten(),
        };
        Ok((permit, of_peer))
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
        let peer = request.extensions().get::<Arc<Peer>>();
        let pending = match peer {
            None => None,
            Some(peer) => match peer.pending_call() {
                None => return Ok(status::too_many_pending_calls().into_http()),
                pending => pending,
            },
        };
        let watch = match request.uri().path() {
            WATCH => match self.watch(peer) {
                Err(status) => return Ok(status.into_http()),
                Ok(watch) => Some(watch),
            },
            _ => None,
        };
        let response = next.run(request).await?.map(LastByte::of);
        Ok(until_sent(response, (pending, watch)))
    }
}
