//! What an API key is known by where it must not be.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// The same for the same key in all replicas, and no way back to the key: half
/// of an HMAC-SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

/// What a fingerprint is made of, with the key.
const FINGERPRINTED: &[u8] = b"claude-grpc: whose limits these are";

// === impl Fingerprint ===

impl Fingerprint {
    /// Of a key.
    pub fn of(secret: &str) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .expect("HMAC accepts keys of any length");
        mac.update(FINGERPRINTED);
        let mut half = [0; 16];
        half.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        Fingerprint(half)
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
        // Replicas of other versions have to come to the same.
        assert_eq!(fingerprint.to_string(), "0c45ca83d370498013b09477af9e0b74");
    }
}
