//! What changes in the record of a call while the call is under way.

use super::attempt_data::AttemptData;
use crate::models::Tokens;
use crate::telemetry::{
    labels::LabelId,
    metrics::{CallSeries, ErrorType, Wait},
};
use opentelemetry::{SpanId, TraceId};
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// The mutable part of the record of a call.
#[derive(Default)]
pub(in crate::telemetry) struct CallState {
    pub(super) client: Option<LabelId>,
    /// Where a call that access control rejected came from, and the cause.
    pub(in crate::telemetry) refused: Option<(IpAddr, &'static str)>,
    pub(in crate::telemetry) model: Option<Arc<str>>,
    /// The host that was asked last.
    pub(in crate::telemetry) host: Option<Arc<str>>,
    pub(super) model_label: Option<LabelId>,
    pub(super) series: Option<Arc<CallSeries>>,
    /// Time in which an attempt was in flight, until its first response byte.
    pub(in crate::telemetry) upstream: Duration,
    /// Waits of the next attempt, by [`Wait`].
    pub(super) waits: [Duration; 4],
    pub(super) waiting: Option<(Wait, Instant)>,
    /// Error and time of the last attempt, if it failed.
    pub(super) failed: Option<(ErrorType, Instant)>,
    pub(in crate::telemetry) attempts: u32,
    pub(in crate::telemetry) first_chunk: Option<Duration>,
    pub(in crate::telemetry) tokens: Tokens,
    /// Cost in nanodollars.
    pub(in crate::telemetry) cost: u64,
    pub(in crate::telemetry) overhead: Option<Duration>,
    /// The call whose response this one shares.
    pub(in crate::telemetry) joined: Option<(TraceId, SpanId)>,
    /// Whether the response is from the cache.
    pub(in crate::telemetry) found: bool,
    /// The attempts that ended, if the call is sampled.
    pub(in crate::telemetry) spans: Vec<AttemptData>,
    pub(super) finished: bool,
}

// === impl CallState ===

impl CallState {
    /// Ends the current wait and starts the next one, if any.
    pub(super) fn wait(&mut self, next: Option<Wait>) {
        let now = Instant::now();
        if let Some((wait, since)) = self.waiting.take() {
            self.waits[wait as usize] += now - since;
        }
        // The time since the last attempt failed was the backoff.
        if let Some((_, failed)) = self.failed
            && self.waits == [Duration::ZERO; 4]
        {
            self.waits[Wait::Backoff as usize] = now - failed;
        }
        self.waiting = next.map(|next| (next, now));
    }
}
