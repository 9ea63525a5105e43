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
    /// Checks what the types do not say. `wrong` is told the key and the
    /// problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        let tolerances = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
        if !tolerances.contains(&self.signatures.tolerance) {
            wrong(
                "signatures.tolerance",
                "has to be from 1s to 1day".to_owned(),
            );
        }
        if self.signatures.max_nonces == 0 {
            wrong("signatures.max_nonces", "has to be 1 or more".to_owned());
        }
        if self.allow_anonymous && self.clients_file.is_some() {
            let problem = "contradicts access.clients_file: remove one of them";
            wrong("allow_anonymous", problem.to_owned());
        }
    }
}
