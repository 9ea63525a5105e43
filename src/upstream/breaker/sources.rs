//! Whose calls fail.
//!
//! A caller can make its calls fail by what it asks: a prompt that the model
//! does not get through, a model that does not exist. So an open circuit stops
//! only calls of the kind that failed, of the client whose calls failed, until too
//! many clients are affected for it to be their doing.

use crate::upstream::RequestShape;
use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};
use tokio::time::Instant;

/// When calls of this many clients fail, an open circuit stops all calls.
const MAX_CLIENTS: usize = 8;

/// When this many kinds of calls of a client fail, an open circuit stops all of
/// its calls.
const MAX_KINDS: usize = 8;

/// A client, and the kind of its call: the model that it asks and the shape of
/// its request. All callers without an identity are one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSource {
    client: u64,
    kind: u64,
}

impl CallSource {
    /// The source of the calls of `client` to `model` with this shape.
    pub fn of(client: Option<&str>, model: &str, shape: RequestShape) -> Self {
        CallSource {
            client: hash(client),
            kind: hash((model, shape)),
        }
    }
}

fn hash(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// The sources whose last call failed, the latest last. Bounded: of a client, and
/// of all clients, the oldest make room.
#[derive(Debug, Default)]
pub struct FailingSources(Vec<(CallSource, Instant)>);

// === impl FailingSources ===

impl FailingSources {
    /// The last call of a source failed.
    pub fn add(&mut self, source: CallSource, now: Instant) {
        self.remove(source);
        if self.kinds_of(source.client) >= MAX_KINDS {
            let oldest = |(one, _): &(CallSource, _)| one.client == source.client;
            let oldest = self.0.iter().position(oldest);
            oldest.map(|at| self.0.remove(at));
        } else if self.0.len() >= MAX_CLIENTS * MAX_KINDS {
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
        self.0.iter().any(|(one, _)| *one == source)
            || self.kinds_of(source.client) >= MAX_KINDS
            || self.clients() >= MAX_CLIENTS
    }

    fn kinds_of(&self, client: u64) -> usize {
        self.0
            .iter()
            .filter(|(one, _)| one.client == client)
            .count()
    }

    fn clients(&self) -> usize {
        let clients: HashSet<u64> = self.0.iter().map(|(one, _)| one.client).collect();
        clients.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(client: &str, model: &str) -> CallSource {
        CallSource::of(Some(client), model, RequestShape::default())
    }

    #[test]
    fn a_client_stops_only_itself_however_its_calls_differ() {
        let mut failing = FailingSources::default();
        for kind in 0..100 {
            assert_eq!(failing.stops(of("a", "new")), kind >= MAX_KINDS);
            failing.add(of("a", &kind.to_string()), Instant::now());
        }
        assert!(!failing.stops(of("b", "new")));
        // It works again for one kind of its calls.
        failing.remove(of("a", "99"));
        assert!(!failing.stops(of("a", "new")));
        assert!(failing.stops(of("a", "98")));
    }

    #[test]
    fn many_clients_stop_everyone() {
        let mut failing = FailingSources::default();
        for client in 0..100 {
            assert_eq!(failing.stops(of("new", "m")), client >= MAX_CLIENTS);
            failing.add(of(&client.to_string(), "m"), Instant::now());
        }
        assert!(failing.0.len() <= MAX_CLIENTS * MAX_KINDS);
    }
}
