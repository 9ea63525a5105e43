//! The names of keys in Redis. Tenants and ids are in them as hashes only: an id lets
//! anyone name what it is of who has the API key.

use crate::{store::key_hash, upstream::OwnedKind};

/// In how many keys the ends of all files are, so that they spread over a cluster.
const SHARDS: u8 = 16;

/// The keys of what one tenant owns. They share a hash tag, so that one script can use them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantKeys {
    /// The hash of the tenant.
    pub tenant: String,
    /// Id → sealed value.
    pub owned: String,
    /// Ids by when they leave.
    pub leaving: String,
    /// Ids of what was noted, in the order in which it is forgotten.
    pub noted: String,
    /// Id → size of an upload.
    pub uploads: String,
}

// === impl TenantKeys ===

impl TenantKeys {
    /// Those of a tenant.
    pub fn of(tenant: &str) -> Self {
        TenantKeys::of_hash(&key_hash(&["tenant", tenant]))
    }

    /// Those of the tenant with this hash.
    pub fn of_hash(hash: &str) -> Self {
        let key = |what: &str| format!("claude-grpc:files:{{{hash}}}:{what}");
        TenantKeys {
            tenant: hash.to_owned(),
            owned: key("owned"),
            leaving: key("leaving"),
            noted: key("noted"),
            uploads: key("uploads"),
        }
    }
}

/// The hash of an id at the API.
pub fn hash_of(kind: OwnedKind, id: &str) -> String {
    key_hash(&[kind.name(), id])
}

/// The key that says whose something is.
pub fn owner_key(hash: &str) -> String {
    format!("claude-grpc:files:{{{hash}}}:owner")
}

/// The key with the end of a file.
pub fn ends_key(hash: &str) -> String {
    format!("claude-grpc:files:{{{}}}:ends", &hash[..1])
}

/// All keys with ends of files.
pub fn all_ends_keys() -> impl Iterator<Item = String> {
    (0..SHARDS).map(|shard| ends_key(&format!("{shard:x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_hashes_only_and_each_shard_is_looked_after() {
        let keys = TenantKeys::of("a tenant");
        assert!(!format!("{keys:?}").contains("a tenant"));
        assert_eq!(TenantKeys::of_hash(&keys.tenant), keys);
        let file = hash_of(OwnedKind::File, "file_1");
        assert_ne!(file, hash_of(OwnedKind::Container, "file_1"));
        let shards: Vec<_> = all_ends_keys().collect();
        for id in 0..100 {
            let hash = hash_of(OwnedKind::File, &id.to_string());
            assert!(shards.contains(&ends_key(&hash)));
        }
    }
}
