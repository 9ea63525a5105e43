//! Secrets: where they come from, and how they change without a restart.
//!
//! Secrets are held in types that are wiped when dropped and whose `Debug`
//! shows nothing. No error of this module quotes what it read.

mod api_keys;
mod bearer;
mod config;
mod dotenv;
mod encrypted_file;
mod error;
mod keyring;
mod kms;
mod private_file;
mod reloadable;
mod sealed_value;
mod text;
mod watcher;

pub use api_keys::{ApiKeys, ApiKeysError, KeySource};
pub use bearer::{UnusableKey, authorization, checked_key, key_header};
pub use config::{KmsConfig, SecretsConfig};
pub use encrypted_file::{decrypt_file, encrypt_file, is_encrypted, rotate_file};
pub use error::SecretError;
pub use keyring::{Keyring, NotDecrypted};
pub(crate) use private_file::directory;
pub use private_file::{ensure_private, read_private, write_private};
pub use reloadable::{LoadError, Reload, ReloadCounts, Reloadable, reload_all};
pub use sealed_value::SealError;
pub use text::{read_secret, read_text, text_in, without_mark};
pub use watcher::Watcher;
