//! The body of a request, which must make progress.
//!
//! A call that sends its head and then nothing would hold its place until its
//! deadline, before anybody knows who it is. A body that is already there, as
//! those of most calls are, costs nothing: only waiting starts a timer.

use super::peers::{Peer, PendingCall};
use crate::{call::ItemsInFlight, status};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};
use tonic::Status;

/// Number of bytes that count as progress. A smaller number would let a peer
/// hold a call for hours with a byte now and then.
const PROGRESS: usize = 1024;

/// A body that fails when it makes no progress, or when its peer has too many
/// calls that wait for theirs.
#[derive(Debug)]
pub struct RequestBody<B = Incoming> {
    body: B,
    timeout: Duration,
    /// The peer whose pending calls this one counts as.
    peer: Option<Arc<Peer>>,
    /// While there are some, the peer may wait for their results.
    items: Option<ItemsInFlight>,
    /// Set once the body was waited for.
    wait: Option<Wait>,
}

#[derive(Debug)]
struct Wait {
    timer: Pin<Box<Sleep>>,
    /// When the service was given something: until it asks for more, it does not wait for
    /// the peer.
    paused: Option<Instant>,
    /// Bytes since the last progress.
    received: usize,
    _pending: Option<PendingCall>,
}

impl<B> RequestBody<B> {
    /// A body with a time limit. While it is waited for, it is a pending call of
    /// the peer, if there is one.
    pub fn new(body: B, timeout: Duration, peer: Option<Arc<Peer>>) -> Self {
        RequestBody {
            body,
            timeout,
            peer,
            items: None,
            wait: None,
        }
    }

    /// Does not end while some of these items are in flight.
    #[must_use]
    pub fn with_items(self, items: Option<ItemsInFlight>) -> Self {
        RequestBody { items, ..self }
    }

    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        if self.wait.is_none() {
            let pending = match &self.peer {
                None => None,
                Some(peer) => match peer.pending_call() {
                    None => return Poll::Ready(status::too_many_pending_calls()),
                    pending => pending,
                },
            };
            self.wait = Some(Wait {
                timer: Box::pin(sleep(self.timeout)),
                paused: None,
                received: 0,
                _pending: pending,
            });
        }
        if let Some(wait) = &mut self.wait {
            if let Some(paused) = wait.paused.take() {
                let end = wait.timer.deadline() + paused.elapsed();
                wait.timer.as_mut().reset(end);
            }
            ready!(wait.timer.as_mut().poll(cx));
            let items = self.items.as_ref();
            while let Some(end) = items.and_then(|items| items.quiet_until(self.timeout)) {
                wait.timer.as_mut().reset(end);
                ready!(wait.timer.as_mut().poll(cx));
            }
        }
        Poll::Ready(status::request_stalled(self.timeout))
    }

    fn received(&mut self, bytes: usize) {
        let timeout = self.timeout;
        if let Some(wait) = &mut self.wait {
            wait.received += bytes;
            if wait.received >= PROGRESS {
                wait.received = 0;
                wait.timer.as_mut().reset(Instant::now() + timeout);
            }
            wait.paused.get_or_insert_with(Instant::now);
        }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => self.poll_overdue(cx).map(|status| Some(Err(status))),
            Poll::Ready(Some(Ok(frame))) => match frame.data_ref() {
                Some(data) => {
                    let bytes = data.len();
                    self.received(bytes);
                    Poll::Ready(Some(Ok(frame)))
                }
                // Requests of gRPC have no trailers. The library would add them to
                // the metadata.
                None => {
                    self.wait = None;
                    Poll::Ready(None)
                }
            },
            Poll::Ready(Some(Err(error))) => {
                Poll::Ready(Some(Err(Status::from_error(error.into()))))
            }
            Poll::Ready(None) => {
                self.wait = None;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt, stream};
    use http::HeaderMap;
    use http_body_util::{BodyExt, StreamBody};

    const TIMEOUT: Duration = Duration::from_secs(10);

    /// A body of pieces that each take some seconds to arrive.
    fn slow(pieces: usize, seconds: u64) -> RequestBody<impl Body<Data = Bytes, Error = Status>> {
        let pieces = stream::iter(0..pieces).then(move |_| async move {
            sleep(Duration::from_secs(seconds)).await;
            Ok(Frame::data(Bytes::from_static(b"piece")))
        });
        RequestBody::new(StreamBody::new(Box::pin(pieces)), TIMEOUT, None)
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_the_service_asks_for_nothing_is_not_the_peers() {
        let mut body = slow(3, 3);
        for _ in 0..3 {
            body.frame().await.unwrap().unwrap();
            sleep(TIMEOUT * 3).await;
        }
        assert!(body.frame().await.is_none());
        // A peer that sends little is overdue all the same.
        let mut body = slow(4, 3);
        let mut frames = 0;
        let error = loop {
            match body.frame().await.unwrap() {
                Ok(_) => frames += 1,
                Err(status) => break status,
            }
        };
        assert_eq!(frames, 3);
        assert_eq!(error.code(), tonic::Code::DeadlineExceeded);
    }

    #[tokio::test]
    async fn trailers_of_a_request_are_ignored() {
        let message = Frame::data(Bytes::from_static(b"message"));
        let frames = [message, Frame::trailers(HeaderMap::new())].map(Ok::<_, Status>);
        let body = StreamBody::new(futures::stream::iter(frames));
        let body = RequestBody::new(body, Duration::from_secs(10), None);
        let collected = body.collect().await.unwrap();
        assert!(collected.trailers().is_none());
        assert_eq!(collected.to_bytes(), "message");
    }
}
