//! Edits the clients file: what `claude-grpc clients` does.

use super::{
    client_entry::{ClientEntry, KeyEntry, MAX_KEYS, SigningKeyEntry},
    client_limits::{ClientLimits, PriorityName},
    file::{ClientsError, ClientsFile},
    key::{self, FreshKey},
};
use crate::secrets::{Keyring, SecretError, directory};
use secrecy::SecretString;
use std::{
    fs::File,
    path::Path,
    time::{Duration, SystemTime},
};

/// A client to be added to the file.
#[derive(Debug, Clone, Default)]
pub struct NewClient {
    /// Name of the client.
    pub name: String,
    /// Tenant of the client; its name when absent.
    pub tenant: Option<String>,
    /// Weight of the tenant while calls must wait; 1 when absent.
    pub weight: Option<u32>,
    /// The RPCs that it may call; all when empty.
    pub methods: Vec<String>,
    /// The models that it may use; all when empty.
    pub models: Vec<String>,
    /// The hosts of Claude that may serve its calls; all when empty.
    pub hosts: Vec<String>,
    /// The betas that its calls may name; all that are allowed when empty.
    pub betas: Vec<String>,
    /// The highest priority that its calls can have.
    pub priority: PriorityName,
    /// When the client's access ends.
    pub expires: Option<SystemTime>,
    /// Names in TLS client certificates that identify the client.
    pub certificates: Vec<String>,
    /// The client's limits.
    pub limits: ClientLimits,
}

/// A key that was generated. It is shown once and not stored.
#[derive(Debug)]
pub struct Added {
    /// Id of the key.
    pub id: String,
    /// The key itself, or the signing secret.
    pub secret: SecretString,
}

/// Adds a client with one key. Creates the file if it does not exist.
///
/// # Errors
/// When the client already exists, or the file cannot be read or written.
pub fn add(path: &Path, keys: Option<&Keyring>, new: NewClient) -> Result<Added, ClientsError> {
    edit(path, keys, |file| {
        let fresh = FreshKey::make()?;
        file.clients.push(ClientEntry {
            name: new.name,
            tenant: new.tenant,
            weight: new.weight,
            methods: new.methods,
            models: new.models,
            hosts: new.hosts,
            betas: new.betas,
            priority: new.priority,
            expires: new.expires,
            certificates: new.certificates,
            limits: new.limits,
            keys: vec![entry(&fresh)],
            signing_keys: Vec::new(),
        });
        Ok(added(fresh))
    })
}

/// The clients in the file.
///
/// # Errors
/// When the file cannot be read.
pub fn list(path: &Path, keys: Option<&Keyring>) -> Result<Vec<ClientEntry>, ClientsError> {
    Ok(ClientsFile::read(path, keys)?.clients)
}

/// Removes a client with all its keys.
///
/// # Errors
/// When the client is unknown, or the file cannot be read or written.
pub fn revoke(path: &Path, keys: Option<&Keyring>, name: &str) -> Result<(), ClientsError> {
    edit(path, keys, |file| {
        let before = file.clients.len();
        file.clients.retain(|client| client.name != name);
        if file.clients.len() == before {
            return Err(ClientsError::Unknown(name.to_owned()));
        }
        Ok(())
    })
}

/// Removes one key.
///
/// # Errors
/// When the key is unknown, or the file cannot be read or written.
pub fn revoke_key(path: &Path, keys: Option<&Keyring>, id: &str) -> Result<(), ClientsError> {
    edit(path, keys, |file| {
        let count = |file: &ClientsFile| -> usize {
            let of = |client: &ClientEntry| client.keys.len() + client.signing_keys.len();
            file.clients.iter().map(of).sum()
        };
        let before = count(file);
        for client in &mut file.clients {
            client.keys.retain(|key| key.id != id);
            client.signing_keys.retain(|key| key.id != id);
        }
        if count(file) == before {
            return Err(ClientsError::UnknownKey(id.to_owned()));
        }
        Ok(())
    })
}

/// Adds a new key to a client. The existing key stays valid for `overlap`, so
/// that no call fails in the meantime.
///
/// # Errors
/// When the client is unknown, two of its keys are still valid, or the file
/// cannot be read or written.
pub fn rotate(
    path: &Path,
    keys: Option<&Keyring>,
    name: &str,
    overlap: Duration,
    now: SystemTime,
) -> Result<Added, ClientsError> {
    edit(path, keys, |file| {
        let client = find(file, name)?;
        client.keys.retain(|key| still_valid(key.not_after, now));
        room(name, client.keys.len())?;
        for key in &mut client.keys {
            key.not_after = earlier(key.not_after, now + overlap);
        }
        let fresh = FreshKey::make()?;
        client.keys.push(entry(&fresh));
        Ok(added(fresh))
    })
}

/// Adds a new signing key to a client. The existing one stays valid for
/// `overlap`.
///
/// # Errors
/// As with [`rotate`].
pub fn add_signing_key(
    path: &Path,
    keys: Option<&Keyring>,
    name: &str,
    overlap: Duration,
    now: SystemTime,
) -> Result<Added, ClientsError> {
    edit(path, keys, |file| {
        let client = find(file, name)?;
        client
            .signing_keys
            .retain(|key| still_valid(key.not_after, now));
        room(name, client.signing_keys.len())?;
        for key in &mut client.signing_keys {
            key.not_after = earlier(key.not_after, now + overlap);
        }
        let (id, secret) = (key::fresh_id()?, key::fresh_signing_secret()?);
        client.signing_keys.push(SigningKeyEntry {
            id: id.clone(),
            secret: secret.clone(),
            not_after: None,
        });
        Ok(Added { id, secret })
    })
}

/// Reads, changes and writes the file, one editor at a time.
fn edit<T>(
    path: &Path,
    keys: Option<&Keyring>,
    change: impl FnOnce(&mut ClientsFile) -> Result<T, ClientsError>,
) -> Result<T, ClientsError> {
    // The file itself is replaced, so the lock is on its directory.
    let directory = directory(path);
    let lock = File::open(directory).map_err(SecretError::read(directory))?;
    lock.lock().map_err(SecretError::read(directory))?;
    let mut file = match ClientsFile::read(path, keys) {
        Err(ClientsError::Secret(SecretError::Read { source, .. }))
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            ClientsFile::default()
        }
        read => read?,
    };
    let done = change(&mut file)?;
    file.write(path, keys)?;
    Ok(done)
}

fn find<'a>(file: &'a mut ClientsFile, name: &str) -> Result<&'a mut ClientEntry, ClientsError> {
    let found = file.clients.iter_mut().find(|client| client.name == name);
    found.ok_or_else(|| ClientsError::Unknown(name.to_owned()))
}

fn room(name: &str, keys: usize) -> Result<(), ClientsError> {
    if keys < MAX_KEYS {
        return Ok(());
    }
    Err(ClientsError::Client {
        client: name.to_owned(),
        reason: format!("already has the maximum of {MAX_KEYS} valid keys: revoke one first"),
    })
}

fn still_valid(not_after: Option<SystemTime>, now: SystemTime) -> bool {
    not_after.is_none_or(|end| now <= end)
}

fn earlier(not_after: Option<SystemTime>, end: SystemTime) -> Option<SystemTime> {
    Some(not_after.map_or(end, |old| old.min(end)))
}

fn entry(fresh: &FreshKey) -> KeyEntry {
    KeyEntry {
        id: fresh.id.clone(),
        hash: fresh.hash.to_text(),
        not_after: None,
    }
}

fn added(fresh: FreshKey) -> Added {
    Added {
        id: fresh.id,
        secret: fresh.key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Clients, RejectReason};
    use secrecy::ExposeSecret;

    const HOUR: Duration = Duration::from_secs(3600);

    fn clients(path: &Path) -> Clients {
        Clients::new(ClientsFile::read(path, None).unwrap()).unwrap()
    }

    fn new(name: &str) -> NewClient {
        NewClient {
            name: name.to_owned(),
            ..NewClient::default()
        }
    }

    #[test]
    fn both_keys_are_valid_during_a_rotation_and_the_old_one_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clients.toml");
        // The file stores whole seconds, so the test uses whole seconds too.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let first = add(&path, None, new("a")).unwrap();
        let second = rotate(&path, None, "a", HOUR, now).unwrap();
        let (first, second) = (first.secret.expose_secret(), second.secret.expose_secret());
        let clients = clients(&path);
        for at in [now, now + HOUR] {
            assert!(clients.by_key(first, at).is_ok());
            assert!(clients.by_key(second, at).is_ok());
        }
        let later = now + HOUR + Duration::from_secs(1);
        assert_eq!(clients.by_key(first, later), Err(RejectReason::ExpiredKey));
        assert!(clients.by_key(second, later).is_ok());

        rotate(&path, None, "a", HOUR, now).unwrap_err();
        rotate(&path, None, "a", HOUR, later).unwrap();
    }

    #[test]
    fn the_file_is_private_and_has_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clients.toml");
        let added = add(&path, None, new("a")).unwrap();
        crate::secrets::ensure_private(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let secret = added.secret.expose_secret().rsplit_once('_').unwrap().1;
        assert!(!text.contains(secret));
        assert!(text.contains(&added.id));
        assert!(!format!("{added:?}").contains(secret));
    }

    #[test]
    fn revoked_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clients.toml");
        let a = add(&path, None, new("a")).unwrap();
        let b = add(&path, None, new("b")).unwrap();
        add(&path, None, new("b")).unwrap_err();
        revoke(&path, None, "a").unwrap();
        revoke(&path, None, "a").unwrap_err();
        let now = SystemTime::now();
        let by = |added: &Added| clients(&path).by_key(added.secret.expose_secret(), now);
        assert_eq!(by(&a), Err(RejectReason::WrongKey));
        assert!(by(&b).is_ok());
        revoke_key(&path, None, &b.id).unwrap();
        assert_eq!(by(&b), Err(RejectReason::WrongKey));
    }

    #[test]
    fn an_encrypted_file_stays_encrypted() {
        let dir = tempfile::tempdir().unwrap();
        let (path, key) = (dir.path().join("clients.toml"), dir.path().join("key"));
        Keyring::create(&key).unwrap();
        let keys = Keyring::read(&key).unwrap();
        add(&path, None, new("a")).unwrap();
        crate::secrets::encrypt_file(&keys, &path, &path).unwrap();
        add_signing_key(&path, Some(&keys), "a", HOUR, SystemTime::now()).unwrap();
        assert!(crate::secrets::is_encrypted(&std::fs::read(&path).unwrap()));
        assert_eq!(list(&path, Some(&keys)).unwrap()[0].signing_keys.len(), 1);
        list(&path, None).unwrap_err();
    }

    #[cfg(unix)]
    #[test]
    fn signing_secrets_in_plain_text_need_a_private_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clients.toml");
        let open = || std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        add(&path, None, new("a")).unwrap();
        open();
        list(&path, None).unwrap();
        add_signing_key(&path, None, "a", HOUR, SystemTime::now()).unwrap();
        open();
        let refused = list(&path, None).unwrap_err();
        assert!(matches!(
            refused,
            ClientsError::Secret(SecretError::Permissions { .. })
        ));
    }

    #[test]
    fn a_broken_file_is_refused_without_a_quote_of_a_secret() {
        let table = [
            ("x = 1", "x"),
            ("[[clients]]\nname = 'a'\nmethods = ['Nothing']", "Nothing"),
            ("[[clients]]\nname = 'a b'", "the name must be"),
            ("[[clients]]\nname = 'anonymous'", "must not be anonymous"),
            (
                "[[clients]]\nname = 'a'\n[[clients]]\nname = 'a'",
                "duplicate client",
            ),
            ("[[clients]]\nname = 'a'\nlimits = 'canary'", "line 3"),
            ("[[clients]]\nname = 'a'\nkeys = 'a\"canary'", "line 3"),
            ("[[clients]]\nname = 'a'\nweight = 0", "between 1 and 1000"),
            (
                "[[clients]]\nname = 'a'\nweight = 2\n[[clients]]\nname = 'b'\ntenant = 'a'\nweight = 3",
                "the weight must be the same",
            ),
            (
                "[[clients]]\nname = 'a'\nsigning_keys = [{id = 'k', secret = 'canary'}]",
                "at least",
            ),
            (
                "[[clients]]\nname = 'a'\nkeys = [{id = 'k', hash = 'canary'}]",
                "malformed",
            ),
        ];
        for (text, expected) in table {
            let error = ClientsFile::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
