//! Where the keys of the Claude API come from.
//!
//! A file goes before a variable: it can be replaced while the service runs,
//! and is not inherited by other processes. There is no flag, since anybody on
//! the machine can read a process's arguments, and no key of the file, which
//! ends up in repositories.

use super::environment::Environment;
use crate::upstream::{Key, Keys, UnusableKey, UpstreamConfig};
use secrecy::{ExposeSecret, SecretString};
use std::{ffi::OsStr, fmt, fs, io, path::PathBuf};
use thiserror::Error;

/// Variables that name a file with the key, first come first served.
const FILE_VARIABLES: [&str; 2] = ["ANTHROPIC_API_KEY_FILE", "CLAUDE_API_KEY_FILE"];

/// Variables with the key itself.
const VARIABLES: [&str; 2] = ["ANTHROPIC_API_KEY", "CLAUDE_API_KEY"];

/// The keys, and where they are from.
#[derive(Debug)]
pub struct ApiKeys {
    /// The keys, in their order; at least one.
    pub keys: Vec<SecretString>,
    /// Where they are from.
    pub source: KeySource,
}

/// Where keys are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A variable.
    Variable(&'static str),
    /// A file, and the variable or the key that names it.
    File {
        /// The file.
        path: PathBuf,
        /// What names it.
        named_by: &'static str,
    },
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::Variable(name) => f.write_str(name),
            KeySource::File { path, named_by } => {
                write!(f, "{} ({named_by})", path.display())
            }
        }
    }
}

/// The keys cannot be had.
#[derive(Debug, Error)]
pub enum ApiKeysError {
    /// The file that is to hold them cannot be read.
    #[error("the API key cannot be read from {from}: {error}")]
    Unreadable {
        /// The file.
        from: KeySource,
        /// Why.
        error: io::Error,
    },
    /// There is no key where one is to be.
    #[error("there is no API key in {0}")]
    Empty(KeySource),
    /// A key cannot be sent.
    #[error("API key {position} from {from} cannot be used: {error}")]
    Unusable {
        /// Where it is from.
        from: KeySource,
        /// Which one, from 1.
        position: usize,
        /// Why.
        error: UnusableKey,
    },
}

impl ApiKeys {
    /// The keys of the first place that is set, if any is.
    ///
    /// # Errors
    /// When that place holds no key. The next one is not tried: a service that
    /// runs with another key than it was told is hard to find out.
    pub fn find(
        config: &UpstreamConfig,
        environment: &Environment,
    ) -> Result<Option<ApiKeys>, ApiKeysError> {
        let named = FILE_VARIABLES
            .into_iter()
            .find_map(|name| Some((name, PathBuf::from(environment.get(name)?))))
            .or_else(|| Some(("upstream.api_key_file", config.api_key_file.clone()?)));
        if let Some((named_by, path)) = named {
            return ApiKeys::in_file(KeySource::File { path, named_by }).map(Some);
        }
        let set = VARIABLES
            .into_iter()
            .find_map(|name| Some((name, environment.get(name)?)));
        match set {
            Some((name, value)) => ApiKeys::in_variable(name, value).map(Some),
            None => Ok(None),
        }
    }

    /// One key a line; lines that begin with `#` are comments.
    fn in_file(source: KeySource) -> Result<ApiKeys, ApiKeysError> {
        let KeySource::File { path, .. } = &source else {
            return Err(ApiKeysError::Empty(source));
        };
        match fs::read_to_string(path).map(SecretString::from) {
            Ok(text) => {
                let lines = text.expose_secret().lines();
                let keys = lines.filter(|line| !line.trim_start().starts_with('#'));
                ApiKeys::new(keys, source.clone())
            }
            Err(error) => Err(ApiKeysError::Unreadable {
                from: source,
                error,
            }),
        }
    }

    /// One key, or several with commas between them.
    fn in_variable(name: &'static str, value: &OsStr) -> Result<ApiKeys, ApiKeysError> {
        let source = KeySource::Variable(name);
        match value.to_str() {
            Some(text) => ApiKeys::new(text.split(','), source),
            None => Err(ApiKeysError::Unusable {
                from: source,
                position: 1,
                error: UnusableKey,
            }),
        }
    }

    fn new<'a>(
        texts: impl Iterator<Item = &'a str>,
        source: KeySource,
    ) -> Result<ApiKeys, ApiKeysError> {
        let keys: Vec<SecretString> = texts
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(SecretString::from)
            .collect();
        if keys.is_empty() {
            return Err(ApiKeysError::Empty(source));
        }
        Ok(ApiKeys { keys, source })
    }

    /// The keys as the upstream stack takes them.
    ///
    /// # Errors
    /// When a key has characters that no header can carry.
    pub fn ring(&self) -> Result<Keys, ApiKeysError> {
        let keys = self.keys.iter().enumerate().map(|(index, key)| {
            let name = format!("key-{}", index + 1);
            Key::new(&name, key).map_err(|error| ApiKeysError::Unusable {
                from: self.source.clone(),
                position: index + 1,
                error,
            })
        });
        Ok(Keys::new(keys.collect::<Result<Vec<_>, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(
        variables: &[(&str, &str)],
        api_key_file: Option<PathBuf>,
    ) -> Result<Option<ApiKeys>, ApiKeysError> {
        let config = UpstreamConfig {
            api_key_file,
            ..UpstreamConfig::default()
        };
        ApiKeys::find(&config, &variables.iter().copied().collect())
    }

    fn exposed(keys: &ApiKeys) -> Vec<&str> {
        keys.keys.iter().map(ExposeSecret::expose_secret).collect()
    }

    #[test]
    fn a_file_goes_before_a_variable() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, "# ours\nfirst\n\nsecond\r\n").unwrap();

        let found = find(&[("CLAUDE_API_KEY", "other")], Some(path.clone())).unwrap();
        let keys = found.unwrap();
        assert_eq!(exposed(&keys), ["first", "second"]);
        assert!(keys.source.to_string().ends_with("(upstream.api_key_file)"));
        assert!(keys.ring().is_ok());

        let by_variable = [("ANTHROPIC_API_KEY_FILE", path.to_str().unwrap())];
        let keys = find(&by_variable, Some("/nowhere".into()))
            .unwrap()
            .unwrap();
        assert_eq!(exposed(&keys), ["first", "second"]);
    }

    #[test]
    fn a_variable_holds_one_or_several() {
        let variables = [("ANTHROPIC_API_KEY", "a, b,"), ("CLAUDE_API_KEY", "c")];
        let keys = find(&variables, None).unwrap().unwrap();
        assert_eq!(exposed(&keys), ["a", "b"]);
        assert_eq!(keys.source, KeySource::Variable("ANTHROPIC_API_KEY"));
        let keys = find(&[("ANTHROPIC_API_KEY", ""), ("CLAUDE_API_KEY", "c")], None);
        assert_eq!(exposed(&keys.unwrap().unwrap()), ["c"]);
        assert!(find(&[], None).unwrap().is_none());
    }

    #[test]
    fn errors_and_debug_show_no_key() {
        let keys = find(&[("CLAUDE_API_KEY", "hush hush")], None);
        let keys = keys.unwrap().unwrap();
        assert!(!format!("{keys:?}").contains("hush"));
        let error = keys.ring().unwrap_err();
        assert!(error.to_string().contains("API key 1 from CLAUDE_API_KEY"));
        assert!(!format!("{error} {error:?}").contains("hush"));

        let error = find(&[("CLAUDE_API_KEY", " , ")], None).unwrap_err();
        assert_eq!(error.to_string(), "there is no API key in CLAUDE_API_KEY");
        let error = find(&[("CLAUDE_API_KEY_FILE", "/nowhere")], None).unwrap_err();
        assert!(error.to_string().contains("/nowhere (CLAUDE_API_KEY_FILE)"));
    }
}
