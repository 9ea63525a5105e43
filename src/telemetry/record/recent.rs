//! The last calls that failed, for people to look at.

use opentelemetry::TraceId;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// So many are kept.
const KEPT: usize = 50;

/// A call that failed. It never holds text of the call.
#[derive(Debug, Clone)]
pub struct FailedCall {
    /// When it ended.
    pub at: SystemTime,
    /// Its trace.
    pub trace: TraceId,
    /// Its RPC.
    pub method: &'static str,
    /// Its client.
    pub client: Arc<str>,
    /// Its gRPC status.
    pub status: &'static str,
    /// Why, as its caller was told.
    pub reason: Box<str>,
    /// How long it took.
    pub took: Duration,
    /// Attempts at the API.
    pub attempts: u32,
}

/// The last failures.
#[derive(Debug, Default)]
pub struct RecentFailures(Mutex<VecDeque<FailedCall>>);

impl RecentFailures {
    /// Adds one, and forgets the oldest.
    pub fn add(&self, failure: FailedCall) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= KEPT {
            failures.pop_front();
        }
        failures.push_back(failure);
    }

    /// Newest first.
    pub fn all(&self) -> Vec<FailedCall> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.iter().rev().cloned().collect()
    }
}
