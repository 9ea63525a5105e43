//! `[secrets]`: where secrets are. The secrets themselves are never in the
//! configuration.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// Where the API key comes from. The first place that is set is taken: the
/// file, the environment, the encrypted file, AWS KMS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsConfig {
    /// File with the API key, or several, one a line: a mounted secret. The
    /// environment's ANTHROPIC_API_KEY_FILE names it as well.
    pub api_key_file: Option<PathBuf>,
    /// Fernet-encrypted `.env` file that sets ANTHROPIC_API_KEY, or
    /// ANTHROPIC_API_KEYS with commas between the keys.
    pub encrypted_env_file: Option<PathBuf>,
    /// File with the Fernet keys that decrypt, one a line, the newest first.
    /// Refused when others than its owner can read it.
    pub key_file: Option<PathBuf>,
    /// API key encrypted by AWS KMS. Needs a build with the feature `kms`.
    pub kms: Option<KmsConfig>,
}

/// `[secrets.kms]`: an API key that AWS KMS decrypts. Credentials and region
/// come from where the AWS SDK looks for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KmsConfig {
    /// File with the ciphertext, in Base64 or as bytes.
    pub ciphertext_file: PathBuf,
    /// ARN of the one key that may have encrypted it.
    pub key_id: String,
    /// What was given as encryption context when it was encrypted.
    pub encryption_context: BTreeMap<String, String>,
    /// Another address of KMS, for a VPC endpoint.
    pub endpoint_url: Option<String>,
    /// Region, where the environment does not say it.
    pub region: Option<String>,
}

impl SecretsConfig {
    /// What is wrong with these settings, in words that name them.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.encrypted_env_file.is_some() && self.key_file.is_none() {
            return Err("secrets.encrypted_env_file needs secrets.key_file".to_owned());
        }
        let Some(kms) = &self.kms else {
            return Ok(());
        };
        if kms.ciphertext_file.as_os_str().is_empty() || kms.key_id.is_empty() {
            return Err(
                "secrets.kms needs secrets.kms.ciphertext_file and secrets.kms.key_id".to_owned(),
            );
        }
        if !cfg!(feature = "kms") {
            return Err(
                "secrets.kms needs a build with AWS KMS: cargo build --features kms".to_owned(),
            );
        }
        Ok(())
    }
}
