//! Where the keys of the Claude API come from.
//!
//! A file takes precedence over a variable: it can be replaced while the
//! service runs, and is not inherited by other processes. There is no flag,
//! since any user of the machine can read a process's arguments, and no key of
//! the configuration file, which ends up in repositories.

use super::{
    Keyring, KmsConfig, LoadError, Reloadable, SecretError, SecretsConfig, UnusableKey,
    authorization, dotenv, encrypted_file, kms, read_secret, text_in,
};
use secrecy::{ExposeSecret, SecretString};
use std::{
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Variables that name a file with the key; the first one that is set counts.
const FILE_VARIABLES: [&str; 2] = ["ANTHROPIC_API_KEY_FILE", "CLAUDE_API_KEY_FILE"];

/// Variables that contain the key itself; also the names in an encrypted `.env`
/// file.
const VARIABLES: [&str; 2] = ["ANTHROPIC_API_KEY", "CLAUDE_API_KEY"];

/// The keys and their source.
#[derive(Debug)]
pub struct ApiKeys {
    /// The keys, in order; at least one.
    pub keys: Vec<SecretString>,
    /// Where the keys come from.
    pub source: KeySource,
}

/// Where the keys come from.
#[derive(Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A variable, and its value at startup.
    Variable(&'static str, HeldVariable),
    /// A file, and the variable or configuration key that names it.
    File {
        /// Path of the file.
        path: PathBuf,
        /// The variable or configuration key that names the file.
        named_by: &'static str,
    },
    /// A Fernet-encrypted `.env` file, and the keys that decrypt it.
    Encrypted {
        /// Path of the encrypted file.
        path: PathBuf,
        /// Path of the file with the Fernet keys.
        key_file: PathBuf,
    },
    /// A ciphertext that AWS KMS decrypts.
    Kms(Box<KmsConfig>),
}

/// The value of a variable. `Debug` does not show it.
#[derive(Clone)]
pub struct HeldVariable(Option<SecretString>);

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::Variable(name, _) => f.write_str(name),
            KeySource::File { path, named_by } => {
                write!(f, "{} ({named_by})", path.display())
            }
            KeySource::Encrypted { path, .. } => {
                write!(f, "{} (secrets.encrypted_env_file)", path.display())
            }
            KeySource::Kms(config) => {
                let path = config.ciphertext_file.as_deref().map(Path::display);
                match path {
                    Some(path) => write!(f, "{path} (secrets.kms)"),
                    None => f.write_str("secrets.kms"),
                }
            }
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PartialEq for HeldVariable {
    fn eq(&self, other: &Self) -> bool {
        let exposed = |it: &Self| it.0.as_ref().map(|it| it.expose_secret().to_owned());
        exposed(self) == exposed(other)
    }
}

impl Eq for HeldVariable {}

/// The API keys cannot be loaded.
#[derive(Debug, Error)]
pub enum ApiKeysError {
    /// The source cannot be read.
    #[error("failed to read the API key from {from}: {error}")]
    Unreadable {
        /// The source of the keys.
        from: KeySource,
        /// The underlying error.
        error: io::Error,
    },
    /// The source cannot be decrypted.
    #[error("failed to read the API key from {from}: {error}")]
    Secret {
        /// The source of the keys.
        from: KeySource,
        /// The underlying error.
        error: SecretError,
    },
    /// The source contains no key.
    #[error("no API key found in {0}")]
    Empty(KeySource),
    /// A key contains invalid characters or is empty.
    #[error("API key {position} from {from} is not valid: {error}")]
    Unusable {
        /// The source of the key.
        from: KeySource,
        /// Position of the key, starting at 1.
        position: usize,
        /// The underlying error.
        error: UnusableKey,
    },
}

impl KeySource {
    /// The first source that is configured, if any. `api_key_file` is that of
    /// `[upstream]`; `variable` returns the value of a variable that is set.
    pub fn resolve(
        api_key_file: Option<&Path>,
        secrets: &SecretsConfig,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Option<KeySource> {
        let named = FILE_VARIABLES
            .into_iter()
            .find_map(|name| Some((name, PathBuf::from(variable(name)?))))
            .or_else(|| Some(("upstream.api_key_file", api_key_file?.to_owned())));
        if let Some((named_by, path)) = named {
            return Some(KeySource::File { path, named_by });
        }
        let set = VARIABLES
            .into_iter()
            .find_map(|name| Some((name, variable(name)?)));
        if let Some((name, value)) = set {
            let value = value.into_string().ok().map(SecretString::from);
            return Some(KeySource::Variable(name, HeldVariable(value)));
        }
        if let (Some(path), Some(key_file)) = (&secrets.encrypted_env_file, &secrets.key_file) {
            return Some(KeySource::Encrypted {
                path: path.clone(),
                key_file: key_file.clone(),
            });
        }
        let kms = &secrets.kms;
        kms.is_on().then(|| KeySource::Kms(Box::new(kms.clone())))
    }

    /// The files to watch for a change of keys.
    fn files(&self) -> Vec<PathBuf> {
        match self {
            KeySource::Variable(..) => Vec::new(),
            KeySource::File { path, .. } => vec![path.clone()],
            KeySource::Encrypted { path, key_file } => vec![path.clone(), key_file.clone()],
            KeySource::Kms(config) => config.ciphertext_file.iter().cloned().collect(),
        }
    }
}

impl ApiKeys {
    /// Reads the keys of a source.
    ///
    /// # Errors
    /// When the source contains no usable key. There is no fallback to the next
    /// source: a service that silently runs with another key than configured is
    /// hard to debug.
    pub async fn read(source: KeySource) -> Result<ApiKeys, ApiKeysError> {
        let secret = |error| ApiKeysError::Secret {
            from: source.clone(),
            error,
        };
        let keys = match &source {
            KeySource::Variable(_, HeldVariable(None)) => {
                return Err(ApiKeysError::Unusable {
                    from: source,
                    position: 1,
                    error: UnusableKey::NotUtf8,
                });
            }
            KeySource::Variable(_, HeldVariable(Some(value))) => {
                let value = value.expose_secret();
                keys(value.trim_start_matches('\u{feff}').split(','))
            }
            KeySource::File { path, .. } => match read_secret(path) {
                Ok(text) => of_lines(&text),
                Err(SecretError::Read { source: error, .. }) => {
                    return Err(ApiKeysError::Unreadable {
                        from: source,
                        error,
                    });
                }
                Err(error) => return Err(secret(error)),
            },
            KeySource::Encrypted { path, key_file } => {
                of_encrypted(path, key_file).map_err(secret)?
            }
            KeySource::Kms(config) => {
                let plain = kms::decrypt(config).await.map_err(secret)?;
                let file = config.ciphertext_file.as_deref();
                let path = file.unwrap_or_else(|| Path::new("secrets.kms"));
                of_lines(&text_in(path, &plain).map_err(secret)?)
            }
        };
        if keys.is_empty() {
            return Err(ApiKeysError::Empty(source));
        }
        let keys = ApiKeys { keys, source };
        keys.check()?;
        Ok(keys)
    }

    /// The keys of a source, reloaded when they change.
    ///
    /// # Errors
    /// As with [`ApiKeys::read`].
    pub async fn load(source: KeySource) -> Result<Reloadable<ApiKeys>, LoadError> {
        let files = source.files();
        Reloadable::load("api keys", files, move |_| {
            let read = ApiKeys::read(source.clone());
            Box::pin(async move { Ok(read.await?) })
        })
        .await
    }

    /// Checks that every key can be sent.
    fn check(&self) -> Result<(), ApiKeysError> {
        for (index, key) in self.keys.iter().enumerate() {
            authorization(key).map_err(|error| ApiKeysError::Unusable {
                from: self.source.clone(),
                position: index + 1,
                error,
            })?;
        }
        Ok(())
    }
}

/// One key per line; lines that begin with `#` are comments.
fn of_lines(text: &str) -> Vec<SecretString> {
    keys(
        text.lines()
            .filter(|line| !line.trim_start().starts_with('#')),
    )
}

fn of_encrypted(path: &Path, key_file: &Path) -> Result<Vec<SecretString>, SecretError> {
    let content = encrypted_file::decrypt_file(&Keyring::read(key_file)?, path)?;
    let text = text_in(path, &content)?;
    let value = VARIABLES
        .into_iter()
        .find_map(|name| dotenv::value(&text, name));
    Ok(value.map_or_else(Vec::new, |value| keys(value.split(','))))
}

fn keys<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<SecretString> {
    texts
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(SecretString::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::write_private;
    use std::fs;

    fn source(
        variables: &[(&str, &str)],
        api_key_file: Option<&Path>,
        secrets: &SecretsConfig,
    ) -> Option<KeySource> {
        KeySource::resolve(api_key_file, secrets, |name| {
            let (_, value) = variables.iter().find(|(one, _)| *one == name)?;
            Some(OsString::from(value))
        })
    }

    async fn find(
        variables: &[(&str, &str)],
        api_key_file: Option<&Path>,
    ) -> Result<ApiKeys, ApiKeysError> {
        let source = source(variables, api_key_file, &SecretsConfig::default());
        ApiKeys::read(source.unwrap()).await
    }

    fn exposed(keys: &ApiKeys) -> Vec<&str> {
        keys.keys.iter().map(ExposeSecret::expose_secret).collect()
    }

    #[tokio::test]
    async fn a_file_goes_before_a_variable() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write_private(&path, b"# ours\nfirst\n\nsecond\r\n").unwrap();

        let keys = find(&[("CLAUDE_API_KEY", "other")], Some(&path))
            .await
            .unwrap();
        assert_eq!(exposed(&keys), ["first", "second"]);
        assert!(keys.source.to_string().ends_with("(upstream.api_key_file)"));
        assert!(keys.check().is_ok());

        let by_variable = [("ANTHROPIC_API_KEY_FILE", path.to_str().unwrap())];
        let keys = find(&by_variable, Some(Path::new("/nowhere")))
            .await
            .unwrap();
        assert_eq!(exposed(&keys), ["first", "second"]);
    }

    #[tokio::test]
    async fn a_variable_holds_one_or_several() {
        let variables = [("ANTHROPIC_API_KEY", "a, b,"), ("CLAUDE_API_KEY", "c")];
        let keys = find(&variables, None).await.unwrap();
        assert_eq!(exposed(&keys), ["a", "b"]);
        assert_eq!(keys.source.to_string(), "ANTHROPIC_API_KEY");
        assert_eq!(source(&[], None, &SecretsConfig::default()), None);
    }

    #[tokio::test]
    async fn an_encrypted_file_goes_after_a_variable() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(
            path("env"),
            "OTHER=x\nexport ANTHROPIC_API_KEY='one, two'\n",
        )
        .unwrap();
        Keyring::create(&path("fernet")).unwrap();
        let keyring = Keyring::read(&path("fernet")).unwrap();
        encrypted_file::encrypt_file(&keyring, &path("env"), &path("enc")).unwrap();
        let secrets = SecretsConfig {
            encrypted_env_file: Some(path("enc")),
            key_file: Some(path("fernet")),
            ..SecretsConfig::default()
        };

        let found = source(&[], None, &secrets).unwrap();
        assert_eq!(
            exposed(&ApiKeys::read(found).await.unwrap()),
            ["one", "two"]
        );
        let found = source(&[("CLAUDE_API_KEY", "c")], None, &secrets).unwrap();
        assert_eq!(exposed(&ApiKeys::read(found).await.unwrap()), ["c"]);

        fs::write(path("enc"), "gAAAAAbroken").unwrap();
        let found = source(&[], None, &secrets).unwrap();
        let error = ApiKeys::read(found).await.unwrap_err().to_string();
        assert!(error.contains("no key of the key file matches"), "{error}");
    }

    #[tokio::test]
    async fn errors_and_debug_show_no_key() {
        let error = find(&[("CLAUDE_API_KEY", "hush hush")], None).await;
        let error = error.unwrap_err();
        assert!(error.to_string().contains("API key 1 from CLAUDE_API_KEY"));
        assert!(!format!("{error} {error:?}").contains("hush"));
        let keys = find(&[("CLAUDE_API_KEY", "hush")], None).await.unwrap();
        assert!(!format!("{keys:?}").contains("hush"));

        let error = find(&[("CLAUDE_API_KEY", " , ")], None).await.unwrap_err();
        assert_eq!(error.to_string(), "no API key found in CLAUDE_API_KEY");
        let error = find(&[("CLAUDE_API_KEY_FILE", "/nowhere")], None).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("/nowhere (CLAUDE_API_KEY_FILE)"));
    }

    /// The place of what is wrong, and nothing of the key.
    #[tokio::test]
    async fn a_file_in_any_shape_is_read_or_refused_by_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let read = async |content: &[u8]| {
            write_private(&path, content).unwrap();
            let source = source(&[], Some(&path), &SecretsConfig::default()).unwrap();
            match ApiKeys::read(source).await {
                Ok(keys) => Ok(exposed(&keys).join(" ")),
                Err(error) => Err(error.to_string()),
            }
        };
        for good in [
            &b"\xef\xbb\xbfcanary"[..],
            b"\xef\xbb\xbf# ours\r\ncanary\r\n",
            b" canary \n",
            b"canary\xc2\xa0\n",
        ] {
            assert_eq!(read(good).await, Ok("canary".to_owned()), "{good:?}");
        }
        for (wrong, expected) in [
            (&b""[..], "no API key found"),
            (b"\xef\xbb\xbf\r\n", "no API key found"),
            (b"one\n\"canary\"", "API key 2 from"),
            (b"ANTHROPIC_API_KEY=canary", "without `NAME=`"),
            (b"{\"key\": \"canary\"}", "not JSON"),
            (b"\xe2\x80\x8bcanary", "character 1"),
            (b"\xff\xfec\0a\0n\0a\0r\0y\0", "not UTF-16"),
            (b"canary\xe9", "must be UTF-8"),
        ] {
            let error = read(wrong).await.unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(error.contains("upstream.api_key_file"), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
