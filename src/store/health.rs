//! Whether Redis answers.

use parking_lot::Mutex;
use redis::RedisError;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A Redis that fails again so soon has not really been back.
const STEADY: Duration = Duration::from_secs(10);

/// Whether Redis answers. Clones share the figures.
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
    /// Whether Redis did not answer when it was last asked.
    pub fn is_down(&self) -> bool {
        self.0.down.load(Ordering::Relaxed)
    }

    /// How often it did not answer.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// Notes that Redis did not answer; whether that is new. It is logged when
    /// it is.
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

    /// Notes that Redis answers again, and logs it.
    pub(super) fn back(&self) {
        *self.back_since() = Some(Instant::now());
        if self.0.down.swap(false, Ordering::Relaxed) {
            tracing::info!("redis is reachable again: limits are shared between replicas");
        }
    }

    /// Whether it was away only just before.
    pub(super) fn is_shaky(&self) -> bool {
        self.back_since().is_some_and(|at| at.elapsed() < STEADY)
    }

    fn back_since(&self) -> parking_lot::MutexGuard<'_, Option<Instant>> {
        self.0.back_since.lock()
    }
}
