//! Fernet with several keys, like `MultiFernet` of Python's `cryptography`: the
//! first key encrypts, all keys decrypt.

use super::{SecretError, private_file, read_secret};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use fernet::Fernet;
use std::{fmt, path::Path};
use thiserror::Error;
use zeroize::Zeroizing;

/// Keys, in the order of the key file. Each is wiped when dropped.
pub struct Keyring {
    first: Fernet,
    others: Vec<Fernet>,
}

/// No key decrypts the token, or the token was modified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no key matches the token, or the token was modified")]
pub struct NotDecrypted;

impl Keyring {
    /// Parses keys: one per line, each 32 bytes in URL-safe Base64. Empty lines
    /// and lines that begin with `#` are skipped. `None` when a line is not a
    /// key or there is no key.
    pub fn parse(text: &str) -> Option<Keyring> {
        let mut keys = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(Fernet::new);
        let first = keys.next()??;
        let others = keys.collect::<Option<Vec<_>>>()?;
        Some(Keyring { first, others })
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// When it cannot be read, is accessible by other users, or contains a line
    /// that is not a key.
    pub fn read(path: &Path) -> Result<Keyring, SecretError> {
        let text = read_secret(path)?;
        Keyring::parse(&text).ok_or_else(|| SecretError::Malformed {
            path: path.to_owned(),
            reason: "must contain Fernet keys, one per line",
        })
    }

    /// Creates a key file with one new key.
    ///
    /// # Errors
    /// When the file exists: an overwritten key is lost, and with it everything
    /// that it encrypts.
    pub fn create(path: &Path) -> Result<(), SecretError> {
        let line = Zeroizing::new(Fernet::generate_key() + "\n");
        private_file::create_private(path, line.as_bytes())
    }

    /// Prepends a new key to a key file: it encrypts from now on, and the
    /// others still decrypt.
    ///
    /// # Errors
    /// When the file is not a key file, or cannot be replaced.
    pub fn add_key(path: &Path) -> Result<(), SecretError> {
        Keyring::read(path)?;
        let old = read_secret(path)?;
        let new = Zeroizing::new(Fernet::generate_key());
        let both = Zeroizing::new(format!("{}\n{}", *new, *old));
        private_file::write_private(path, both.as_bytes())
    }

    /// Encrypts content into a token, with the first key.
    pub fn encrypt(&self, content: &[u8]) -> String {
        self.first.encrypt(content)
    }

    /// The content of a token that is encrypted with any of the keys.
    ///
    /// # Errors
    /// [`NotDecrypted`].
    pub fn decrypt(&self, token: &str) -> Result<Zeroizing<Vec<u8>>, NotDecrypted> {
        let token = token.trim();
        std::iter::once(&self.first)
            .chain(&self.others)
            .find_map(|key| key.decrypt(token).ok())
            .map(Zeroizing::new)
            .ok_or(NotDecrypted)
    }

    /// The same content, encrypted with the first key. The token keeps its
    /// time, as with `MultiFernet.rotate`.
    ///
    /// # Errors
    /// [`NotDecrypted`].
    pub fn rotate(&self, token: &str) -> Result<String, NotDecrypted> {
        let content = self.decrypt(token)?;
        let time = time_of(token).ok_or(NotDecrypted)?;
        Ok(self.first.encrypt_at_time(&content, time))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys)", 1 + self.others.len())
    }
}

/// When a token was created, in seconds since 1970: the bytes after its version
/// byte. Its padding may be absent or too long, as decryption accepts it.
fn time_of(token: &str) -> Option<u64> {
    let token = token.trim().trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let time = bytes.get(1..9)?;
    Some(u64::from_be_bytes(time.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

    fn ring(keys: &[&str]) -> Keyring {
        Keyring::parse(&keys.join("\n")).unwrap()
    }

    /// The example of the Fernet specification (`verify.json`).
    #[test]
    fn the_example_of_the_specification_decrypts() {
        let token = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
        assert_eq!(&**ring(&[OLD]).decrypt(token).unwrap(), b"hello");
        assert_eq!(time_of(token), Some(499_162_800));
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt() {
        let new = Fernet::generate_key();
        let before = ring(&[OLD]).encrypt(b"secret");
        let both = ring(&["# newest first", &new, "", OLD]);
        assert_eq!(&**both.decrypt(&before).unwrap(), b"secret");
        let after = both.encrypt(b"secret");
        assert!(ring(&[OLD]).decrypt(&after).is_err());
        assert!(ring(&[&new]).decrypt(&after).is_ok());
    }

    #[test]
    fn a_rotated_token_needs_the_old_key_no_more_and_keeps_its_time() {
        let new = Fernet::generate_key();
        let token = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA";
        for padding in ["", "=", "==", "===", " \n"] {
            let token = &format!("{token}{padding}");
            let rotated = ring(&[&new, OLD]).rotate(token).unwrap();
            assert_eq!(&**ring(&[&new]).decrypt(&rotated).unwrap(), b"hello");
            assert_eq!(time_of(&rotated), Some(499_162_800));
            assert_eq!(ring(&[&new]).rotate(token), Err(NotDecrypted));
        }
    }

    #[test]
    fn a_changed_token_is_refused_wherever_it_was_changed() {
        let keys = ring(&[OLD]);
        let token = keys.encrypt(b"secret");
        let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(
                keys.decrypt(&URL_SAFE_NO_PAD.encode(changed)).is_err(),
                "byte {at}"
            );
        }
    }

    #[test]
    fn lines_that_are_no_keys_are_refused() {
        for text in ["", "# only a comment", "short", &format!("{OLD}\nshort")] {
            assert!(Keyring::parse(text).is_none(), "{text:?}");
        }
        assert_eq!(format!("{:?}", ring(&[OLD])), "Keyring(1 keys)");
    }
}
