//! `[access]`: who may call.

use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Access control. It is on as soon as there is a clients file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// File with the clients, as `claude-grpc clients` writes it. May be
    /// encrypted with `secrets.key_file`. A change is picked up within
    /// seconds.
    pub clients_file: Option<PathBuf>,
    /// Signed requests.
    pub signatures: SignatureConfig,
    /// Serves without access control on any address. For networks where
    /// something else lets only the right callers through.
    pub allow_anonymous: bool,
}

/// `[access.signatures]`: signed requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignatureConfig {
    /// How far a signature's time may be from ours, in either direction. A
    /// nonce is remembered twice as long.
    #[serde(with = "humantime_serde")]
    pub tolerance: Duration,
    /// Most nonces remembered for one signing key. Beyond, its calls are
    /// refused until some are forgotten: at 100,000 and 300 s, that is above
    /// 166 calls a second.
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
    /// What is wrong with these settings, in words that name them.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.signatures.tolerance < Duration::from_secs(1) {
            return Err("access.signatures.tolerance has to be 1s or more".to_owned());
        }
        if self.signatures.max_nonces == 0 {
            return Err("access.signatures.max_nonces has to be 1 or more".to_owned());
        }
        if self.allow_anonymous && self.clients_file.is_some() {
            return Err(
                "access.allow_anonymous contradicts access.clients_file: remove one".to_owned(),
            );
        }
        Ok(())
    }
}
