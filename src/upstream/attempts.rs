//! The attempts of one call: their number, and what each of them used.

use super::usage_meter::UsageMeter;
use crate::models::Tokens;
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// The attempts of one call. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Attempts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicU32,
    meters: Mutex<Vec<UsageMeter>>,
}

// === impl Attempts ===

impl Attempts {
    /// Attempts begun so far.
    pub fn count(&self) -> u32 {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Takes over the count of a shared call.
    pub fn set(&self, count: u32) {
        self.0.count.store(count, Ordering::Relaxed);
    }

    /// Counts one more attempt; returns its number, starting at 1.
    pub fn begin(&self) -> u32 {
        self.0.count.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The meter of one more attempt, with an estimate of its input tokens.
    pub fn meter(&self, estimated_input: u32) -> UsageMeter {
        let meter = UsageMeter::new(estimated_input);
        self.0.meters.lock().push(meter.clone());
        meter
    }

    /// What each attempt has used so far. They are not added up, since prices
    /// depend on the size of each.
    pub fn usages(&self) -> Vec<Tokens> {
        let meters = self.0.meters.lock();
        meters.iter().filter_map(UsageMeter::usage).collect()
    }

    /// Attempts to which content of an answer came, and which are therefore
    /// paid for.
    pub fn with_content(&self) -> usize {
        let meters = self.0.meters.lock();
        meters.iter().filter(|meter| meter.has_content()).count()
    }
}
