//! The text that is signed, and the HMAC over it.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// The parts of the signed text.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// Full path of the method.
    pub path: &'a str,
    /// Id of the signing key.
    pub key_id: &'a str,
    /// Time of the signature, in seconds since 1970.
    pub time: u64,
    /// Used only once.
    pub nonce: &'a str,
    /// The protobuf bytes of the message.
    pub message: &'a [u8],
}

impl Signed<'_> {
    /// The text that the HMAC is computed over.
    pub fn text(&self) -> String {
        let Signed {
            path,
            key_id,
            time,
            nonce,
            message,
        } = self;
        let hash = HEXLOWER.encode(&Sha256::digest(message));
        format!("v1\n{path}\n{key_id}\n{time}\n{nonce}\n{hash}")
    }

    /// Computes the HMAC.
    pub fn mac(&self, secret: &SecretString) -> [u8; 32] {
        self.keyed(secret).finalize().into_bytes().into()
    }

    /// Whether an HMAC is correct, in constant time.
    pub fn is_mac(&self, secret: &SecretString, mac: &[u8; 32]) -> bool {
        self.keyed(secret).verify_slice(mac).is_ok()
    }

    fn keyed(&self, secret: &SecretString) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
            .expect("HMAC accepts keys of any length");
        mac.update(self.text().as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2, covers the HMAC itself.
    #[test]
    fn the_hmac_is_that_of_rfc_4231() {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
        mac.update(b"what do ya want for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(HEXLOWER.encode(&mac.finalize().into_bytes()), expected);
    }

    #[test]
    fn every_bit_and_every_part_counts() {
        let secret = SecretString::from("s".repeat(32));
        let signed = Signed {
            path: "/claude.v1.ClaudeService/Generate",
            key_id: "k1",
            time: 1_800_000_000,
            nonce: "0123456789abcdef",
            message: b"message",
        };
        let mac = signed.mac(&secret);
        assert!(signed.is_mac(&secret, &mac));
        for bit in 0..256 {
            let mut flipped = mac;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!signed.is_mac(&secret, &flipped), "bit {bit}");
        }
        let others = [
            Signed {
                path: "/claude.v1.ClaudeService/Classify",
                ..signed
            },
            Signed {
                key_id: "k2",
                ..signed
            },
            Signed {
                time: 1_800_000_001,
                ..signed
            },
            Signed {
                nonce: "0123456789abcdeg",
                ..signed
            },
            Signed {
                message: b"messagf",
                ..signed
            },
            Signed {
                message: b"",
                ..signed
            },
        ];
        for other in others {
            assert!(!other.is_mac(&secret, &mac), "{other:?}");
        }
        assert!(!signed.is_mac(&SecretString::from("t".repeat(32)), &mac));
    }
}
