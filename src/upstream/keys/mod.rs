//! The API keys that attempts are made with.

mod key;

pub use key::Key;

use super::UpstreamError;
use parking_lot::RwLock;
use std::sync::Arc;

/// All keys. Cloning is cheap; all clones see a replacement.
#[derive(Debug, Clone)]
pub struct Keys(Arc<RwLock<Arc<[Arc<Key>]>>>);

// === impl Keys ===

impl Keys {
    /// A set of keys, in order.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Keys(Arc::new(RwLock::new(ring(keys))))
    }

    /// Replaces all keys. Attempts in flight keep theirs.
    pub fn replace(&self, keys: impl IntoIterator<Item = Key>) {
        *self.0.write() = ring(keys);
    }

    /// All keys, with the reason if a key is quarantined.
    pub fn refused(&self) -> Vec<(Arc<str>, Option<UpstreamError>)> {
        let keys = self.current();
        let states = keys
            .iter()
            .map(|key| (Arc::clone(key.name()), key.refusal()));
        states.collect()
    }

    /// The current keys.
    pub fn current(&self) -> Arc<[Arc<Key>]> {
        Arc::clone(&self.0.read())
    }
}

fn ring(keys: impl IntoIterator<Item = Key>) -> Arc<[Arc<Key>]> {
    keys.into_iter().map(Arc::new).collect()
}
