//! What every part of the service knows of a call: until when its caller waits,
//! and how urgent it is.

use std::time::Duration;
use tokio::time::Instant;

/// The point in time at which the caller stops waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The deadline that is this long from now.
    pub fn after(duration: Duration) -> Self {
        Deadline(Instant::now() + duration)
    }

    /// The time that is left; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Which calls go first when calls have to wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Nobody waits for the answer: the call goes when there is room.
    Batch,
    /// Somebody waits for the answer.
    #[default]
    Interactive,
}
