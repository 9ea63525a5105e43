//! The configuration: file and variables.

use super::quoted::{blanked, with_other_secrets};
use claude_grpc::{
    access::limits::{RedisConfig, StoreAddress},
    config::{Config, ConfigErrors, Environment, Sources},
};
use secrecy::SecretString;
use std::{fs, path::PathBuf, sync::OnceLock};
use tempfile::TempDir;
use toml::Value;

/// A configuration that is accepted, printed and read again is the same; and no
/// error depends on a secret.
///
/// The bytes are a file and, after a NUL each, variables.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut parts = text.split('\0');
    let file = parts.next().unwrap_or_default();
    let variables: Environment = parts.filter_map(|it| it.split_once('=')).collect();

    if let Ok(mut config) = load(file, variables) {
        // Neither is printed.
        config.simulator.api_keys.clear();
        config.limits.store = StoreAddress::Memory;
        config.limits.redis = RedisConfig::default();
        let printed = toml::to_string(&config).expect("what is accepted can be printed");
        let again = load(&printed, Environment::default());
        assert_eq!(again, Ok(config), "{printed}");
    }
    if let Some((document, other)) = with_other_secrets(file, other_secret) {
        let said_of = |text: &str| load(text, Environment::default()).map_err(|it| it.to_string());
        let (of_one, of_other) = (said_of(&document), said_of(&other));
        assert_eq!(of_one.as_ref().err(), of_other.as_ref().err());
        assert_eq!(format!("{of_one:?}"), format!("{of_other:?}"));
    }
}

fn load(file: &str, environment: Environment) -> Result<Config, ConfigErrors> {
    static DIRECTORY: OnceLock<TempDir> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| tempfile::tempdir().expect("a directory"));
    let path: PathBuf = directory.path().join("claude-grpc.toml");
    fs::write(&path, file).expect("it can be written");
    Config::load(&Sources {
        file: Some(path),
        environment,
        flags: Vec::new(),
    })
}

fn other_secret(path: &[&str], value: &Value) -> Option<Value> {
    match (path, value) {
        (["simulator", "api_keys", ..], Value::String(text)) => Some(blanked(text).into()),
        (["simulator", "api_keys", ..], Value::Integer(_)) => Some(7.into()),
        (["limits", "store"], Value::String(text)) => other_store(text).map(Value::String),
        _ => None,
    }
}

/// Another password, or another text with the same fault.
fn other_store(text: &str) -> Option<String> {
    let fault = |text: &str| StoreAddress::Redis(SecretString::from(text)).parse().err();
    let with_other_password = || {
        let (login, host) = text.rsplit_once('@')?;
        let (scheme, login) = login.split_once("://")?;
        let (user, password) = login.split_once(':')?;
        Some(format!("{scheme}://{user}:{}@{host}", blanked(password)))
    };
    let others = [with_other_password(), Some(blanked(text))];
    let mut others = others.into_iter().flatten();
    others.find(|other| text != "memory" && fault(other) == fault(text))
}
