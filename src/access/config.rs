//! `[access]`: which clients may call.

use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Access control, enabled by `clients_file`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// File with the clients that may call, managed by `claude-grpc clients`.
    /// It may be encrypted with `secrets.key_file`, and is reloaded within
    /// seconds when it changes.
    pub clients_file: Option<PathBuf>,
    /// Verification of signed requests.
    pub signatures: SignatureConfig,
    /// Whether to serve without access control on an address other than
    /// loopback. Only for networks where something else authenticates callers.
    /// Must not be combined with `clients_file`.
    pub allow_anonymous: bool,
}

/// `[access.signatures]`: verification of signed requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignatureConfig {
    /// Maximum difference between the timestamp of a signature and the clock of
    /// the service, in either direction; 1 second to 1 day. Nonces are remembered
    /// for twice this time.
    #[serde(with = "humantime_serde")]
    pub tolerance: Duration,
    /// Maximum number of nonces remembered per signing key; at least 1. While it
    /// is reached, further signed calls of that key are rejected. The defaults
    /// allow 166 calls per second and key.
    pub max_nonces: usize,
}

impl Default for SignatureConfig {
    fn default() -> Self {
        SignatureConfig {
            tolerance: Duration::from_secs(300),
            max_nonces: 100_000,
        }
    }
}

impl AccessConfig {
    /// Validates what the types do not express. Calls `wrong` with the key and
    /// the problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        let tolerances = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
        if !tolerances.contains(&self.signatures.tolerance) {
            wrong(
                "signatures.tolerance",
                "must be between 1s and 1day".to_owned(),
            );
        }
        if self.signatures.max_nonces == 0 {
            wrong("signatures.max_nonces", "must be at least 1".to_owned());
        }
        if self.allow_anonymous && self.clients_file.is_some() {
            let problem = "must not be combined with access.clients_file";
            wrong("allow_anonymous", problem.to_owned());
        }
    }
}
