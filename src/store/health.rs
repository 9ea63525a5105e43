//! Whether Redis serves, as calls, metrics and the log see it.

use super::{failure::RedisFailure, failure_kind::RedisFailureKind};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Whether Redis serves. Clones share the counters.
///
/// Calls and metrics follow each change at once. The log has one line for each
/// cause of an outage, and one when the outage is over: when Redis has served for
/// a while, so that one that comes and goes fills no log.
#[derive(Debug, Clone, Default)]
pub struct StoreHealth(Arc<Health>);

#[derive(Debug, Default)]
struct Health {
    down: AtomicBool,
    failures: AtomicU64,
    /// How often each cause was found.
    causes: Mutex<BTreeMap<RedisFailureKind, u64>>,
    /// The causes of the present outage that have been logged.
    logged: Mutex<Vec<RedisFailureKind>>,
    /// Whether a rejected command has been logged since the last outage.
    refusal_logged: AtomicBool,
}

// === impl StoreHealth ===

impl StoreHealth {
    /// Whether Redis does not serve, as far as is known.
    pub fn is_down(&self) -> bool {
        self.0.down.load(Ordering::Relaxed)
    }

    /// Number of failed queries so far.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// How often each cause kept Redis from serving so far: a query, or an attempt
    /// to connect.
    pub fn causes(&self) -> Vec<(RedisFailureKind, u64)> {
        let causes = self.0.causes.lock();
        causes.iter().map(|(kind, count)| (*kind, *count)).collect()
    }

    fn count_cause(&self, failure: &RedisFailure) {
        *self.0.causes.lock().entry(failure.kind).or_default() += 1;
    }

    /// Counts a query that failed.
    pub(super) fn count_failure(&self) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that Redis does not serve, and logs the cause unless that was done
    /// in this outage.
    pub(super) fn down(&self, failure: &RedisFailure) {
        self.0.down.store(true, Ordering::Relaxed);
        self.count_cause(failure);
        let mut logged = self.0.logged.lock();
        if !logged.contains(&failure.kind) {
            logged.push(failure.kind);
            tracing::error!(
                cause = failure.kind.name(),
                detail = failure.detail.as_deref(),
                "{}: limits are not shared between replicas",
                failure.kind.says()
            );
        }
    }

    /// Logs, once, that Redis rejects a command although it serves others.
    pub(super) fn refused(&self, failure: &RedisFailure) {
        self.count_cause(failure);
        if !self.0.refusal_logged.swap(true, Ordering::Relaxed) {
            tracing::error!(
                cause = failure.kind.name(),
                detail = failure.detail.as_deref(),
                "{}: a limit is not shared between replicas",
                failure.kind.says()
            );
        }
    }

    /// Whether there is an outage, or was until a moment ago.
    pub(super) fn is_outage(&self) -> bool {
        !self.0.logged.lock().is_empty()
    }

    /// Records that Redis serves.
    pub(super) fn up(&self) {
        self.0.down.store(false, Ordering::Relaxed);
    }

    /// Ends the outage: Redis has served for a while.
    pub(super) fn settled(&self) {
        self.0.refusal_logged.store(false, Ordering::Relaxed);
        let mut logged = self.0.logged.lock();
        if !logged.is_empty() {
            logged.clear();
            tracing::info!("redis serves again: limits are shared between replicas");
        }
    }
}
