//! What every part of the service knows about a call: how long its caller
//! waits, how urgent it is, and with whom it takes turns.

use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Who shares responses, usage and turns; `None` without access control.
pub type Tenant = Option<Arc<str>>;

/// The point in time at which the caller stops waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The deadline `duration` from now.
    pub fn after(duration: Duration) -> Self {
        Deadline(Instant::now() + duration)
    }

    /// The remaining time; zero once the deadline has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Which calls go first when calls must wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Nobody is waiting for the response: the call runs when there is room.
    Batch,
    /// Somebody is waiting for the response.
    #[default]
    Interactive,
}
