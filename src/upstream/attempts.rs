//! The attempts of one call: their number, and what each of them used.

use super::usage_meter::UsageMeter;
use crate::{access::limits::AttemptedModel, models::Tokens};
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
    /// The model of each attempt, and what it used.
    meters: Mutex<Vec<(AttemptedModel, UsageMeter)>>,
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

    /// The meter of one more attempt with an estimate of its input tokens.
    pub fn meter(&self, model: AttemptedModel, estimated_input: u32) -> UsageMeter {
        let meter = UsageMeter::new(estimated_input);
        let mut meters = self.0.meters.lock();
        meters.push((model, meter.clone()));
        meter
    }

    /// What is charged for each attempt so far, of which model. They are not added up,
    /// since prices depend on the size of each.
    pub fn usages(&self) -> Vec<(AttemptedModel, Tokens)> {
        let meters = self.0.meters.lock();
        let used =
            |(model, meter): &(AttemptedModel, UsageMeter)| Some((model.clone(), meter.charged()?));
        meters.iter().filter_map(used).collect()
    }

    /// Attempts to which content of an answer came, and which are therefore
    /// paid for.
    pub fn with_content(&self) -> usize {
        let meters = self.0.meters.lock();
        let has_content = |(_, meter): &&(AttemptedModel, UsageMeter)| meter.has_content();
        meters.iter().filter(has_content).count()
    }
}
