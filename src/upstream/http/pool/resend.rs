//! Sending again what the peer says that it did not process.

use super::StreamError;
use std::time::Duration;
use tokio::time::Instant;

/// How often a request is sent again, at once, because the peer refuses its
/// stream.
const MAX_REFUSALS: u32 = 3;

/// How often and for how long one request is sent again.
///
/// A drained connection is not a failure: the peer may drain each one after a few
/// requests (nginx: `keepalive_requests`), and the next connection is another
/// one. So it is bounded by time. A refused stream is bounded by a number: the
/// next one may be on the same connection.
#[derive(Debug)]
pub struct Resends {
    longest: Duration,
    until: Option<Instant>,
    refusals: u32,
}

impl Resends {
    /// Sends again for at most `longest` after the first time that the request
    /// was not processed.
    pub fn within(longest: Duration) -> Self {
        Resends {
            longest,
            until: None,
            refusals: 0,
        }
    }

    /// How long the request may wait for its next stream; `None` if it must not
    /// be sent again.
    pub fn after(&mut self, error: StreamError) -> Option<Duration> {
        match error {
            StreamError::Drained => {}
            StreamError::Refused if self.refusals < MAX_REFUSALS => self.refusals += 1,
            _ => return None,
        }
        let now = Instant::now();
        let until = *self.until.get_or_insert(now + self.longest);
        Some(until - now).filter(|left| !left.is_zero())
    }
}
