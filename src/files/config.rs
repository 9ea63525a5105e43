//! `[files]`: FileService, and where it is kept what belongs to whom.

use crate::{
    duration_limits,
    store::{StatePlace, StoreAddress},
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Files that callers keep at the API, and the tenants that they and containers belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilesConfig {
    /// File that keeps to which tenant files, containers and threads at the API belong;
    /// it is created if it does not exist. Requires `key_file`. Each process needs a file
    /// of its own. Unset, and without `shared`, FileService rejects all calls, and what a
    /// tenant owns is forgotten when the process ends.
    pub state_file: Option<PathBuf>,
    /// Keep it in the Redis of `limits.store` instead, where all replicas share it: what a
    /// call made at one of them can be named at each. Requires `key_file`, the same one for
    /// all replicas, and a Redis URL in `limits.store`. Excludes `state_file`.
    pub shared: bool,
    /// File with the Fernet keys that encrypt the state, one per line, the newest
    /// first: `claude-grpc secrets keygen` creates it. Must be readable by its owner
    /// only.
    pub key_file: Option<PathBuf>,
    /// How long a file is kept at the API, unless its upload asks for less; 1 hour to 90
    /// days.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Maximum number of files that a tenant has uploaded and not deleted; at least 1.
    pub max_per_tenant: usize,
    /// Maximum size of these files of a tenant, all together, in bytes; at least 1.
    pub max_bytes_per_tenant: u64,
}

/// Minimum time for which the API keeps a file.
/// Source: `expires_in_seconds` of the official SDK (PyPI `anthropic` 2.14.0).
pub const SHORTEST_RETENTION: Duration = Duration::from_secs(60 * 60);

/// As [`SHORTEST_RETENTION`], the maximum.
const LONGEST_RETENTION: Duration = Duration::from_secs(90 * 24 * 60 * 60);

impl Default for FilesConfig {
    fn default() -> Self {
        FilesConfig {
            state_file: None,
            shared: false,
            key_file: None,
            retention: Duration::from_secs(30 * 24 * 60 * 60),
            max_per_tenant: 1000,
            max_bytes_per_tenant: 5 * 1024 * 1024 * 1024,
        }
    }
}

impl FilesConfig {
    /// Whether what belongs to whom outlives the process.
    pub fn is_kept(&self) -> bool {
        self.shared || self.state_file.is_some()
    }

    /// Validates what the types do not express, and what must fit `limits.store`. Calls
    /// `wrong` with the key and the problem of each fault.
    pub fn check(&self, store: &StoreAddress, wrong: &mut dyn FnMut(&str, String)) {
        let place = StatePlace {
            section: "files",
            state_file: self.state_file.as_deref(),
            shared: self.shared,
            key_file: self.key_file.as_deref(),
        };
        place.check(store, wrong);
        duration_limits::check([("retention", self.retention, false)], wrong);
        if !(SHORTEST_RETENTION..=LONGEST_RETENTION).contains(&self.retention) {
            wrong("retention", "must be between 1 hour and 90 days".to_owned());
        }
        if self.max_per_tenant == 0 {
            wrong("max_per_tenant", "must be at least 1".to_owned());
        }
        if self.max_bytes_per_tenant == 0 {
            wrong("max_bytes_per_tenant", "must be at least 1".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;

    #[test]
    fn what_replicas_share_is_in_redis_encrypted_and_in_no_file() {
        let faults = |toml: &str, store: &StoreAddress| {
            let config: FilesConfig = toml::from_str(toml).unwrap();
            let mut problems = Vec::new();
            config.check(store, &mut |key, problem| {
                problems.push(format!("{key} {problem}"));
            });
            problems
        };
        let redis = StoreAddress::Redis(SecretString::from("redis://a"));
        let shared = "shared = true\nkey_file = 'k'";
        assert_eq!(faults(shared, &redis), [""; 0]);
        assert_eq!(
            faults(shared, &StoreAddress::Memory),
            ["shared requires a Redis URL in limits.store"]
        );
        let both = format!("{shared}\nstate_file = 's'");
        assert_eq!(
            faults(&both, &redis),
            ["shared must not be combined with files.state_file"]
        );
        assert_eq!(
            faults("shared = true", &redis),
            ["shared must be set together with files.key_file"]
        );
    }
}
