//! The clients file, which an operator may edit.

use super::quoted::{blanked, with_other_secrets};
use claude_grpc::access::{Clients, ClientsFile};
use std::{fs, path::PathBuf, sync::OnceLock};
use tempfile::TempDir;
use toml::Value;

/// A file that is accepted, written and read again is the same file; and no
/// error depends on a secret.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(file) = ClientsFile::parse(text) {
        let path = path();
        let written = write(&file, &path);
        let read = ClientsFile::read(&path, None).expect("it was written by us");
        assert_eq!(write(&read, &path), written);
        Clients::new(read).expect("it was checked");
    }
    if let Some((document, other)) = with_other_secrets(text, other_secret) {
        assert_eq!(said_of(&document), said_of(&other));
    }
}

fn write(file: &ClientsFile, path: &PathBuf) -> String {
    file.write(path, None)
        .expect("what was read can be written");
    fs::read_to_string(path).expect("it was written")
}

/// The error, or what `Debug` shows.
fn said_of(text: &str) -> String {
    match ClientsFile::parse(text) {
        Ok(file) => format!("{file:?}"),
        Err(error) => error.to_string(),
    }
}

/// Where the file has texts that are no secrets.
const PUBLIC: [&str; 9] = [
    "name",
    "tenant",
    "methods",
    "models",
    "priority",
    "expires",
    "certificates",
    "id",
    "not_after",
];

/// Any other text is one: also where no text belongs.
fn other_secret(path: &[&str], value: &Value) -> Option<Value> {
    let text = value.as_str()?;
    match path.last() {
        // The salted hash is shown to whoever may read the file.
        Some(&"hash") if text.starts_with("sha256:") => None,
        Some(key) if PUBLIC.contains(key) => None,
        _ => Some(blanked(text).into()),
    }
}

fn path() -> PathBuf {
    static DIRECTORY: OnceLock<TempDir> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| tempfile::tempdir().expect("a directory"));
    directory.path().join("clients.toml")
}
