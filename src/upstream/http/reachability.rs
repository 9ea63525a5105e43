//! Logs what keeps connections to the API from being made: when it begins, when
//! it changes, and when it is over. Not once for each attempt.

use crate::{token_bucket::TokenBucket, upstream::ConnectFailure};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::time::Instant;

/// Maximum number of lines per minute: causes may take turns.
const LINES_PER_MINUTE: f64 = 10.0;

/// Whether connections to the API can be made.
#[derive(Debug)]
pub struct Reachability {
    /// Whether a failure is in `logged`, so that successful attempts need no
    /// lock.
    is_failing: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The failure that was logged last, until it is over.
    logged: Option<ConnectFailure>,
    lines: TokenBucket,
    refilled: Instant,
}

impl Default for Reachability {
    fn default() -> Self {
        Reachability {
            is_failing: AtomicBool::new(false),
            state: Mutex::new(State {
                logged: None,
                lines: TokenBucket::full(LINES_PER_MINUTE),
                refilled: Instant::now(),
            }),
        }
    }
}

impl Reachability {
    /// No connection could be made.
    pub fn failed(&self, failure: ConnectFailure) {
        let mut state = self.state.lock();
        if state.logged == Some(failure) || !state.may_log() {
            return;
        }
        state.logged = Some(failure);
        self.is_failing.store(true, Relaxed);
        tracing::warn!(
            cause = failure.name(),
            error = %failure,
            "failed to connect to the Claude API"
        );
    }

    /// The API answered.
    pub fn answered(&self) {
        if !self.is_failing.load(Relaxed) {
            return;
        }
        let mut state = self.state.lock();
        if !state.may_log() {
            return;
        }
        if let Some(failure) = state.logged.take() {
            self.is_failing.store(false, Relaxed);
            tracing::warn!(cause = failure.name(), "connected to the Claude API again");
        }
    }
}

impl State {
    /// Takes a line of the quota.
    fn may_log(&mut self) -> bool {
        let now = Instant::now();
        self.lines.refill(now - self.refilled);
        self.refilled = now;
        let may_log = self.lines.ready_in(1.0).is_zero();
        if may_log {
            self.lines.take(1.0);
        }
        may_log
    }
}
