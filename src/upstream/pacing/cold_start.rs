//! How many calls are sent before the API has named its limits.
//!
//! The first response names them, and a whole response takes as long as the
//! model needs. Sending everything until then could be a burst of rejections,
//! and waiting would throttle calls that no limit stops. But the API rejects a
//! call at once, before the model begins: calls that are still in flight after
//! a moment were accepted, and so twice as many may be sent.

use std::time::Duration;
use tokio::time::Instant;

/// Calls in flight at first, and again after a rejection.
pub const FIRST_CALLS: usize = 16;

/// A call that was not rejected within this time was accepted: several times
/// the round trip to the API.
pub const ACCEPTED_AFTER: Duration = Duration::from_millis(250);

/// The bound on calls in flight while the limits are not known.
#[derive(Debug)]
pub struct ColdStart {
    most: usize,
    /// When the latest call was sent, or rejected.
    latest: Option<Instant>,
}

impl Default for ColdStart {
    fn default() -> Self {
        ColdStart {
            most: FIRST_CALLS,
            latest: None,
        }
    }
}

// === impl ColdStart ===

impl ColdStart {
    /// Time until one more call may be sent, next to those in flight.
    pub fn fits_in(&mut self, in_flight: usize) -> Duration {
        if in_flight < self.most {
            return Duration::ZERO;
        }
        let since = self.latest.map_or(Duration::MAX, |at| at.elapsed());
        let left = ACCEPTED_AFTER.saturating_sub(since);
        if left.is_zero() {
            self.most = in_flight.saturating_mul(2);
        }
        left
    }

    /// A call is sent; `in_flight` are without it.
    pub fn sent(&mut self, in_flight: usize) {
        if in_flight == 0 {
            self.most = FIRST_CALLS;
        }
        self.latest = Some(Instant::now());
    }

    /// The API rejected a call, and did not name its limits.
    pub fn rejected(&mut self) {
        self.most = FIRST_CALLS;
        self.latest = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends what fits until `count` calls are in flight; returns after how
    /// long.
    async fn send(start: &mut ColdStart, count: usize) -> Duration {
        let began = Instant::now();
        for in_flight in 0..count {
            tokio::time::sleep(start.fits_in(in_flight)).await;
            assert_eq!(start.fits_in(in_flight), Duration::ZERO);
            start.sent(in_flight);
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_api_accepts_doubles() {
        for (calls, waits) in [(16, 0), (32, 1), (60, 2), (200, 4), (1000, 6)] {
            let took = send(&mut ColdStart::default(), calls).await;
            let rounds = (took.as_secs_f64() / ACCEPTED_AFTER.as_secs_f64()).round();
            assert_eq!(rounds as u32, waits, "{calls} calls took {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_slow_call_does_not_allow_a_burst() {
        let mut start = ColdStart::default();
        start.sent(0);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(send(&mut start, 100).await > ACCEPTED_AFTER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rejection_begins_again() {
        let mut start = ColdStart::default();
        send(&mut start, 32).await;
        tokio::time::advance(ACCEPTED_AFTER).await;
        start.rejected();
        assert_eq!(start.fits_in(31), ACCEPTED_AFTER);
        assert_eq!(start.fits_in(15), Duration::ZERO);
    }
}
