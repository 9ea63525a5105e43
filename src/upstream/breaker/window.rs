//! The sliding window of the failure rate.

use std::time::Duration;
use tokio::time::Instant;

/// Number of slots: the window slides by a tenth of its length.
const SLOTS: usize = 10;

/// Calls and failures in the window, per slot.
#[derive(Debug)]
pub struct Window {
    slots: [(u32, u32); SLOTS],
    slot_length: Duration,
    current: usize,
    began: Instant,
}

// === impl Window ===

impl Window {
    /// A window of this length.
    pub fn new(length: Duration) -> Self {
        Window {
            slots: [(0, 0); SLOTS],
            slot_length: (length / SLOTS as u32).max(Duration::from_millis(1)),
            current: 0,
            began: Instant::now(),
        }
    }

    /// Resets all counts.
    pub fn clear(&mut self) {
        self.slots = [(0, 0); SLOTS];
    }

    /// Counts a call.
    pub fn count(&mut self, now: Instant, failed: bool) {
        self.advance(now);
        let (calls, failures) = &mut self.slots[self.current];
        *calls += 1;
        *failures += u32::from(failed);
    }

    fn advance(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.began);
        let passed = elapsed.as_nanos() / self.slot_length.as_nanos();
        if passed == 0 {
            return;
        }
        for _ in 0..passed.min(SLOTS as u128) {
            self.current = (self.current + 1) % SLOTS;
            self.slots[self.current] = (0, 0);
        }
        self.began = now;
    }

    /// Calls and failures in the window.
    pub fn totals(&self) -> (u32, u32) {
        self.slots.iter().fold((0, 0), |(calls, failures), slot| {
            (calls + slot.0, failures + slot.1)
        })
    }
}
