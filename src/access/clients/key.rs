//! Client keys: `cgk_<id>_<secret>`.
//!
//! A key is 256 random bits, so its hash is one SHA-256 and not argon2: there
//! is no dictionary of such keys whose reading a slow hash would hold up, and
//! every call would pay for it. The salt keeps equal hashes in two files from
//! telling anything.

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

/// A new key, and what is kept of it.
pub struct FreshKey {
    /// The key, to be shown once.
    pub key: SecretString,
    /// Its id.
    pub id: String,
    /// Its hash.
    pub hash: KeyHash,
}

/// What is kept of a key: written `sha256:<salt>:<hash>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHash {
    salt: [u8; 16],
    hash: [u8; 32],
}

/// No randomness is to be had from the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to read random bytes from the operating system")]
pub struct NoRandomness;

impl FreshKey {
    /// Makes a key.
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

/// The id of a new key. It is no secret.
///
/// # Errors
/// [`NoRandomness`].
pub fn fresh_id() -> Result<String, NoRandomness> {
    Ok(HEXLOWER.encode(&random::<8>()?))
}

/// A new secret for signing: its text is the HMAC key, byte for byte.
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

/// The id part of a presented key. Anything else has none.
pub fn id_of(presented: &str) -> Option<&str> {
    let (id, _secret) = presented.strip_prefix(KEY_PREFIX)?.split_once('_')?;
    Some(id)
}

impl KeyHash {
    /// A hash that no key has: what unknown keys are compared with.
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

    /// Whether it is the hash of a key. Takes the same time for every key of
    /// the same length.
    pub fn is_of(&self, key: &str) -> bool {
        KeyHash::of(key, self.salt).hash.ct_eq(&self.hash).into()
    }

    /// Reads a hash as it is written in the clients file.
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
