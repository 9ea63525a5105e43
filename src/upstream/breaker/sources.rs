//! Whose calls fail.
//!
//! A caller can make its calls fail by what it asks: a prompt that the model
//! does not get through, a model that does not exist. So an open circuit stops
//! only those whose calls failed, until too many are affected for it to be their
//! doing.

use crate::upstream::RequestShape;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};
use tokio::time::Instant;

/// When calls of this many sources fail, an open circuit stops all calls.
const MAX_SOURCES: usize = 8;

/// A client, the model that it asks and the shape of its request, as a hash. All
/// callers without an identity are one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSource(u64);

impl CallSource {
    /// The source of the calls of `client` to `model` with this shape.
    pub fn of(client: Option<&str>, model: &str, shape: RequestShape) -> Self {
        let mut hasher = DefaultHasher::new();
        (client, model, shape).hash(&mut hasher);
        CallSource(hasher.finish())
    }
}

/// The sources whose last call failed, the latest last.
#[derive(Debug, Default)]
pub struct FailingSources(Vec<(CallSource, Instant)>);

// === impl FailingSources ===

impl FailingSources {
    /// The last call of a source failed.
    pub fn add(&mut self, source: CallSource, now: Instant) {
        self.remove(source);
        if self.0.len() >= MAX_SOURCES {
            self.0.remove(0);
        }
        self.0.push((source, now));
    }

    /// The last call of a source succeeded.
    pub fn remove(&mut self, source: CallSource) {
        self.0.retain(|(one, _)| *one != source);
    }

    /// Forgets failures that are older than `age`.
    pub fn forget_before(&mut self, now: Instant, age: Duration) {
        self.0
            .retain(|(_, at)| now.saturating_duration_since(*at) <= age);
    }

    /// Whether an open circuit stops the calls of a source.
    pub fn stops(&self, source: CallSource) -> bool {
        self.0.len() >= MAX_SOURCES || self.0.iter().any(|(one, _)| *one == source)
    }
}
