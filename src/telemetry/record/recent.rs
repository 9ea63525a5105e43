//! The most recent failed calls, for the status page.

use opentelemetry::TraceId;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Maximum number of calls kept.
const KEPT: usize = 50;

/// A failed call. It never contains text of the call.
#[derive(Debug, Clone)]
pub struct FailedCall {
    /// When the call ended.
    pub at: SystemTime,
    /// Trace id of the call.
    pub trace: TraceId,
    /// Full name of the method.
    pub method: &'static str,
    /// Name of the client.
    pub client: Arc<str>,
    /// Name of the gRPC status.
    pub status: &'static str,
    /// The reason returned to the caller.
    pub reason: Box<str>,
    /// Duration of the call.
    pub took: Duration,
    /// Number of attempts at the API.
    pub attempts: u32,
}

/// The most recent failed calls.
#[derive(Debug, Default)]
pub struct RecentFailures(Mutex<VecDeque<FailedCall>>);

impl RecentFailures {
    /// Adds a call, and drops the oldest if there are too many.
    pub fn add(&self, failure: FailedCall) {
        let mut failures = self.0.lock();
        if failures.len() >= KEPT {
            failures.pop_front();
        }
        failures.push_back(failure);
    }

    /// All calls, newest first.
    pub fn all(&self) -> Vec<FailedCall> {
        let failures = self.0.lock();
        failures.iter().rev().cloned().collect()
    }
}
