//! Client keys: `cgk_<id>_<secret>`.
//!
//! A key is 256 random bits, so one SHA-256 is enough and argon2 is not needed:
//! there is no dictionary of such keys that a slow hash would protect against,
//! and every call would pay for it. The salt makes the hashes of the same key
//! in two files differ.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use data_encoding::HEXLOWER;
use rand::{TryRngCore, rngs::OsRng};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const KEY_PREFIX: &str = "cgk_";
const SECRET_PREFIX: &str = "cgs_";
const HASH_PREFIX: &str = "sha256:";

/// A new key and its hash.
pub struct FreshKey {
    /// The key. It is shown once.
    pub key: SecretString,
    /// Id of the key.
    pub id: String,
    /// Hash of the key, for the clients file.
    pub hash: KeyHash,
}

/// The stored form of a key: `sha256:<salt>:<hash>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHash {
    salt: [u8; 16],
    hash: [u8; 32],
}

/// The operating system provided no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to read random bytes from the operating system")]
pub struct NoRandomness;

impl FreshKey {
    /// Generates a key.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn make() -> Result<FreshKey, NoRandomness> {
        let id = fresh_id()?;
        let secret = Zeroizing::new(random::<32>()?);
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(*secret));
        let key = format!("{KEY_PREFIX}{id}_{}", *secret);
        let hash = KeyHash::of(&key, random()?);
        Ok(FreshKey {
            key: SecretString::from(key),
            id,
            hash,
        })
    }
}

/// The id for a new key. It is not secret.
///
/// # Errors
/// [`NoRandomness`].
pub fn fresh_id() -> Result<String, NoRandomness> {
    Ok(HEXLOWER.encode(&random::<8>()?))
}

/// A new signing secret: its text is the HMAC key, byte for byte.
///
/// # Errors
/// [`NoRandomness`].
pub fn fresh_signing_secret() -> Result<SecretString, NoRandomness> {
    let secret = Zeroizing::new(random::<32>()?);
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(*secret));
    Ok(SecretString::from(format!("{SECRET_PREFIX}{}", *secret)))
}

fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// The id part of a presented key; `None` if it is not formatted like a key.
pub fn id_of(presented: &str) -> Option<&str> {
    let (id, _secret) = presented.strip_prefix(KEY_PREFIX)?.split_once('_')?;
    Some(id)
}

impl KeyHash {
    /// A hash that matches no key. Unknown keys are compared with it.
    pub const NONE: KeyHash = KeyHash {
        salt: [0; 16],
        hash: [0; 32],
    };

    fn of(key: &str, salt: [u8; 16]) -> KeyHash {
        let hash = Sha256::new()
            .chain_update(salt)
            .chain_update(key)
            .finalize();
        KeyHash {
            salt,
            hash: hash.into(),
        }
    }

    /// Whether this is the hash of `key`. Takes the same time for every key of
    /// the same length.
    pub fn is_of(&self, key: &str) -> bool {
        KeyHash::of(key, self.salt).hash.ct_eq(&self.hash).into()
    }

    /// Parses a hash as written in the clients file.
    pub fn parse(text: &str) -> Option<KeyHash> {
        let (salt, hash) = text.strip_prefix(HASH_PREFIX)?.split_once(':')?;
        Some(KeyHash {
            salt: HEXLOWER.decode(salt.as_bytes()).ok()?.try_into().ok()?,
            hash: HEXLOWER.decode(hash.as_bytes()).ok()?.try_into().ok()?,
        })
    }

    /// The hash as it is written in the clients file.
    pub fn to_text(self) -> String {
        let (salt, hash) = (HEXLOWER.encode(&self.salt), HEXLOWER.encode(&self.hash));
        format!("{HASH_PREFIX}{salt}:{hash}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_key_is_known_by_its_hash_and_no_other_is() {
        let fresh = FreshKey::make().unwrap();
        let key = fresh.key.expose_secret();
        assert_eq!(key.len(), "cgk_".len() + 16 + 1 + 43);
        assert_eq!(id_of(key), Some(fresh.id.as_str()));
        let kept = KeyHash::parse(&fresh.hash.to_text()).unwrap();
        assert!(kept.is_of(key));
        assert!(!kept.is_of(&key[..key.len() - 1]));
        assert!(!kept.is_of(FreshKey::make().unwrap().key.expose_secret()));
        assert!(!KeyHash::NONE.is_of(key));
    }

    #[test]
    fn what_is_no_key_has_no_id() {
        for text in ["", "cgk_", "cgk_abc", "sk-ant-abc_def", "CGK_abc_def"] {
            assert_eq!(id_of(text), None, "{text:?}");
        }
    }
}
