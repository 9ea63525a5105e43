//! The clients file: its format, and the checks when it is read.

use super::client_entry::ClientEntry;
use crate::secrets::{self, Keyring, SecretError, ensure_private, read_text, text_in};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};
use thiserror::Error;
use zeroize::Zeroizing;

const HEADER: &str = "# Clients of claude-grpc, written by `claude-grpc clients`.\n\
    # Settings may be edited here; comments are lost when it is written anew.\n\n";

/// The content of the clients file.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ClientsFile {
    /// One entry per client.
    pub clients: Vec<ClientEntry>,
}

/// The file as it is parsed.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Declaration {
    /// Absent when the file is empty; `clients = []` says that there is none.
    clients: Option<Vec<ClientEntry>>,
}

/// The clients file cannot be read, parsed or written. Quotes names and ids,
/// never a secret.
#[derive(Debug, Error)]
pub enum ClientsError {
    /// The file cannot be read, decrypted or written.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The file is not valid TOML of the expected format.
    #[error("failed to parse the clients file: line {line}: {message}")]
    Syntax {
        /// Line number, starting at 1.
        line: usize,
        /// What is wrong with the line.
        message: String,
    },
    /// The file has lost its clients.
    #[error(
        "the clients file has no clients any more; to remove all of them, write `clients = []` \
         or use `claude-grpc clients revoke`"
    )]
    NoClients,
    /// An entry is not valid.
    #[error("client {client:?}: {reason}")]
    Client {
        /// Name of the client.
        client: String,
        /// What is wrong with the entry.
        reason: String,
    },
    /// The client is not in the file.
    #[error("unknown client {0:?}")]
    Unknown(String),
    /// The key is not in the file.
    #[error("unknown key {0:?}")]
    UnknownKey(String),
    /// The operating system provided no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] super::key::NoRandomness),
}

impl ClientsFile {
    /// Reads and checks the file. An encrypted file requires the keys of
    /// `secrets.key_file`.
    ///
    /// # Errors
    /// When the file cannot be read, is not valid, or contains signing secrets
    /// in plain text and is accessible by other users.
    pub fn read(path: &Path, keys: Option<&Keyring>) -> Result<ClientsFile, ClientsError> {
        Ok(ClientsFile::read_declared(path, keys)?.unwrap_or_default())
    }

    /// Reads and checks the file; `None` if it does not say which clients there
    /// are: it is empty, or has only comments.
    ///
    /// # Errors
    /// As with [`ClientsFile::read`].
    pub fn read_declared(
        path: &Path,
        keys: Option<&Keyring>,
    ) -> Result<Option<ClientsFile>, ClientsError> {
        let mut text = read_text(path)?;
        let encrypted = secrets::is_encrypted(text.as_bytes());
        if encrypted {
            let keys = keys.ok_or_else(|| SecretError::NoKeyFile {
                path: path.to_owned(),
            })?;
            text = text_in(path, &secrets::decrypt_file(keys, path)?)?;
        }
        let Some(file) = ClientsFile::parse_declared(&text)? else {
            return Ok(None);
        };
        let has_secrets = file.clients.iter().any(|it| !it.signing_keys.is_empty());
        if has_secrets && !encrypted {
            ensure_private(path)?;
        }
        Ok(Some(file))
    }

    /// Parses the TOML and checks it.
    ///
    /// # Errors
    /// The first error in the text.
    pub fn parse(text: &str) -> Result<ClientsFile, ClientsError> {
        Ok(ClientsFile::parse_declared(text)?.unwrap_or_default())
    }

    fn parse_declared(text: &str) -> Result<Option<ClientsFile>, ClientsError> {
        let declaration: Declaration = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or(0, |span| span.start.min(text.len()));
            ClientsError::Syntax {
                line: 1 + text.as_bytes()[..before]
                    .iter()
                    .filter(|b| **b == b'\n')
                    .count(),
                message: unquoting(error.message()),
            }
        })?;
        let file = declaration.clients.map(|clients| ClientsFile { clients });
        file.iter().try_for_each(ClientsFile::check)?;
        Ok(file)
    }

    /// Writes the file, accessible by its owner only. An encrypted file stays
    /// encrypted.
    ///
    /// # Errors
    /// When the content is not valid, or the file cannot be replaced. The file
    /// is then unchanged.
    pub fn write(&self, path: &Path, keys: Option<&Keyring>) -> Result<(), ClientsError> {
        self.check()?;
        let text = toml::to_string_pretty(self).map_err(|error| ClientsError::Syntax {
            line: 0,
            message: error.to_string(),
        })?;
        let text = Zeroizing::new(format!("{HEADER}{text}"));
        let was_encrypted = fs::read(path).is_ok_and(|old| secrets::is_encrypted(&old));
        match keys {
            Some(keys) if was_encrypted => {
                let token = keys.encrypt(text.as_bytes());
                secrets::write_private(path, token.as_bytes())?;
            }
            _ => secrets::write_private(path, text.as_bytes())?,
        }
        Ok(())
    }

    /// The weights of the tenants for which a client sets one.
    pub fn weights(&self) -> HashMap<&str, u32> {
        let mut weights = HashMap::new();
        for client in &self.clients {
            if let Some(weight) = client.weight {
                weights.entry(client.tenant()).or_insert(weight);
            }
        }
        weights
    }

    fn check(&self) -> Result<(), ClientsError> {
        let mut names = HashSet::new();
        let mut ids = HashSet::new();
        let mut certificates = HashSet::new();
        let weights = self.weights();
        for client in &self.clients {
            let wrong = |reason: String| ClientsError::Client {
                client: client.name.clone(),
                reason,
            };
            client.check().map_err(wrong)?;
            if !names.insert(&client.name) {
                return Err(wrong("duplicate client name".to_owned()));
            }
            let of_tenant = weights.get(client.tenant());
            if client.weight.is_some_and(|it| of_tenant != Some(&it)) {
                let tenant = client.tenant();
                return Err(wrong(format!(
                    "the weight must be the same for all clients of tenant {tenant:?}"
                )));
            }
            let key_ids = client.keys.iter().map(|key| &key.id);
            for id in key_ids.chain(client.signing_keys.iter().map(|key| &key.id)) {
                if !ids.insert(id) {
                    return Err(wrong(format!("duplicate key id {id:?}")));
                }
            }
            for name in &client.certificates {
                if !certificates.insert(name) {
                    return Err(wrong(format!("duplicate certificate {name:?}")));
                }
            }
        }
        Ok(())
    }
}

/// A parser may quote the value that it rejects, which could be a secret. This
/// removes everything between the first and the last quotation mark, since the
/// value may contain some itself. Field names are in backticks and stay.
fn unquoting(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) => format!("{}…{}", &message[..first], &message[last + 1..]),
        _ => message.to_owned(),
    }
}
