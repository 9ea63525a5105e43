//! What a tenant may own at the API.

use serde::{Deserialize, Serialize};

/// What an id names that belongs to a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OwnedKind {
    /// A file.
    File,
    /// A container, in which tools of the API run.
    Container,
    /// A thread, by the id of its last answer.
    Thread,
}

impl OwnedKind {
    /// What it is called in messages for callers.
    pub fn name(self) -> &'static str {
        match self {
            OwnedKind::File => "file",
            OwnedKind::Container => "container",
            OwnedKind::Thread => "thread",
        }
    }
}
