//! `[secrets]`: where secrets are read from. The secrets themselves are never
//! in the configuration.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// Encrypted sources of secrets, for API keys that are neither in a plain file
/// nor in a variable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsConfig {
    /// Fernet-encrypted `.env` file that sets `ANTHROPIC_API_KEY` to one or more
    /// keys, separated by commas. Created by `claude-grpc secrets encrypt`;
    /// requires `key_file`.
    pub encrypted_env_file: Option<PathBuf>,
    /// File with the Fernet keys for decryption, one per line, the newest first.
    /// Must be readable by its owner only.
    pub key_file: Option<PathBuf>,
    /// API key decrypted by AWS KMS.
    pub kms: KmsConfig,
}

/// `[secrets.kms]`: an API key decrypted by AWS KMS, with the credentials and the
/// region that the AWS SDK finds in its environment. Requires a build with the
/// feature `kms`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KmsConfig {
    /// File with the ciphertext of the API key, Base64 or binary. Requires
    /// `key_id`.
    pub ciphertext_file: Option<PathBuf>,
    /// ARN of the KMS key that encrypted it. A ciphertext of any other key is
    /// rejected.
    pub key_id: Option<String>,
    /// Encryption context that the API key was encrypted with. Must match it
    /// exactly.
    pub encryption_context: BTreeMap<String, String>,
    /// URL of the KMS endpoint, for a VPC endpoint. Unset, the endpoint of the
    /// region.
    pub endpoint_url: Option<String>,
    /// AWS region. Unset, the region from the environment.
    pub region: Option<String>,
}

impl KmsConfig {
    /// Whether a ciphertext is configured, and so KMS is used.
    pub fn is_on(&self) -> bool {
        self.ciphertext_file.is_some()
    }
}

impl SecretsConfig {
    /// Validates what the types do not express. Calls `wrong` with the key and
    /// the problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if self.encrypted_env_file.is_some() && self.key_file.is_none() {
            wrong(
                "encrypted_env_file",
                "must be set together with secrets.key_file".to_owned(),
            );
        }
        if self.kms.is_on() && self.kms.key_id.is_none() {
            wrong(
                "kms.ciphertext_file",
                "must be set together with secrets.kms.key_id".to_owned(),
            );
        }
        if self.kms.is_on() && !cfg!(feature = "kms") {
            let problem = "requires a build with AWS KMS: cargo build --features kms";
            wrong("kms.ciphertext_file", problem.to_owned());
        }
    }
}
