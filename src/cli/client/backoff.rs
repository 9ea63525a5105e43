//! The pauses between attempts of a client that the service does not tell when to return.

use rand::random_range;
use std::time::Duration;

/// The longest pause before the second attempt.
pub const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The pause after this number of attempts: exponential, with jitter between a half and the
/// whole of it.
pub fn backoff(attempts: u32) -> Duration {
    let factor = 2_u32.saturating_pow(attempts.saturating_sub(1).min(16));
    let longest = FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE);
    longest.mul_f64(random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit() {
        assert!(backoff(1) <= FIRST_PAUSE);
        assert!(backoff(4) >= FIRST_PAUSE * 4);
        assert!((LONGEST_PAUSE / 2..=LONGEST_PAUSE).contains(&backoff(1000)));
    }
}
