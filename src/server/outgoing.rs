//! A response that is being sent, as its reader takes it.
//!
//! A reader that takes nothing leaves the body unpolled, so nothing inside the body
//! can end it. It is looked at and ended from outside. A reader is stalled if it does
//! not come back for more, although the last frame was not the last, and the API has
//! not been waited for. Large frames are cut, so that a slow reader of one is seen to
//! come back.
//!
//! The status of a response that was ended waits for the window as well. If it is not
//! taken soon, the task that sends the response is ended (`ended_tasks`).

use super::{
    drain::CallGuard,
    ended_tasks::{EndedTask, EndedTasks},
    last_byte::next_frame,
    peers::PeerCall,
};
use crate::memory::MessageBytes;
use bytes::Bytes;
use futures::task::{ArcWake, waker_ref};
use http_body::{Body as _, Frame};
use parking_lot::Mutex;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    task::{Id, try_id},
    time::sleep,
};
use tonic::{Status, body::Body};

/// Maximum time for which a status may wait, if the stall timeout is not less.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum size of a frame: a reader that takes less than this in the stall timeout
/// is stalled.
const MAX_FRAME: usize = 16 * 1024;

/// What a call holds until its response has been sent or dropped.
pub struct Held {
    /// Its place among the calls.
    _place: CallGuard,
    /// Its part of its peer's share of them.
    _of_peer: Option<PeerCall>,
    /// The memory of its message.
    _bytes: Arc<MessageBytes>,
}

impl Held {
    /// The place of a call and the memory of its message.
    pub fn new(place: CallGuard, of_peer: Option<PeerCall>, bytes: Arc<MessageBytes>) -> Self {
        Held {
            _place: place,
            _of_peer: of_peer,
            _bytes: bytes,
        }
    }
}

/// A response that is being sent.
pub struct Outgoing {
    /// Whether it has one message. The last one of a stream is not known as such.
    is_unary: bool,
    slot: Mutex<Slot>,
    /// The task that sends the response.
    task: Option<Id>,
    /// How to wake it, also more than once between two polls.
    reader: Mutex<Option<Waker>>,
    /// How often the reader came for more.
    polls: AtomicU64,
    /// Whether there is nothing to send: the body was polled, and has not woken
    /// its reader since.
    is_quiet: AtomicBool,
}

enum Slot {
    Running {
        body: Body,
        /// What is left of a frame.
        rest: Bytes,
        _held: Held,
    },
    /// Ended; the status has not been taken yet. With the task, once that must end.
    Ended(Status, Option<EndedTask>),
    Over,
}

/// What was seen of a reader so far.
#[derive(Debug, Default)]
pub struct ReaderProgress {
    polls: Option<u64>,
    checks_without_progress: u8,
}

/// A polled frame of a response.
pub type PolledFrame = Poll<Option<Result<Frame<Bytes>, Status>>>;

impl Outgoing {
    /// A body, and what its call holds until it ends. The current task must be the one
    /// that sends it.
    pub fn new(body: Body, is_unary: bool, held: Held) -> Arc<Self> {
        Arc::new(Outgoing {
            is_unary,
            slot: Mutex::new(Slot::Running {
                body,
                rest: Bytes::new(),
                _held: held,
            }),
            task: try_id(),
            reader: Mutex::default(),
            polls: AtomicU64::new(0),
            is_quiet: AtomicBool::new(false),
        })
    }

    /// Whether the reader has taken nothing since two checks ago, while there was
    /// something to take. The first check only begins.
    pub fn is_stalled(&self, progress: &mut ReaderProgress) -> bool {
        let polls = self.polls.load(Ordering::Acquire);
        if progress.polls == Some(polls) && !self.is_quiet.load(Ordering::Acquire) {
            progress.checks_without_progress += 1;
        } else {
            progress.checks_without_progress = 0;
        }
        progress.polls = Some(polls);
        progress.checks_without_progress >= 2
    }

    /// Drops the body, and with it everything below, and leaves its status.
    fn end(&self, status: Status) {
        let mut slot = self.slot.lock();
        if let Slot::Running { .. } = *slot {
            let ended = std::mem::replace(&mut *slot, Slot::Ended(status, None));
            // Dropping a body runs foreign code, so it must happen outside of
            // the lock.
            drop(slot);
            drop(ended);
            self.wake_reader();
        }
    }

    /// The same, and ends the task that sends the response if the status is not taken
    /// in time.
    pub async fn end_in_time(&self, status: Status, stall_timeout: Duration, tasks: &EndedTasks) {
        self.end(status);
        sleep(STATUS_TIMEOUT.min(stall_timeout)).await;
        self.end_task(tasks);
    }

    fn end_task(&self, tasks: &EndedTasks) {
        let mut slot = self.slot.lock();
        if let (Slot::Ended(_, ended), Some(id)) = (&mut *slot, self.task) {
            *ended = Some(tasks.add(id));
            drop(slot);
            self.wake_reader();
        }
    }

    fn wake_reader(&self) {
        if let Some(reader) = &*self.reader.lock() {
            reader.wake_by_ref();
        }
    }

    /// Drops the body, and with it everything below.
    pub fn close(&self) {
        let mut slot = self.slot.lock();
        let closed = std::mem::replace(&mut *slot, Slot::Over);
        drop(slot);
        drop(closed);
    }

    /// Polls for the next frame.
    pub fn poll_frame(self: &Arc<Self>, cx: &mut Context<'_>) -> PolledFrame {
        match &mut *self.reader.lock() {
            Some(reader) => reader.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        self.polls.fetch_add(1, Ordering::Release);
        let mut slot = self.slot.lock();
        match &mut *slot {
            Slot::Running { rest, .. } if !rest.is_empty() => Poll::Ready(Some(Ok(next(rest)))),
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
                            Ok(data) if self.is_unary || data.len() > MAX_FRAME => {
                                *rest = data;
                                next(rest)
                            }
                            Ok(data) => Frame::data(data),
                            Err(other) => other,
                        })))
                    }
                    polled => polled,
                }
            }
            Slot::Ended(..) => match std::mem::replace(&mut *slot, Slot::Over) {
                Slot::Ended(status, _) => Poll::Ready(trailers(&status).map(Ok)),
                _ => Poll::Ready(None),
            },
            Slot::Over => Poll::Ready(None),
        }
    }
}

impl ArcWake for Outgoing {
    fn wake_by_ref(outgoing: &Arc<Self>) {
        outgoing.is_quiet.store(false, Ordering::Release);
        outgoing.wake_reader();
    }
}

/// The next piece of a frame.
fn next(rest: &mut Bytes) -> Frame<Bytes> {
    Frame::data(next_frame(rest, MAX_FRAME))
}

fn trailers(status: &Status) -> Option<Frame<Bytes>> {
    let mut trailers = http::HeaderMap::with_capacity(4);
    status.add_header(&mut trailers).ok()?;
    Some(Frame::trailers(trailers))
}
