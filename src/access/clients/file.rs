//! The clients file: its format, and the checks when it is read.

use super::{
    client_limits::{ClientLimits, PriorityName},
    key::KeyHash,
};
use crate::{
    proto::METHODS,
    secrets::{self, Keyring, SecretError, ensure_private, read_text, text_in},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    time::SystemTime,
};
use thiserror::Error;
use zeroize::Zeroizing;

/// Maximum number of keys of one kind that a client may have at a time: the
/// current one and its successor.
pub const MAX_KEYS: usize = 2;

/// Names that metrics use for calls without a client, and for clients beyond
/// those that are counted by name.
const RESERVED: [&str; 2] = ["anonymous", "other"];

/// Maximum weight of a tenant.
const MAX_WEIGHT: u32 = 1000;

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

/// One client in the clients file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientEntry {
    /// Name: 1 to 64 characters of letters, digits and `-._`.
    pub name: String,
    /// Tenant that the client's usage is added to. Default: the client's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Weight of the tenant while calls must wait: 1 to 1000, default 1. A tenant
    /// of weight 2 has twice the share of one of weight 1. The clients of a tenant
    /// that set it must set the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// The RPCs that it may call, for example `Generate`; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The models that it may use; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// `interactive` or `batch`: the highest priority that its calls can have.
    #[serde(default)]
    pub priority: PriorityName,
    /// When the client's access ends: RFC 3339, or a date-time of TOML; without an
    /// offset in UTC.
    #[serde(
        default,
        with = "super::moment",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<SystemTime>,
    /// Names in TLS client certificates that identify this client: DNS names
    /// and URIs, for example `spiffe://example.org/ns/reports/sa/default`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
    /// The client's limits.
    #[serde(default, skip_serializing_if = "ClientLimits::is_unlimited")]
    pub limits: ClientLimits,
    /// Its keys, at most two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyEntry>,
    /// Its signing keys, at most two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signing_keys: Vec<SigningKeyEntry>,
}

/// A client key. Only its hash is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// The id part of the key.
    pub id: String,
    /// `sha256:<salt>:<hash of the salt and the key>`.
    pub hash: String,
    /// When the key expires, in the same forms.
    #[serde(
        default,
        with = "super::moment",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_after: Option<SystemTime>,
}

/// A signing key. The server needs the secret itself, so a file that contains
/// one must be private or encrypted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKeyEntry {
    /// The id that signatures name.
    pub id: String,
    /// The HMAC key: the bytes of this text.
    #[serde(serialize_with = "exposed")]
    pub secret: SecretString,
    /// When the key expires, in the same forms.
    #[serde(
        default,
        with = "super::moment",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_after: Option<SystemTime>,
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

impl ClientEntry {
    /// The tenant: the client's name if none is set.
    pub fn tenant(&self) -> &str {
        self.tenant.as_ref().unwrap_or(&self.name)
    }

    fn check(&self) -> Result<(), String> {
        if !is_name(&self.name) {
            return Err(
                "the name must be 1 to 64 characters of letters, digits and -._".to_owned(),
            );
        }
        if RESERVED.contains(&self.name.as_str()) {
            return Err("the name must not be anonymous or other, which metrics use".to_owned());
        }
        if self
            .tenant
            .as_deref()
            .is_some_and(|tenant| !is_name(tenant))
        {
            return Err(
                "the tenant must be 1 to 64 characters of letters, digits and -._".to_owned(),
            );
        }
        if self
            .weight
            .is_some_and(|it| !(1..=MAX_WEIGHT).contains(&it))
        {
            return Err(format!("the weight must be between 1 and {MAX_WEIGHT}"));
        }
        if let Some(method) = self
            .methods
            .iter()
            .find(|it| !METHODS.contains(&it.as_str()))
        {
            return Err(format!(
                "unknown method {method:?}; known methods: {}",
                METHODS.join(", ")
            ));
        }
        if self.keys.len() > MAX_KEYS || self.signing_keys.len() > MAX_KEYS {
            return Err(format!("must have at most {MAX_KEYS} keys of each kind"));
        }
        for key in &self.keys {
            if KeyHash::parse(&key.hash).is_none() {
                return Err(format!("the hash of key {:?} is malformed", key.id));
            }
        }
        for key in &self.signing_keys {
            if !is_name(&key.id) {
                return Err(
                    "the id of a key must be 1 to 64 characters of letters, digits and -._"
                        .to_owned(),
                );
            }
            if key.secret.expose_secret().len() < MIN_SECRET_BYTES {
                return Err(format!(
                    "the secret of key {:?} must be at least {MIN_SECRET_BYTES} bytes",
                    key.id
                ));
            }
        }
        for dollars in [self.limits.dollars_per_day, self.limits.dollars_per_month] {
            if dollars.is_some_and(|it| !it.is_finite() || !(0.0..=1e9).contains(&it)) {
                return Err("a budget must be between 0 and 1e9 dollars".to_owned());
            }
        }
        Ok(())
    }
}

/// A shorter secret could be guessed (the HMAC has 32 bytes).
const MIN_SECRET_BYTES: usize = 32;

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
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

fn exposed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}
