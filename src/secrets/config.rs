//! `[secrets]`: where secrets are. The secrets themselves are never in the
//! configuration.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// Where secrets are that are neither in a plain file nor in a variable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsConfig {
    /// Fernet-encrypted `.env` file that sets ANTHROPIC_API_KEY; several keys
    /// with commas between them. `claude-grpc secrets encrypt` makes it.
    pub encrypted_env_file: Option<PathBuf>,
    /// File with the Fernet keys that decrypt, one a line, the newest first.
    /// Refused when others than its owner can read it.
    pub key_file: Option<PathBuf>,
    /// An API key that AWS KMS decrypts.
    pub kms: KmsConfig,
}

/// `[secrets.kms]`: an API key that AWS KMS decrypts. Credentials and region
/// come from where the AWS SDK looks for them. Needs a build with the feature
/// `kms`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KmsConfig {
    /// File with the ciphertext, in Base64 or as bytes.
    pub ciphertext_file: Option<PathBuf>,
    /// ARN of the one key that may have encrypted it.
    pub key_id: Option<String>,
    /// What was given as encryption context when it was encrypted.
    pub encryption_context: BTreeMap<String, String>,
    /// Another address of KMS, for a VPC endpoint.
    pub endpoint_url: Option<String>,
    /// Region, where the environment does not say it.
    pub region: Option<String>,
}

impl KmsConfig {
    /// Whether KMS is to be asked.
    pub fn is_on(&self) -> bool {
        self.ciphertext_file.is_some()
    }
}

impl SecretsConfig {
    /// Checks what the types do not say. `wrong` is told the key and the
    /// problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if self.encrypted_env_file.is_some() && self.key_file.is_none() {
            wrong("encrypted_env_file", "needs secrets.key_file".to_owned());
        }
        if self.kms.is_on() && self.kms.key_id.is_none() {
            wrong("kms.ciphertext_file", "needs secrets.kms.key_id".to_owned());
        }
        if self.kms.is_on() && !cfg!(feature = "kms") {
            let problem = "needs a build with AWS KMS: cargo build --features kms";
            wrong("kms.ciphertext_file", problem.to_owned());
        }
    }
}
