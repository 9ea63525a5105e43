//! Unary responses whose readers take nothing.
//!
//! Such a response is there as a whole, and nearly always gone at once: a task or a
//! timer for each would cost more than to send it. So one task looks at all of them,
//! twice per stall timeout, as long as there are any.

use super::{
    ended_tasks::EndedTasks,
    outgoing::{Outgoing, ReaderProgress},
};
use crate::{reason::Reason, status, telemetry::CallRecord};
use parking_lot::Mutex;
use slab::Slab;
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::sleep;

/// The unary responses that are being sent. Cloning is cheap.
#[derive(Clone)]
pub struct UnreadResponses(Arc<Shared>);

struct Shared {
    /// Maximum time for which a reader may take nothing.
    stall_timeout: Duration,
    ended_tasks: EndedTasks,
    responses: Mutex<Responses>,
}

#[derive(Default)]
struct Responses {
    open: Slab<Response>,
    /// Whether a task looks at them.
    is_watched: bool,
}

struct Response {
    body: Arc<Outgoing>,
    /// The record of the call, which may end without another poll.
    record: CallRecord,
    progress: ReaderProgress,
    is_ended: bool,
}

/// Kept while a response is being sent.
pub struct UnreadResponse {
    responses: UnreadResponses,
    key: usize,
}

impl UnreadResponses {
    /// No responses yet. Their readers may take nothing for `stall_timeout`, and for
    /// half of it more at most; then their tasks end.
    pub fn new(stall_timeout: Duration, ended_tasks: EndedTasks) -> Self {
        UnreadResponses(Arc::new(Shared {
            stall_timeout,
            ended_tasks,
            responses: Mutex::default(),
        }))
    }

    /// Ends this response if its reader stalls.
    pub fn watch(&self, body: &Arc<Outgoing>, record: CallRecord) -> UnreadResponse {
        let mut responses = self.0.responses.lock();
        let key = responses.open.insert(Response {
            body: Arc::clone(body),
            record,
            progress: ReaderProgress::default(),
            is_ended: false,
        });
        if !responses.is_watched {
            responses.is_watched = true;
            tokio::spawn(self.clone().end_stalled());
        }
        UnreadResponse {
            responses: self.clone(),
            key,
        }
    }

    async fn end_stalled(self) {
        let stall_timeout = self.0.stall_timeout;
        loop {
            sleep(stall_timeout / 2).await;
            let stalled: Vec<_> = {
                let mut responses = self.0.responses.lock();
                if responses.open.is_empty() {
                    responses.is_watched = false;
                    return;
                }
                let open = responses.open.iter_mut().filter(|(_, it)| !it.is_ended);
                open.filter_map(|(_, it)| {
                    it.is_ended = it.body.is_stalled(&mut it.progress);
                    it.is_ended
                        .then(|| (Arc::clone(&it.body), it.record.clone()))
                })
                .collect()
            };
            for (body, record) in stalled {
                // The reader may never come for its status.
                record.ended(Reason::ReaderStalled);
                let status = status::reader_stalled(stall_timeout);
                let tasks = self.0.ended_tasks.clone();
                // The others are looked at meanwhile.
                tokio::spawn(async move { body.end_in_time(status, stall_timeout, &tasks).await });
            }
        }
    }
}

impl fmt::Debug for UnreadResponses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnreadResponses")
    }
}

impl Drop for UnreadResponse {
    fn drop(&mut self) {
        let removed = self.responses.0.responses.lock().open.try_remove(self.key);
        // Dropping a body runs foreign code, so it must happen outside of the lock.
        drop(removed);
    }
}
