//! How long responses take, by the size that they may have.
//!
//! One average for all would let slow callers stop fast ones: a call that must
//! wait is rejected if its deadline leaves no time for a response.

use std::time::Duration;

/// Weight of the latest response in the average.
const NEWEST: f64 = 0.1;

/// Each class is for twice the `max_tokens` of the one before; the first one
/// ends at 512.
const CLASSES: usize = 10;

/// The recent average response times.
#[derive(Debug, Default)]
pub struct AnswerTimes([Option<Duration>; CLASSES]);

// === impl AnswerTimes ===

impl AnswerTimes {
    /// A response to a request of this `max_tokens` took this time.
    pub fn add(&mut self, max_tokens: f64, took: Duration) {
        let average = &mut self.0[class(max_tokens)];
        *average = Some(match *average {
            None => took,
            Some(average) => average.mul_f64(1.0 - NEWEST) + took.mul_f64(NEWEST),
        });
    }

    /// The average; 0 if it is not known.
    pub fn expected(&self, max_tokens: f64) -> Duration {
        self.0[class(max_tokens)].unwrap_or_default()
    }

    /// Whether there was a response at all.
    pub fn is_known(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }
}

fn class(max_tokens: f64) -> usize {
    let doublings = (max_tokens / 512.0).max(1.0).log2().ceil();
    (doublings as usize).min(CLASSES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_responses_say_nothing_about_short_ones() {
        let mut times = AnswerTimes::default();
        assert!(!times.is_known());
        let minutes = |count: u64| Duration::from_secs(60 * count);
        times.add(64_000.0, minutes(10));
        times.add(64_000.0, minutes(20));
        assert_eq!(times.expected(64_000.0), minutes(11));
        for short in [0.0, 1.0, 4096.0] {
            assert_eq!(times.expected(short), Duration::ZERO);
        }
        assert!(times.is_known());
    }

    #[test]
    fn a_class_doubles() {
        for (max_tokens, expected) in [
            (0.0, 0),
            (512.0, 0),
            (513.0, 1),
            (1024.0, 1),
            (4096.0, 3),
            (128_000.0, 8),
            (4e9, 9),
        ] {
            assert_eq!(class(max_tokens), expected, "{max_tokens}");
        }
    }
}
