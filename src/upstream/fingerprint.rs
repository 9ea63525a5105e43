//! Identifies an API key without revealing it.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;

/// Equal for the same key in all replicas, and not reversible: half of an
/// HMAC-SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint([u8; 16]);

/// The text that is authenticated with the key.
const FINGERPRINTED: &[u8] = b"claude-grpc: whose limits these are";

// === impl Fingerprint ===

impl Fingerprint {
    /// The fingerprint of a key.
    pub fn of(secret: &str) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .expect("HMAC accepts keys of any length");
        mac.update(FINGERPRINTED);
        let mut half = [0; 16];
        half.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        Fingerprint(half)
    }

    /// The fingerprint as a number, for hashes.
    pub fn seed(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_in_all_replicas_and_not_the_key() {
        let fingerprint = Fingerprint::of("sk-ant-secret");
        assert_ne!(fingerprint, Fingerprint::of("sk-ant-secret2"));
        // Replicas of other versions must compute the same value.
        assert_eq!(fingerprint.to_string(), "0c45ca83d370498013b09477af9e0b74");
    }
}
