//! The body of a response with a deadline.
//!
//! A caller that does not read leaves its body unpolled, so a timer inside the
//! body would never fire. Therefore a task watches each stream from outside: its
//! deadline, the drain, and whether its reader takes anything. A reader is stalled
//! if it does not come back for more, although the last frame was not the last, and
//! the API has not been waited for. Large frames are cut, so that a slow reader of
//! one is seen to come back.

use super::{
    drain::{CallGuard, Drain},
    messages::MessageBytes,
};
use crate::{call::Deadline, reason::Reason, status, telemetry::CallRecord};
use bytes::Bytes;
use futures::task::{ArcWake, AtomicWaker, waker_ref};
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::task::AbortHandle;
use tonic::{Status, body::Body};

/// Maximum size of a frame of a stream: a reader that takes less than this in the
/// stall timeout is stalled.
const MAX_FRAME: usize = 16 * 1024;

/// When a stream ends that is not over.
pub struct StreamLimits {
    /// When the caller stops waiting.
    pub deadline: Deadline,
    /// Maximum time for which its reader may take nothing.
    pub stall_timeout: Duration,
    /// The end of a drain.
    pub drain: Drain,
    /// The record of the call, which may end without another poll.
    pub record: CallRecord,
}

/// A response that ends at its deadline. That of a unary call begins when
/// everything is there, and needs no watch.
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
    /// A unary response: it is there as a whole.
    Unary { body: Body, _held: Held },
    /// A stream, and the task that watches it.
    Stream {
        shared: Arc<Shared>,
        watcher: AbortHandle,
    },
}

struct Shared {
    slot: Mutex<Slot>,
    reader: AtomicWaker,
    /// How often the reader came for more.
    polls: AtomicU64,
    /// Whether there is nothing to send: the body was polled, and has not woken
    /// its reader since.
    is_quiet: AtomicBool,
}

enum Slot {
    Running {
        body: Body,
        /// What is left of a large frame.
        rest: Bytes,
        _held: Held,
    },
    /// Ended; the status has not been sent yet.
    Ended(Status),
    Over,
}

type PolledFrame = Poll<Option<Result<Frame<Bytes>, Status>>>;

impl DeadlineBody {
    /// The body of a unary response. What the call holds is kept until it ends.
    pub fn unary(body: Body, held: Held) -> Self {
        DeadlineBody(State::Unary { body, _held: held })
    }

    /// Limits the body of a stream. Its reader may stall before its first poll, so
    /// it is watched from the beginning.
    pub fn stream(body: Body, limits: StreamLimits, held: Held) -> Self {
        let shared = Arc::new(Shared {
            slot: Mutex::new(Slot::Running {
                body,
                rest: Bytes::new(),
                _held: held,
            }),
            reader: AtomicWaker::new(),
            polls: AtomicU64::new(0),
            is_quiet: AtomicBool::new(false),
        });
        let cut = limits.drain.until_aborted();
        let watched = Arc::clone(&shared);
        let watcher = tokio::spawn(async move {
            let status = tokio::select! {
                () = tokio::time::sleep_until(limits.deadline.0) => status::deadline_exceeded(),
                () = cut => status::draining(),
                () = watched.stalled(limits.stall_timeout) => {
                    // The reader may never come for its status.
                    limits.record.ended(Reason::ReaderStalled);
                    status::reader_stalled(limits.stall_timeout)
                }
            };
            watched.end(status);
        });
        DeadlineBody(State::Stream {
            shared,
            watcher: watcher.abort_handle(),
        })
    }
}

impl ArcWake for Shared {
    fn wake_by_ref(shared: &Arc<Self>) {
        shared.is_quiet.store(false, Ordering::Release);
        shared.reader.wake();
    }
}

impl Shared {
    /// Waits until the reader has taken nothing for `longest`, and for half of it
    /// more at most, while there was something to take.
    async fn stalled(&self, longest: Duration) {
        let mut seen = self.polls.load(Ordering::Acquire);
        let mut checks_without_progress = 0;
        while checks_without_progress < 2 {
            tokio::time::sleep(longest / 2).await;
            let polls = self.polls.load(Ordering::Acquire);
            if polls == seen && !self.is_quiet.load(Ordering::Acquire) {
                checks_without_progress += 1;
            } else {
                checks_without_progress = 0;
            }
            seen = polls;
        }
    }

    /// Drops the body, and with it everything below, and leaves its status.
    fn end(&self, status: Status) {
        let mut slot = self.slot.lock();
        if let Slot::Running { .. } = *slot {
            let ended = std::mem::replace(&mut *slot, Slot::Ended(status));
            // Dropping a body runs foreign code, so it must happen outside of
            // the lock.
            drop(slot);
            drop(ended);
            self.reader.wake();
        }
    }

    /// Drops the body, and with it everything below.
    fn close(&self) {
        let mut slot = self.slot.lock();
        let closed = std::mem::replace(&mut *slot, Slot::Over);
        drop(slot);
        drop(closed);
    }

    fn poll_frame(self: &Arc<Self>, cx: &mut Context<'_>) -> PolledFrame {
        self.reader.register(cx.waker());
        self.polls.fetch_add(1, Ordering::Release);
        let mut slot = self.slot.lock();
        match &mut *slot {
            Slot::Running { rest, .. } if !rest.is_empty() => Poll::Ready(Some(Ok(first(rest)))),
            Slot::Running { body, rest, .. } => {
                // Before the poll: the body may wake at once.
                self.is_quiet.store(true, Ordering::Release);
                let waker = waker_ref(self);
                let polled = Pin::new(body).poll_frame(&mut Context::from_waker(&waker));
                if polled.is_ready() {
                    self.is_quiet.store(false, Ordering::Release);
                }
                match polled {
                    Poll::Ready(Some(Ok(frame))) => {
                        Poll::Ready(Some(Ok(match frame.into_data() {
                            Ok(data) if data.len() > MAX_FRAME => {
                                *rest = data;
                                first(rest)
                            }
                            Ok(data) => Frame::data(data),
                            Err(other) => other,
                        })))
                    }
                    polled => polled,
                }
            }
            Slot::Ended(_) => match std::mem::replace(&mut *slot, Slot::Over) {
                Slot::Ended(status) => Poll::Ready(trailers(&status).map(Ok)),
                _ => Poll::Ready(None),
            },
            Slot::Over => Poll::Ready(None),
        }
    }
}

/// The next piece of a large frame.
fn first(rest: &mut Bytes) -> Frame<Bytes> {
    Frame::data(rest.split_to(rest.len().min(MAX_FRAME)))
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
            State::Unary { body, .. } => Pin::new(body).poll_frame(cx),
            State::Stream { shared, .. } => shared.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            State::Unary { body, .. } => body.is_end_stream(),
            State::Stream { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::Unary { body, .. } => body.size_hint(),
            State::Stream { .. } => SizeHint::default(),
        }
    }
}

impl Drop for DeadlineBody {
    fn drop(&mut self) {
        if let State::Stream { shared, watcher } = &self.0 {
            // At once, not when the watcher has been cleaned up.
            shared.close();
            watcher.abort();
        }
    }
}
