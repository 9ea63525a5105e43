//! Where limits are counted, how Redis is reached, and what happens while it is
//! unreachable.

use super::address::{RedisAddress, RedisTopology, RedisUrlError};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, path::PathBuf};

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

/// `[limits.redis]`: how Redis is reached, where `limits.store` is a Redis URL.
/// The files are read at each connection, so that a new password or certificate
/// needs no restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// File with the password, instead of one in the URL. Spaces and line breaks
    /// around it are ignored. Must be readable by its owner only.
    pub password_file: Option<PathBuf>,
    /// File with the CA certificates (PEM) that the certificates of Redis must be
    /// issued by. Requires `rediss://` or another scheme with TLS. Unset, the CAs
    /// of the system.
    pub ca_file: Option<PathBuf>,
    /// File with the certificate chain (PEM) that is presented to Redis. Requires
    /// TLS and `key_file`.
    pub cert_file: Option<PathBuf>,
    /// File with the private key of the certificate. Must be readable by its
    /// owner only. Requires `cert_file`.
    pub key_file: Option<PathBuf>,
    /// ACL user at the sentinels. Unset, the user `default`. Requires
    /// `sentinel_password_file`.
    pub sentinel_user: Option<String>,
    /// File with the password of the sentinels. Must be readable by its owner only.
    /// Unset, they are asked without one: the user and the password of the URL are
    /// those of Redis only.
    pub sentinel_password_file: Option<PathBuf>,
}

// === impl StoreAddress ===

impl StoreAddress {
    /// What the URL says; `None` for `memory`. Does not connect.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn parse(&self) -> Result<Option<RedisAddress>, RedisUrlError> {
        match self {
            StoreAddress::Memory => Ok(None),
            StoreAddress::Redis(url) => RedisAddress::parse(url.expose_secret()).map(Some),
        }
    }

    /// The scheme is shown where it is known, and nothing after it.
    fn shown(&self) -> String {
        let StoreAddress::Redis(url) = self else {
            return "memory".to_owned();
        };
        let known = RedisAddress::parse(url.expose_secret()).is_ok();
        let scheme = url.expose_secret().split_once("://").map(|it| it.0);
        let scheme = scheme.filter(|_| known).unwrap_or("redis");
        format!("{scheme}://[redacted]")
    }
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
        f.write_str(&self.shown())
    }
}

impl Serialize for StoreAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
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

// === impl RedisConfig ===

impl RedisConfig {
    /// Validates the address and what belongs to it. Calls `wrong` with the key
    /// below `limits` and the problem of each fault.
    pub fn check(&self, address: &StoreAddress, wrong: &mut dyn FnMut(&str, String)) {
        let address = match address.parse() {
            Ok(address) => address,
            Err(problem) => return wrong("store", problem.to_string()),
        };
        let mut require = |key: &str, is_set: bool, holds: bool, problem: &str| {
            if is_set && !holds {
                wrong(&format!("redis.{key}"), problem.to_owned());
            }
        };
        let has_tls = address.as_ref().is_some_and(|it| it.tls);
        let has_password = address.as_ref().is_some_and(|it| it.password.is_some());
        let has_sentinels = address
            .as_ref()
            .is_some_and(|it| matches!(it.topology, RedisTopology::Sentinel { .. }));
        let is_redis = address.is_some();
        let store = "requires a Redis URL in limits.store";
        let tls = "requires a URL with TLS in limits.store, such as rediss://";
        let sentinels = "requires redis+sentinel:// in limits.store";
        let (password, ca) = (self.password_file.is_some(), self.ca_file.is_some());
        let (cert, key) = (self.cert_file.is_some(), self.key_file.is_some());
        let sentinel_password = self.sentinel_password_file.is_some();
        require("password_file", password, is_redis, store);
        let has_user = address.as_ref().is_some_and(|it| it.user.is_some());
        let twice = "must not be combined with a password in limits.store";
        require("password_file", password, !has_password, twice);
        let login = "must be set for the user in limits.store, unless the password is there";
        require("password_file", has_user, has_password || password, login);
        require("ca_file", ca, has_tls, tls);
        require("cert_file", cert, has_tls, tls);
        let both = "cert_file and key_file must be set together";
        require("cert_file", cert || key, cert && key, both);
        require(
            "sentinel_password_file",
            sentinel_password,
            has_sentinels,
            sentinels,
        );
        let with = "must be set together with sentinel_password_file";
        require(
            "sentinel_user",
            self.sentinel_user.is_some(),
            sentinel_password,
            with,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(url: &str) -> StoreAddress {
        StoreAddress::Redis(SecretString::from(url))
    }

    #[test]
    fn what_is_shown_of_an_address_has_no_password() {
        for (url, shown) in [
            (
                "rediss+cluster://app:hunter2@a",
                "rediss+cluster://[redacted]",
            ),
            ("hunter2://a", "redis://[redacted]"),
            ("hunter2", "redis://[redacted]"),
        ] {
            assert_eq!(format!("{:?}", store(url)), shown);
        }
    }

    #[test]
    fn what_belongs_to_the_url_must_fit_it() {
        let faults = |url: &str, toml: &str| {
            let config: RedisConfig = toml::from_str(toml).unwrap();
            let mut faults = Vec::new();
            config.check(&store(url), &mut |key, _| faults.push(key.to_owned()));
            faults
        };
        let none: [&str; 0] = [];
        assert_eq!(
            faults("rediss://a", "ca_file = 'c'\npassword_file = 'p'"),
            none
        );
        assert_eq!(faults("redis://a", "ca_file = 'c'"), ["redis.ca_file"]);
        assert_eq!(
            faults("redis://:x@a", "password_file = 'p'"),
            ["redis.password_file"]
        );
        assert_eq!(faults("rediss://a", "key_file = 'k'"), ["redis.cert_file"]);
        let sentinel = "sentinel_password_file = 's'\nsentinel_user = 'u'";
        assert_eq!(faults("redis+sentinel://a/m", sentinel), none);
        assert_eq!(
            faults("redis://a", sentinel),
            ["redis.sentinel_password_file"]
        );
        assert_eq!(faults("redis+sentinel://a", ""), ["store"]);
        let mut faults = Vec::new();
        let config: RedisConfig = toml::from_str("password_file = 'p'").unwrap();
        config.check(&StoreAddress::Memory, &mut |key, _| {
            faults.push(key.to_owned())
        });
        assert_eq!(faults, ["redis.password_file"]);
    }
}
