//! `[response_cache]`: where responses are kept, and how much of them.

use crate::{
    duration_limits,
    store::{StatePlace, StoreAddress},
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Responses that are kept for exactly the same request of the same tenant. Nothing is kept
/// unless a call asks for it, with the metadata `claude-cache-max-age` or by the
/// `cache_max_age` of its RPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseCacheConfig {
    /// Maximum size of all responses that are kept in memory, in bytes; those used least go
    /// first. `0` keeps none, whatever calls ask for, unless `shared` is set.
    pub max_bytes: u64,
    /// How long a response is kept. A call asks for one that is no older than its maximum
    /// age. Must be greater than 0.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Keep them in the Redis of `limits.store` instead, where all replicas share them.
    /// Requires `key_file`, the same one for all replicas, and a Redis URL in
    /// `limits.store`. How much is kept is limited by `retention`, and by Redis.
    pub shared: bool,
    /// File with the Fernet keys that encrypt what is in Redis, one per line, the newest
    /// first: `claude-grpc secrets keygen` creates it. Must be readable by its owner only.
    pub key_file: Option<PathBuf>,
}

impl Default for ResponseCacheConfig {
    fn default() -> Self {
        ResponseCacheConfig {
            max_bytes: 64 * 1024 * 1024,
            retention: Duration::from_secs(60 * 60),
            shared: false,
            key_file: None,
        }
    }
}

impl ResponseCacheConfig {
    /// Validates what the types do not express, and what must fit `limits.store`. Calls
    /// `wrong` with the key and the problem of each fault.
    pub fn check(&self, store: &StoreAddress, wrong: &mut dyn FnMut(&str, String)) {
        let place = StatePlace {
            section: "response_cache",
            state_file: None,
            shared: self.shared,
            key_file: self.key_file.as_deref(),
        };
        place.check(store, wrong);
        duration_limits::check([("retention", self.retention, false)], wrong);
    }
}
