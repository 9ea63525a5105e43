//! `[batches]`: BatchService, and where the state of batches is kept.

use crate::{
    duration_limits,
    store::{StatePlace, StoreAddress},
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Batches outlive the calls that submit them, and a restart: their state is in a
/// file, or in the Redis of all replicas, encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchesConfig {
    /// File with the state of batches, which is created if it does not exist. Requires
    /// `key_file`. Each process needs a file of its own. Unset, and without `shared`,
    /// BatchService rejects all calls.
    pub state_file: Option<PathBuf>,
    /// Whether the state of batches is in the Redis of `limits.store`, where all
    /// replicas work on the same batches. Requires `key_file` and a Redis URL there.
    /// Must not be combined with `state_file`.
    pub shared: bool,
    /// File with the Fernet keys that encrypt the state, one per line, the newest
    /// first: `claude-grpc secrets keygen` creates it. Must be readable by its owner
    /// only. With `shared`, all replicas need the same keys.
    pub key_file: Option<PathBuf>,
    /// How often the API is asked for the state of each unfinished batch: by all
    /// replicas together, with `shared`.
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    /// When an interrupted submission is looked for at the API, before it is sent
    /// again: what was sent before must be listed there by then.
    #[serde(with = "humantime_serde")]
    pub search_after: Duration,
    /// How long a batch is kept after its submission. Then it is deleted, here and at
    /// the API, which keeps results for 29 days.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Maximum number of batches of a tenant that are kept; at least 1.
    pub max_per_tenant: usize,
}

/// How long the API keeps the results of a batch.
const KEPT_BY_API: Duration = Duration::from_secs(29 * 24 * 60 * 60);

impl Default for BatchesConfig {
    fn default() -> Self {
        BatchesConfig {
            state_file: None,
            shared: false,
            key_file: None,
            poll_interval: Duration::from_secs(60),
            search_after: Duration::from_secs(60),
            retention: KEPT_BY_API,
            max_per_tenant: 1000,
        }
    }
}

impl BatchesConfig {
    /// Whether batches are on.
    pub fn is_on(&self) -> bool {
        self.shared || self.state_file.is_some()
    }

    /// Validates what the types do not express, and what must fit `limits.store`. Calls
    /// `wrong` with the key and the problem of each fault.
    pub fn check(&self, store: &StoreAddress, wrong: &mut dyn FnMut(&str, String)) {
        let place = StatePlace {
            section: "batches",
            state_file: self.state_file.as_deref(),
            shared: self.shared,
            key_file: self.key_file.as_deref(),
        };
        place.check(store, wrong);
        if self.retention > KEPT_BY_API {
            wrong("retention", "must be at most 29 days".to_owned());
        }
        duration_limits::check(
            [
                ("poll_interval", self.poll_interval, false),
                ("search_after", self.search_after, true),
                ("retention", self.retention, false),
            ],
            wrong,
        );
        if self.max_per_tenant == 0 {
            wrong("max_per_tenant", "must be at least 1".to_owned());
        }
    }
}
