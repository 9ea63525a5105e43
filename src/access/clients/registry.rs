//! Looks up a client by its credentials.

use super::{
    client_entry::ClientEntry,
    file::{ClientsError, ClientsFile},
    key::{self, KeyHash},
};
use crate::{
    access::{Identity, PeerNames, RejectReason},
    secrets::{Keyring, LoadError, Reloadable},
};
use secrecy::SecretString;
use std::{collections::HashMap, path::PathBuf, sync::Arc, time::SystemTime};

/// All clients, indexed for lookup. Rebuilt when the file changes.
#[derive(Debug, Default)]
pub struct Clients {
    /// Number of clients.
    count: usize,
    by_key: HashMap<String, KeyRecord>,
    by_signing_key: HashMap<String, SigningKey>,
    by_certificate: HashMap<String, Arc<Identity>>,
}

#[derive(Debug)]
struct KeyRecord {
    identity: Arc<Identity>,
    hash: KeyHash,
    not_after: Option<SystemTime>,
}

/// A signing key and the client it belongs to.
#[derive(Debug)]
pub struct SigningKey {
    /// The client that the key belongs to.
    pub identity: Arc<Identity>,
    /// The HMAC key: the bytes of this text.
    pub secret: SecretString,
    /// When the key expires.
    pub not_after: Option<SystemTime>,
}

impl Clients {
    /// The clients of a file, reloaded when it changes.
    ///
    /// # Errors
    /// When the file, or the file with the keys that decrypt it, is not valid.
    pub async fn load(
        path: PathBuf,
        key_file: Option<PathBuf>,
    ) -> Result<Reloadable<Clients>, LoadError> {
        let files = std::iter::once(path.clone()).chain(key_file.clone());
        Reloadable::load("clients", files.collect(), move |current| {
            let read = read(&path, key_file.as_deref(), current.as_deref());
            Box::pin(async move { Ok(read?) })
        })
        .await
    }

    /// The clients of a parsed file.
    ///
    /// # Errors
    /// When a hash is malformed.
    pub fn new(file: ClientsFile) -> Result<Clients, ClientsError> {
        let mut clients = Clients {
            count: file.clients.len(),
            ..Clients::default()
        };
        let identities: Vec<_> = {
            let weights = file.weights();
            let of = |entry| Arc::new(identity(entry, &weights));
            file.clients.iter().map(of).collect()
        };
        for (entry, identity) in file.clients.into_iter().zip(identities) {
            for key in entry.keys {
                let hash = KeyHash::parse(&key.hash).ok_or_else(|| ClientsError::Client {
                    client: entry.name.clone(),
                    reason: format!("the hash of key {:?} is malformed", key.id),
                })?;
                let held = KeyRecord {
                    identity: Arc::clone(&identity),
                    hash,
                    not_after: key.not_after,
                };
                clients.by_key.insert(key.id, held);
            }
            for key in entry.signing_keys {
                let signing = SigningKey {
                    identity: Arc::clone(&identity),
                    secret: key.secret,
                    not_after: key.not_after,
                };
                clients.by_signing_key.insert(key.id, signing);
            }
            for name in entry.certificates {
                clients.by_certificate.insert(name, Arc::clone(&identity));
            }
        }
        Ok(clients)
    }

    /// The client that a key belongs to. An unknown key takes the same time as
    /// a wrong one.
    ///
    /// # Errors
    /// Why the key is rejected.
    pub fn by_key(&self, presented: &str, now: SystemTime) -> Result<Arc<Identity>, RejectReason> {
        let held = key::id_of(presented).and_then(|id| self.by_key.get(id));
        let hash = held.map_or(KeyHash::NONE, |held| held.hash);
        match (hash.is_of(presented), held) {
            (true, Some(held)) => {
                valid(held.not_after, now)
                    .then_some(())
                    .ok_or(RejectReason::ExpiredKey)?;
                unexpired(&held.identity, now)
            }
            _ => Err(RejectReason::WrongKey),
        }
    }

    /// The client that a certificate belongs to.
    ///
    /// # Errors
    /// Why the certificate is rejected.
    pub fn by_certificate(
        &self,
        names: &PeerNames,
        now: SystemTime,
    ) -> Result<Arc<Identity>, RejectReason> {
        let found = names
            .0
            .iter()
            .find_map(|name| self.by_certificate.get(name));
        unexpired(found.ok_or(RejectReason::UnknownCertificate)?, now)
    }

    /// The signing key with this id.
    pub fn signing_key(&self, id: &str) -> Option<&SigningKey> {
        self.by_signing_key.get(id)
    }
}

impl SigningKey {
    /// The client, if its access has not expired.
    ///
    /// # Errors
    /// Why the client is rejected.
    pub fn identity(&self, now: SystemTime) -> Result<Arc<Identity>, RejectReason> {
        valid(self.not_after, now)
            .then_some(())
            .ok_or(RejectReason::ExpiredKey)?;
        unexpired(&self.identity, now)
    }
}

/// Reads the clients. A file that has lost all of them, as one that is written
/// in place has for a moment, would lock everybody out.
fn read(
    path: &std::path::Path,
    key_file: Option<&std::path::Path>,
    current: Option<&Clients>,
) -> Result<Clients, ClientsError> {
    let keys = key_file.map(Keyring::read).transpose()?;
    let file = ClientsFile::read_declared(path, keys.as_ref())?;
    if file.is_none() && current.is_some_and(|current| current.count > 0) {
        return Err(ClientsError::NoClients);
    }
    Clients::new(file.unwrap_or_default())
}

fn identity(entry: &ClientEntry, weights: &HashMap<&str, u32>) -> Identity {
    let tenant = entry.tenant();
    Identity {
        name: Arc::from(entry.name.as_str()),
        tenant: Arc::from(tenant),
        weight: weights.get(tenant).copied().unwrap_or(1),
        methods: entry.methods.clone(),
        models: entry.models.clone(),
        hosts: entry.hosts.clone(),
        betas: entry.betas.clone(),
        priority: entry.priority.into(),
        expires: entry.expires,
        limits: entry.limits,
    }
}

/// The moment of expiry itself is still valid.
fn valid(not_after: Option<SystemTime>, now: SystemTime) -> bool {
    not_after.is_none_or(|end| now <= end)
}

fn unexpired(identity: &Arc<Identity>, now: SystemTime) -> Result<Arc<Identity>, RejectReason> {
    if valid(identity.expires, now) {
        Ok(Arc::clone(identity))
    } else {
        Err(RejectReason::ExpiredClient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{NewClient, add, revoke},
        secrets::{Reload, write_private},
    };
    use secrecy::ExposeSecret;

    #[tokio::test]
    async fn a_file_that_lost_its_clients_is_refused_and_one_that_says_so_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clients.toml");
        let new = NewClient {
            name: "a".to_owned(),
            ..NewClient::default()
        };
        let key = add(&path, None, new).unwrap().secret;
        let whole = std::fs::read(&path).unwrap();
        let clients = Clients::load(path.clone(), None).await.unwrap();
        let is_known = || {
            let current = clients.current();
            let now = SystemTime::now();
            current.by_key(key.expose_secret(), now).is_ok()
        };
        for lost in ["", "\n", "\u{feff}", "# Clients of claude-grpc"] {
            std::fs::write(&path, lost).unwrap();
            let error = clients.reload().await.unwrap_err().to_string();
            assert!(error.contains("`clients = []`"), "{error}");
            assert!(is_known(), "{lost:?}");
        }
        assert_eq!(clients.counts().refused, 4);

        write_private(&path, &whole).unwrap();
        clients.reload().await.unwrap();
        revoke(&path, None, "a").unwrap();
        clients.reload().await.unwrap();
        assert!(!is_known());
        // Nobody can be locked out any more.
        std::fs::write(&path, "").unwrap();
        clients.reload().await.unwrap();
    }
}
