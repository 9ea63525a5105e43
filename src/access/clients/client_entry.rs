//! One client of the clients file: its settings and its keys.

use super::{
    client_limits::{ClientLimits, PriorityName},
    key::KeyHash,
};
use crate::proto::METHODS;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use std::time::SystemTime;

/// Maximum number of keys of one kind that a client may have at a time: the
/// current one and its successor.
pub const MAX_KEYS: usize = 2;

/// Names that metrics use for calls without a client, and for clients beyond
/// those that are counted by name.
const RESERVED: [&str; 2] = ["anonymous", "other"];

/// Maximum weight of a tenant.
const MAX_WEIGHT: u32 = 1000;

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
    /// The models that it may use, also those that a route names instead of the
    /// requested one; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// The hosts of Claude that may serve its calls, by their names in
    /// `upstream.hosts`; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The betas that its calls may name, of those that
    /// `service.passthrough.betas` allows; all of them when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub betas: Vec<String>,
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

impl ClientEntry {
    /// The tenant: the client's name if none is set.
    pub fn tenant(&self) -> &str {
        self.tenant.as_ref().unwrap_or(&self.name)
    }

    /// Validates the entry by itself.
    ///
    /// # Errors
    /// What is wrong with it, without any secret.
    pub(super) fn check(&self) -> Result<(), String> {
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

fn exposed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}
