//! Files of Fernet keys, and the encrypted `.env` file.

use claude_grpc::{
    secrets::{ApiKeys, KeySource, Keyring, SecretsConfig, is_encrypted},
    upstream::{Key, KeyScheme},
};
use futures::executor::block_on;
use secrecy::ExposeSecret;
use std::{fs, path::PathBuf, sync::OnceLock};
use tempfile::TempDir;

/// What a file of keys encrypts, it decrypts; tokens of strangers are refused
/// and not more. From an encrypted `.env` file come only keys that can be sent
/// and stand there, and its last line counts.
///
/// The bytes are a file of keys and, after a NUL, a token or an `.env` file.
pub fn check(data: &[u8]) {
    let (keys, rest) = match data.iter().position(|&b| b == 0) {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, data),
    };
    if let Ok(text) = std::str::from_utf8(keys)
        && let Some(keyring) = Keyring::parse(text)
    {
        let token = keyring.encrypt(rest);
        assert!(is_encrypted(token.as_bytes()));
        assert_eq!(&**keyring.decrypt(&token).expect("it is ours"), rest);
        let rotated = keyring.rotate(&token).expect("it is ours");
        assert_eq!(&**keyring.decrypt(&rotated).expect("it is ours"), rest);
        if let Ok(stranger) = std::str::from_utf8(rest)
            && keyring.decrypt(stranger).is_ok()
        {
            keyring.rotate(stranger).expect("it can be decrypted");
        }
    }
    // A text with a NUL is taken for UTF-16.
    if let Ok(text) = std::str::from_utf8(rest)
        && !text.contains('\0')
    {
        env_file(text);
    }
}

fn env_file(text: &str) {
    match read(text) {
        Ok(found) => {
            assert!(!found.is_empty());
            for key in found {
                assert!(text.contains(&key) && !key.is_empty() && key.trim() == key);
                assert!(!key.contains([',', '\n', '\r', '\0']));
            }
        }
        Err(error) => assert!(!error.is_empty()),
    }
    let last = read(&format!("{text}\nANTHROPIC_API_KEY=last\n"));
    assert_eq!(last, Ok(vec!["last".to_owned()]));
}

/// The keys in the service, or what it says.
fn read(text: &str) -> Result<Vec<String>, String> {
    static PLACE: OnceLock<(TempDir, Keyring)> = OnceLock::new();
    let (directory, keyring) = PLACE.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        Keyring::create(&path).expect("it is new");
        let keyring = Keyring::read(&path).expect("it was made");
        (directory, keyring)
    });
    let env: PathBuf = directory.path().join("env");
    fs::write(&env, keyring.encrypt(text.as_bytes())).expect("it can be written");
    let config = SecretsConfig {
        encrypted_env_file: Some(env),
        key_file: Some(directory.path().join("key")),
        ..SecretsConfig::default()
    };
    let source = KeySource::resolve(None, &config, |_| None).expect("it is set");
    let read = block_on(ApiKeys::read(source)).map_err(|error| error.to_string())?;
    let keys = Key::numbered(KeyScheme::Bearer, &read.keys).expect("they were checked");
    assert_eq!(keys.len(), read.keys.len());
    let keys = read.keys.iter();
    Ok(keys.map(|key| key.expose_secret().to_owned()).collect())
}
