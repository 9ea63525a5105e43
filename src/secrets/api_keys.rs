//! The API keys, from wherever they are.

use super::{
    Keyring, LoadError, Reloading, SecretError, SecretsConfig, dotenv, encrypted_file, kms,
};
use secrecy::SecretString;
use std::{
    fs,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// What is said when no place has a key.
pub const NO_API_KEY: &str = "no API key: set ANTHROPIC_API_KEY_FILE, ANTHROPIC_API_KEY, \
    secrets.encrypted_env_file or secrets.kms, or run with --simulate";

const KEY: &str = "ANTHROPIC_API_KEY";
const KEYS: &str = "ANTHROPIC_API_KEYS";
const KEY_FILE: &str = "ANTHROPIC_API_KEY_FILE";

/// One or more API keys, the preferred one first.
#[derive(Debug, Clone)]
pub struct ApiKeys(pub Vec<SecretString>);

impl ApiKeys {
    /// The keys, kept up to date. `variable` gives a variable of the
    /// environment; it is asked once, since an environment does not change.
    ///
    /// # Errors
    /// When no place has a key, or the first place that is set is broken: a
    /// broken place is not skipped, or a typing error would go unnoticed.
    pub async fn load(
        config: &SecretsConfig,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Reloading<ApiKeys>, LoadError> {
        let place = Place::first(config, variable).ok_or(SecretError::NoApiKey)?;
        let files = place.files();
        Reloading::load("api key", files, move || {
            let place = place.clone();
            Box::pin(async move { Ok(place.read().await?) })
        })
        .await
    }

    fn split(text: &str, separator: char) -> Vec<SecretString> {
        text.split(separator)
            .map(str::trim)
            .filter(|key| !key.is_empty())
            .map(SecretString::from)
            .collect()
    }
}

/// Where the keys are.
#[derive(Clone)]
enum Place {
    File(PathBuf),
    Environment(ApiKeys),
    Encrypted { file: PathBuf, keys: PathBuf },
    Kms(super::KmsConfig),
}

impl Place {
    fn first(config: &SecretsConfig, variable: impl Fn(&str) -> Option<String>) -> Option<Place> {
        let set = |name| variable(name).filter(|value| !value.trim().is_empty());
        let file = config.api_key_file.clone();
        if let Some(file) = file.or_else(|| set(KEY_FILE).map(PathBuf::from)) {
            return Some(Place::File(file));
        }
        if let Some(keys) = set(KEYS).or_else(|| set(KEY)).map(Zeroizing::new) {
            return Some(Place::Environment(ApiKeys(ApiKeys::split(&keys, ','))));
        }
        if let (Some(file), Some(keys)) = (&config.encrypted_env_file, &config.key_file) {
            return Some(Place::Encrypted {
                file: file.clone(),
                keys: keys.clone(),
            });
        }
        config.kms.clone().map(Place::Kms)
    }

    /// The files whose change may be a change of keys.
    fn files(&self) -> Vec<PathBuf> {
        match self {
            Place::File(file) => vec![file.clone()],
            Place::Environment(_) => Vec::new(),
            Place::Encrypted { file, keys } => vec![file.clone(), keys.clone()],
            Place::Kms(config) => vec![config.ciphertext_file.clone()],
        }
    }

    async fn read(&self) -> Result<ApiKeys, SecretError> {
        match self {
            Place::File(file) => {
                let text = fs::read_to_string(file).map_err(SecretError::read(file))?;
                keys_of(file, ApiKeys::split(&Zeroizing::new(text), '\n'))
            }
            Place::Environment(keys) => Ok(keys.clone()),
            Place::Encrypted { file, keys } => {
                let content = encrypted_file::decrypt_file(&Keyring::read(keys)?, file)?;
                let text = as_text(file, &content)?;
                let line = dotenv::value(text, KEYS).or_else(|| dotenv::value(text, KEY));
                let keys = line.map(|line| ApiKeys::split(&line, ','));
                keys_of(file, keys.unwrap_or_default())
            }
            Place::Kms(config) => {
                let content = kms::decrypt(config).await?;
                let text = as_text(&config.ciphertext_file, &content)?;
                keys_of(&config.ciphertext_file, ApiKeys::split(text, '\n'))
            }
        }
    }
}

fn as_text<'a>(path: &Path, content: &'a [u8]) -> Result<&'a str, SecretError> {
    std::str::from_utf8(content).map_err(|_| SecretError::Malformed {
        path: path.to_owned(),
        reason: "has to be text",
    })
}

fn keys_of(path: &Path, keys: Vec<SecretString>) -> Result<ApiKeys, SecretError> {
    if keys.is_empty() {
        return Err(SecretError::Malformed {
            path: path.to_owned(),
            reason: "has no API key",
        });
    }
    Ok(ApiKeys(keys))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn exposed(keys: &ApiKeys) -> Vec<&str> {
        keys.0.iter().map(|key| key.expose_secret()).collect()
    }

    #[tokio::test]
    async fn the_file_goes_before_the_environment_before_the_encrypted_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("plain"), "from-file\nsecond\n").unwrap();
        fs::write(path("env"), "ANTHROPIC_API_KEYS='from-env-file, more'\n").unwrap();
        Keyring::create(&path("fernet")).unwrap();
        let keyring = Keyring::read(&path("fernet")).unwrap();
        encrypted_file::encrypt_file(&keyring, &path("env"), &path("enc")).unwrap();

        let mut config = SecretsConfig {
            api_key_file: Some(path("plain")),
            encrypted_env_file: Some(path("enc")),
            key_file: Some(path("fernet")),
            kms: None,
        };
        let environment = |name: &str| (name == KEY).then(|| "from-environment".to_owned());
        let nothing = |_: &str| None;
        let first = ApiKeys::load(&config, environment).await.unwrap();
        assert_eq!(exposed(&first.current()), ["from-file", "second"]);
        config.api_key_file = None;
        let second = ApiKeys::load(&config, environment).await.unwrap();
        assert_eq!(exposed(&second.current()), ["from-environment"]);
        let third = ApiKeys::load(&config, nothing).await.unwrap();
        assert_eq!(exposed(&third.current()), ["from-env-file", "more"]);
        config.encrypted_env_file = None;
        let none = ApiKeys::load(&config, nothing).await.unwrap_err();
        assert_eq!(none.to_string(), NO_API_KEY);
    }

    #[tokio::test]
    async fn a_broken_place_is_an_error_that_names_it_and_quotes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, " \n").unwrap();
        let config = SecretsConfig {
            api_key_file: Some(path.clone()),
            ..SecretsConfig::default()
        };
        let error = ApiKeys::load(&config, |_| Some("other".to_owned())).await;
        let error = error.unwrap_err().to_string();
        assert_eq!(error, format!("{}: has no API key", path.display()));
    }

    #[test]
    fn debug_shows_no_key() {
        let keys = ApiKeys(ApiKeys::split("sk-canary", ','));
        assert!(!format!("{keys:?}").contains("canary"));
    }
}
