//! Whether Redis is reachable.

use parking_lot::Mutex;
use redis::RedisError;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A Redis that fails again within this time has not really recovered.
const STEADY: Duration = Duration::from_secs(10);

/// Whether Redis is reachable. Clones share the counters.
#[derive(Debug, Clone, Default)]
pub struct StoreHealth(Arc<Health>);

#[derive(Debug, Default)]
struct Health {
    down: AtomicBool,
    failures: AtomicU64,
    back_since: Mutex<Option<Instant>>,
}

// === impl StoreHealth ===

impl StoreHealth {
    /// Whether the last query failed.
    pub fn is_down(&self) -> bool {
        self.0.down.load(Ordering::Relaxed)
    }

    /// Number of failed queries so far.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// Records that Redis is unreachable; returns whether that is new, and logs
    /// it if so.
    pub(super) fn gone(&self, error: &RedisError) -> bool {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        let is_new = !self.0.down.swap(true, Ordering::Relaxed);
        if is_new {
            tracing::error!(
                kind = ?error.kind(),
                "redis is unreachable: limits are not shared between replicas"
            );
        }
        is_new
    }

    /// Records that Redis is reachable again, and logs it.
    pub(super) fn back(&self) {
        *self.back_since() = Some(Instant::now());
        if self.0.down.swap(false, Ordering::Relaxed) {
            tracing::info!("redis is reachable again: limits are shared between replicas");
        }
    }

    /// Whether it failed only shortly before.
    pub(super) fn is_shaky(&self) -> bool {
        self.back_since().is_some_and(|at| at.elapsed() < STEADY)
    }

    fn back_since(&self) -> parking_lot::MutexGuard<'_, Option<Instant>> {
        self.0.back_since.lock()
    }
}
