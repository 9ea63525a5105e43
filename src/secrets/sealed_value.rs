//! Values that are kept encrypted: JSON in a Fernet token.

use super::{Keyring, NotDecrypted};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// A value cannot be sealed, or opened.
#[derive(Debug, Error)]
pub enum SealError {
    /// No key decrypts it.
    #[error(transparent)]
    Key(#[from] NotDecrypted),
    /// It is not what was sealed.
    #[error("the value is not valid")]
    Invalid,
}

impl Keyring {
    /// A value as it is kept.
    ///
    /// # Errors
    /// When it cannot be JSON.
    pub fn seal(&self, value: &impl Serialize) -> Result<String, SealError> {
        let json = serde_json::to_vec(value).map_err(|_| SealError::Invalid)?;
        Ok(self.encrypt(&json))
    }

    /// A value that was kept.
    ///
    /// # Errors
    /// When no key decrypts it, or it is of another type.
    pub fn open<T: DeserializeOwned>(&self, token: &str) -> Result<T, SealError> {
        let json = self.decrypt(token)?;
        serde_json::from_slice(&json).map_err(|_| SealError::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_not_plain_and_only_the_key_opens_it() {
        let key = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
        let keys = Keyring::parse(key).unwrap();
        let sealed = keys.seal(&["secret"]).unwrap();
        assert!(!sealed.contains("secret"));
        assert_eq!(keys.open::<[String; 1]>(&sealed).unwrap(), ["secret"]);
        let wrong = keys.open::<u64>(&sealed);
        assert!(matches!(wrong, Err(SealError::Invalid)), "{wrong:?}");
        let other = Keyring::parse(&key.replace("cw", "aa")).unwrap();
        let opened = other.open::<[String; 1]>(&sealed);
        assert!(matches!(opened, Err(SealError::Key(_))), "{opened:?}");
    }
}
