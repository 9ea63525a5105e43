//! Where limits are counted, and what happens while that store is unreachable.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// How limits are enforced while the store does not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreFailureMode {
    /// Each replica enforces the limits on its own counts.
    #[default]
    FailOpen,
    /// Calls that cannot be counted are rejected.
    FailClosed,
}

/// Where limits are counted. A Redis URL may contain a password, so
/// neither `Debug` nor serialization shows it.
#[derive(Clone, Default)]
pub enum StoreAddress {
    /// In the memory of this process.
    #[default]
    Memory,
    /// In Redis at this URL, shared by all replicas.
    Redis(SecretString),
}

impl PartialEq for StoreAddress {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (StoreAddress::Memory, StoreAddress::Memory) => true,
            (StoreAddress::Redis(one), StoreAddress::Redis(two)) => {
                one.expose_secret() == two.expose_secret()
            }
            _ => false,
        }
    }
}

impl fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl StoreAddress {
    /// Whether it is `memory` or a valid Redis URL. Does not connect.
    pub fn is_usable(&self) -> bool {
        match self {
            StoreAddress::Memory => true,
            StoreAddress::Redis(address) => redis::Client::open(address.expose_secret()).is_ok(),
        }
    }

    fn shown(&self) -> &'static str {
        match self {
            StoreAddress::Memory => "memory",
            StoreAddress::Redis(_) => "redis://[redacted]",
        }
    }
}

impl Serialize for StoreAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl<'de> Deserialize<'de> for StoreAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.as_str() {
            "memory" => StoreAddress::Memory,
            _ => StoreAddress::Redis(SecretString::from(text)),
        })
    }
}
