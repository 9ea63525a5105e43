//! The keys in Redis of a tenant's batches. They name the tenant by a hash, which is
//! their hash tag, and batches by their ids, which are random.

use crate::store::key_hash;

/// What all hashes here are about.
const BATCHES: &str = "claude-grpc batches";

/// The tenants that have batches, each with the time until which it is kept.
pub const TENANTS: &str = "claude-grpc:batches:tenants";

/// The keys of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchKeys {
    tag: String,
}

// === impl BatchKeys ===

impl BatchKeys {
    /// Those of a tenant by its name.
    pub fn of(tenant: &str) -> Self {
        BatchKeys {
            tag: key_hash(&[BATCHES, "tenant", tenant]),
        }
    }

    /// Those of a tenant by its hash.
    pub fn tagged(tag: String) -> Self {
        BatchKeys { tag }
    }

    /// The hash of the tenant.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Id of each batch → its [`super::index_entry::IndexEntry`].
    pub fn index(&self) -> String {
        self.key("batches")
    }

    /// Id of each batch → its record, encrypted.
    pub fn records(&self) -> String {
        self.key("batch-records")
    }

    /// Hash of each request id → id of the batch that it stands for.
    pub fn requests(&self) -> String {
        self.key("batch-requests")
    }

    /// Id of each batch → when the last turn in which it was sent was seen to be over.
    pub fn turn_ends(&self) -> String {
        self.key("batch-turn-ends")
    }

    /// Who has the turn of a batch.
    pub fn turn(&self, id: &str) -> String {
        self.key(&format!("batch-turn:{id}"))
    }

    /// Exists while a batch has been looked after.
    pub fn round(&self, id: &str) -> String {
        self.key(&format!("batch-round:{id}"))
    }

    /// A piece of what is large of a batch.
    pub fn piece(&self, of: &str, id: &str, number: usize) -> String {
        self.key(&format!("batch-{of}:{id}:{number}"))
    }

    /// The hash of a request id; empty if there is none.
    pub fn request(&self, request_id: &str) -> String {
        match request_id {
            "" => String::new(),
            _ => key_hash(&[BATCHES, "request", &self.tag, request_id]),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("claude-grpc:{{{}}}:{name}", self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_and_their_request_ids_have_hashes_of_their_own() {
        let (one, two) = (BatchKeys::of("one"), BatchKeys::of("two"));
        assert_ne!(one, two);
        assert_ne!(BatchKeys::of(""), one);
        assert_eq!(BatchKeys::tagged(one.tag().to_owned()), one);
        assert_ne!(one.request("r"), two.request("r"));
        assert_ne!(one.request("r"), one.request("s"));
        assert_eq!(one.request(""), "");
        let tag = format!("claude-grpc:{{{}}}:", one.tag());
        for key in [one.index(), one.turn("batch_1"), one.piece("body", "b", 3)] {
            assert!(key.starts_with(&tag), "{key}");
            assert!(!key.contains("one"), "{key}");
        }
    }
}
