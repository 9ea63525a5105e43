//! The header `x-signature`.

use data_encoding::HEXLOWER;
use std::fmt;

/// Maximum length of a key id, as in the clients file.
const MAX_KEY_ID: usize = 64;

/// 16 characters of Base64 are 96 bits: enough that two callers never choose
/// the same nonce.
const NONCE_LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

/// The content of `x-signature`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureHeader {
    /// When the message was signed, in seconds since 1970.
    pub time: u64,
    /// Used only once.
    pub nonce: String,
    /// Id of the signing key.
    pub key_id: String,
    /// HMAC-SHA256 over the signed text.
    pub mac: [u8; 32],
}

impl SignatureHeader {
    /// Parses the header: each of the four parts exactly once, in any order,
    /// and nothing else. `None` for anything else.
    pub fn parse(text: &str) -> Option<SignatureHeader> {
        let (mut time, mut nonce, mut key_id, mut mac) = (None, None, None, None);
        for part in text.split(',') {
            let (name, value) = part.trim().split_once('=')?;
            let slot = match name {
                "t" => &mut time,
                "n" => &mut nonce,
                "k" => &mut key_id,
                "v1" => &mut mac,
                _ => return None,
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        let (nonce, key_id) = (nonce?, key_id?);
        let nonce_fits = NONCE_LENGTHS.contains(&nonce.len()) && is_plain(nonce, b"-_");
        let key_id_fits = (1..=MAX_KEY_ID).contains(&key_id.len()) && is_plain(key_id, b"-._");
        (nonce_fits && key_id_fits).then_some(())?;
        Some(SignatureHeader {
            time: seconds(time?)?,
            nonce: nonce.to_owned(),
            key_id: key_id.to_owned(),
            mac: HEXLOWER.decode(mac?.as_bytes()).ok()?.try_into().ok()?,
        })
    }
}

impl fmt::Display for SignatureHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mac = HEXLOWER.encode(&self.mac);
        write!(
            f,
            "t={},n={},k={},v1={mac}",
            self.time, self.nonce, self.key_id
        )
    }
}

/// Only one spelling of each time is valid: the text is signed, but the check
/// formats the number.
fn seconds(text: &str) -> Option<u64> {
    let time: u64 = text.parse().ok()?;
    (time.to_string() == text).then_some(time)
}

fn is_plain(text: &str, others: &[u8]) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || others.contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> SignatureHeader {
        SignatureHeader {
            time: 1_800_000_000,
            nonce: "0123456789abcdef".to_owned(),
            key_id: "k1".to_owned(),
            mac: [0xab; 32],
        }
    }

    #[test]
    fn it_goes_there_and_back_in_any_order() {
        let text = example().to_string();
        assert_eq!(SignatureHeader::parse(&text), Some(example()));
        let mut parts: Vec<&str> = text.split(',').collect();
        parts.reverse();
        assert_eq!(SignatureHeader::parse(&parts.join(", ")), Some(example()));
    }

    #[test]
    fn anything_else_is_refused() {
        let good = example().to_string();
        let changed = [
            String::new(),
            good.replace("t=", "T="),
            good.replace("t=18", "t=+18"),
            good.replace("t=18", "t=018"),
            good.replace("t=18", "t=-18"),
            good.replace("n=0123", "n="),
            good.replace("n=0123", "n=\u{e9}23 "),
            good.replace("k=k1", "k="),
            good.replace("v1=ab", "v1=AB"),
            good.replace("v1=ab", "v1="),
            good.replace("v1=", "v2="),
            format!("{good},"),
            format!("{good},v1=00"),
            format!("{good},x=1"),
            good.split_once(',').unwrap().1.to_owned(),
        ];
        for text in changed {
            assert_eq!(SignatureHeader::parse(&text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_written_alike(text in "\\PC*|t=[0-9]{1,20},n=[a-z0-9]{16},k=[a-z]{1,4},v1=[0-9a-f]{64}") {
            if let Some(header) = SignatureHeader::parse(&text) {
                prop_assert_eq!(SignatureHeader::parse(&header.to_string()), Some(header));
            }
        }
    }
}
