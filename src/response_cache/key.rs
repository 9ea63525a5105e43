//! What a response follows from.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// A hash of all that a response follows from: nobody finds a second one with the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResponseKey([u8; 32]);

// === impl ResponseKey ===

impl ResponseKey {
    /// The key of a request with this body, which is made `by` someone, in some way.
    pub fn of(by: &impl Serialize, body: &[u8]) -> Self {
        let by = serde_json::to_vec(by).unwrap_or_default();
        let mut hash = Sha256::new();
        // The length separates the two.
        hash.update((by.len() as u64).to_le_bytes());
        hash.update(by);
        hash.update(body);
        ResponseKey(hash.finalize().into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_counts() {
        let key = ResponseKey::of(&("tenant", "rpc"), b"body");
        assert_eq!(key, ResponseKey::of(&("tenant", "rpc"), b"body"));
        for other in [
            ResponseKey::of(&("tenan", "trpc"), b"body"),
            ResponseKey::of(&("tenant", "rpc"), b"bod"),
            ResponseKey::of(&("", ""), b""),
        ] {
            assert_ne!(key, other);
        }
    }
}
