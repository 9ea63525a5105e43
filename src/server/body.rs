//! The body of a response with a deadline.
//!
//! A caller that does not read leaves its body unpolled, so a timer inside the
//! body would never fire. Therefore, as soon as a response turns out to be a
//! stream, a task watches the time from outside. Unary responses never need it.

use super::{
    drain::{CallGuard, Drain},
    messages::MessageBytes,
};
use crate::{call::Deadline, status};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tokio::task::AbortHandle;
use tonic::{Status, body::Body};

/// A response that ends at its deadline.
pub struct DeadlineBody(State);

/// What a call holds until its response has been sent or dropped.
pub struct Held {
    /// Its place among the calls.
    _place: CallGuard,
    /// The memory of its message.
    _bytes: Arc<MessageBytes>,
}

impl Held {
    /// The place of a call and the memory of its message.
    pub fn new(place: CallGuard, bytes: Arc<MessageBytes>) -> Self {
        Held {
            _place: place,
            _bytes: bytes,
        }
    }
}

enum State {
    /// May still be a unary response: one message and the trailers.
    Unwatched {
        body: Body,
        messages: u8,
        deadline: Deadline,
        drain: Drain,
        held: Option<Held>,
    },
    /// A stream, and the task that watches it.
    Watched {
        shared: Arc<Shared>,
        watcher: AbortHandle,
    },
}

struct Shared(Mutex<Slot>);

enum Slot {
    Running {
        body: Body,
        waker: Option<Waker>,
        _held: Option<Held>,
    },
    /// Ended; the status has not been sent yet.
    Ended(Status),
    Over,
}

type PolledFrame = Poll<Option<Result<Frame<Bytes>, Status>>>;

impl DeadlineBody {
    /// Limits a body by a deadline and a drain. What the call holds is kept
    /// until the body ends.
    pub fn new(body: Body, deadline: Deadline, drain: Drain, held: Held) -> Self {
        DeadlineBody(State::Unwatched {
            body,
            messages: 0,
            deadline,
            drain,
            held: Some(held),
        })
    }

    fn watch(&mut self, waker: Option<&Waker>) {
        let State::Unwatched {
            body,
            deadline,
            drain,
            held,
            ..
        } = &mut self.0
        else {
            return;
        };
        let shared = Arc::new(Shared(Mutex::new(Slot::Running {
            body: std::mem::take(body),
            waker: waker.cloned(),
            _held: held.take(),
        })));
        let (deadline, cut) = (*deadline, drain.until_aborted());
        let watched = Arc::clone(&shared);
        let watcher = tokio::spawn(async move {
            let status = tokio::select! {
                () = tokio::time::sleep_until(deadline.0) => status::deadline_exceeded(),
                () = cut => status::draining(),
            };
            watched.end(status);
        });
        self.0 = State::Watched {
            shared,
            watcher: watcher.abort_handle(),
        };
    }
}

impl Shared {
    /// Drops the body, and with it everything below, and leaves its status.
    fn end(&self, status: Status) {
        let mut slot = self.0.lock();
        if let Slot::Running { .. } = *slot {
            let ended = std::mem::replace(&mut *slot, Slot::Ended(status));
            // Dropping a body runs foreign code, so it must happen outside of
            // the lock.
            drop(slot);
            if let Slot::Running {
                waker: Some(waker), ..
            } = ended
            {
                waker.wake();
            }
        }
    }

    /// Drops the body, and with it everything below.
    fn close(&self) {
        let mut slot = self.0.lock();
        let closed = std::mem::replace(&mut *slot, Slot::Over);
        drop(slot);
        drop(closed);
    }

    fn poll_frame(&self, cx: &mut Context<'_>) -> PolledFrame {
        let mut slot = self.0.lock();
        match &mut *slot {
            Slot::Running { body, waker, .. } => {
                let polled = Pin::new(body).poll_frame(cx);
                if polled.is_pending() && !waker.as_ref().is_some_and(|it| it.will_wake(cx.waker()))
                {
                    *waker = Some(cx.waker().clone());
                }
                polled
            }
            Slot::Ended(_) => match std::mem::replace(&mut *slot, Slot::Over) {
                Slot::Ended(status) => Poll::Ready(trailers(&status).map(Ok)),
                _ => Poll::Ready(None),
            },
            Slot::Over => Poll::Ready(None),
        }
    }
}

fn trailers(status: &Status) -> Option<Frame<Bytes>> {
    let mut trailers = http::HeaderMap::with_capacity(4);
    status.add_header(&mut trailers).ok()?;
    Some(Frame::trailers(trailers))
}

impl http_body::Body for DeadlineBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        match &mut self.0 {
            State::Watched { shared, .. } => shared.poll_frame(cx),
            State::Unwatched { body, messages, .. } => {
                let polled = Pin::new(body).poll_frame(cx);
                match &polled {
                    Poll::Pending => self.watch(Some(cx.waker())),
                    Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                        *messages += 1;
                        if *messages > 1 {
                            self.watch(None);
                        }
                    }
                    Poll::Ready(_) => {}
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            State::Unwatched { body, .. } => body.is_end_stream(),
            State::Watched { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::Unwatched { body, .. } => body.size_hint(),
            State::Watched { .. } => SizeHint::default(),
        }
    }
}

impl Drop for DeadlineBody {
    fn drop(&mut self) {
        if let State::Watched { shared, watcher } = &self.0 {
            // At once, not when the watcher has been cleaned up.
            shared.close();
            watcher.abort();
        }
    }
}
