//! The body of a response with a deadline.
//!
//! A caller that does not read leaves its body unpolled, so a timer inside the
//! body would never fire. Therefore a task watches each stream from outside: its
//! deadline, the drain, and whether its reader takes anything. A unary response is
//! there as a whole when it begins: only its reader can stall (`unread`).

use super::{
    drain::Drain,
    ended_tasks::EndedTasks,
    outgoing::{Held, Outgoing, PolledFrame, ReaderProgress},
    unread::{UnreadResponse, UnreadResponses},
};
use crate::{call::Deadline, reason::Reason, status, telemetry::CallRecord};
use bytes::Bytes;
use std::{pin::Pin, sync::Arc, task::Context, time::Duration};
use tokio::task::AbortHandle;
use tonic::{Status, body::Body};

/// When a stream ends that is not over.
pub struct StreamLimits {
    /// When the caller stops waiting.
    pub deadline: Deadline,
    /// Maximum time for which its reader may take nothing.
    pub stall_timeout: Duration,
    /// The end of a drain.
    pub drain: Drain,
    /// Where its task is ended if its status is not taken.
    pub ended_tasks: EndedTasks,
    /// The record of the call, which may end without another poll.
    pub record: CallRecord,
}

/// A response that ends at its deadline, and if its reader stalls.
pub struct DeadlineBody {
    outgoing: Arc<Outgoing>,
    watch: Watch,
}

enum Watch {
    Unary {
        _unread: UnreadResponse,
    },
    /// The task that watches the stream.
    Stream(AbortHandle),
}

impl DeadlineBody {
    /// The body of a unary response that has one. What the call holds is kept until
    /// it ends.
    pub fn unary(body: Body, held: Held, unread: &UnreadResponses, record: CallRecord) -> Self {
        let outgoing = Outgoing::new(body, true, held);
        let unread = unread.watch(&outgoing, record);
        DeadlineBody {
            outgoing,
            watch: Watch::Unary { _unread: unread },
        }
    }

    /// Limits the body of a stream. Its reader may stall before its first poll, so
    /// it is watched from the beginning.
    pub fn stream(body: Body, limits: StreamLimits, held: Held) -> Self {
        let outgoing = Outgoing::new(body, false, held);
        let cut = limits.drain.until_aborted();
        let watched = Arc::clone(&outgoing);
        let watcher = tokio::spawn(async move {
            let status = tokio::select! {
                () = tokio::time::sleep_until(limits.deadline.0) => status::deadline_exceeded(),
                () = cut => status::draining(),
                () = stalled(&watched, limits.stall_timeout) => {
                    // The reader may never come for its status.
                    limits.record.ended(Reason::ReaderStalled);
                    status::reader_stalled(limits.stall_timeout)
                }
            };
            let tasks = &limits.ended_tasks;
            watched
                .end_in_time(status, limits.stall_timeout, tasks)
                .await;
        });
        DeadlineBody {
            outgoing,
            watch: Watch::Stream(watcher.abort_handle()),
        }
    }
}

/// Waits until the reader has taken nothing for `longest`, and for half of it
/// more at most, while there was something to take.
async fn stalled(outgoing: &Outgoing, longest: Duration) {
    let mut progress = ReaderProgress::default();
    while !outgoing.is_stalled(&mut progress) {
        tokio::time::sleep(longest / 2).await;
    }
}

impl http_body::Body for DeadlineBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> PolledFrame {
        self.outgoing.poll_frame(cx)
    }
}

impl Drop for DeadlineBody {
    fn drop(&mut self) {
        // At once, not when the watcher has been cleaned up.
        self.outgoing.close();
        if let Watch::Stream(watcher) = &self.watch {
            watcher.abort();
        }
    }
}
