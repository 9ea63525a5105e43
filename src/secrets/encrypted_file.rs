//! Encrypted files: the whole content is one Fernet token.

use super::{Keyring, SecretError, private_file, read_text, without_mark};
use std::{fs, path::Path};
use zeroize::Zeroizing;

/// The beginning of every Fernet token: the version byte and the high bytes of
/// its time, in Base64.
const TOKEN_PREFIX: &[u8] = b"gAAAA";

/// Whether the content of a file is a Fernet token.
pub fn is_encrypted(content: &[u8]) -> bool {
    without_mark(content)
        .trim_ascii_start()
        .starts_with(TOKEN_PREFIX)
}

/// Encrypts `from` into `to`.
///
/// # Errors
/// When a file cannot be read or written.
pub fn encrypt_file(keys: &Keyring, from: &Path, to: &Path) -> Result<(), SecretError> {
    let content = Zeroizing::new(fs::read(from).map_err(SecretError::read(from))?);
    private_file::write_private(to, with_newline(keys.encrypt(&content)).as_bytes())
}

/// The decrypted content of a file.
///
/// # Errors
/// When it cannot be read, or no key decrypts it.
pub fn decrypt_file(keys: &Keyring, path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let token = read_text(path)?;
    keys.decrypt(&token).map_err(|_| not_decrypted(path))
}

/// Re-encrypts a file in place with the first key.
///
/// # Errors
/// When no key decrypts it, or it cannot be replaced. The file is then
/// unchanged.
pub fn rotate_file(keys: &Keyring, path: &Path) -> Result<(), SecretError> {
    let token = read_text(path)?;
    let rotated = keys.rotate(&token).map_err(|_| not_decrypted(path))?;
    private_file::write_private(path, with_newline(rotated).as_bytes())
}

fn not_decrypted(path: &Path) -> SecretError {
    SecretError::NotDecrypted {
        path: path.to_owned(),
    }
}

fn with_newline(token: String) -> String {
    token + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_there_and_back_and_survive_a_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let (key, plain, encrypted) = (
            dir.path().join("key"),
            dir.path().join(".env"),
            dir.path().join(".env.enc"),
        );
        fs::write(&plain, "ANTHROPIC_API_KEY=one\n").unwrap();
        Keyring::create(&key).unwrap();
        encrypt_file(&Keyring::read(&key).unwrap(), &plain, &encrypted).unwrap();
        assert!(is_encrypted(&fs::read(&encrypted).unwrap()));

        Keyring::add_key(&key).unwrap();
        let both = Keyring::read(&key).unwrap();
        rotate_file(&both, &encrypted).unwrap();
        let text = fs::read_to_string(&key).unwrap();
        let newest = Keyring::parse(text.lines().next().unwrap()).unwrap();
        let content = decrypt_file(&newest, &encrypted).unwrap();
        assert_eq!(&**content, b"ANTHROPIC_API_KEY=one\n");
    }
}
