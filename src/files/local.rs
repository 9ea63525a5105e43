//! What belongs to whom at the API, as one process knows it: in memory, and in the state
//! file if there is one.
//!
//! Memory leads. What changes in it is marked, and each flush writes what memory then has
//! under all marked ids, in one transaction: neither their number nor their order makes
//! the file differ.

use super::{
    error::FileError,
    owned::Owned,
    possessions::{Possessions, UploadLimits},
};
use crate::{
    sealed_file::{SealedFile, SealedTable, StateFileError},
    upstream::OwnedKind,
};
use parking_lot::Mutex;
use redb::{ReadableDatabase, ReadableTable};
use std::{collections::HashSet, sync::Arc};
use tokio::sync::Notify;

/// Id → what is kept of it.
const OWNED: SealedTable = SealedTable::new("owned");

/// What belongs to whom in this process.
#[derive(Default)]
pub struct LocalRegistry {
    held: Mutex<Held>,
    /// Something has been marked.
    changed: Notify,
    /// Held by the one who writes.
    writing: tokio::sync::Mutex<()>,
    file: Option<SealedFile>,
}

#[derive(Default)]
struct Held {
    possessions: Possessions,
    /// The ids under which the file differs from memory.
    marked: HashSet<String>,
}

/// The room of a file that is being uploaded, until it is dropped.
pub struct LocalRoom {
    registry: Arc<LocalRegistry>,
    tenant: String,
    bytes: u64,
}

// === impl LocalRegistry ===

impl LocalRegistry {
    /// What is in a state file, except for what has ended by itself at this time.
    ///
    /// # Errors
    /// When it cannot be read, or no key decrypts it.
    pub fn open(file: SealedFile, now: u64) -> Result<Self, StateFileError> {
        let registry = LocalRegistry {
            file: Some(file.clone()),
            ..LocalRegistry::default()
        };
        let kept = file.at_start();
        for entry in kept.database.begin_read()?.open_table(OWNED)?.iter()? {
            let owned: Owned = kept.keys.open(entry?.1.value())?;
            if owned.kind == OwnedKind::File || owned.expires > now {
                registry.held.lock().put(Arc::new(owned), false);
            } else {
                registry.held.lock().marked.insert(owned.id);
            }
        }
        Ok(registry)
    }

    /// The tables of the state file.
    pub fn tables() -> [SealedTable; 1] {
        [OWNED]
    }

    /// Whether it outlives the process.
    pub fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// What a tenant owns under an id: the id of another tenant is unknown.
    pub fn find(&self, tenant: &str, kind: OwnedKind, id: &str) -> Option<Arc<Owned>> {
        let held = self.held.lock();
        let found = held.possessions.get(id)?;
        (found.kind == kind && found.tenant == tenant).then(|| Arc::clone(found))
    }

    /// The files of a tenant, in any order.
    pub fn files_of(&self, tenant: &str) -> Vec<Arc<Owned>> {
        self.held.lock().possessions.files_of(tenant)
    }

    /// Some of what has ended at this time, at most this number.
    pub fn ended_at(&self, now: u64, most: usize) -> Vec<Arc<Owned>> {
        self.held.lock().possessions.ended_at(now, most)
    }

    /// Makes room for a file that a tenant uploads.
    ///
    /// # Errors
    /// When the tenant has its maximum.
    pub fn make_room(
        self: &Arc<Self>,
        tenant: &str,
        bytes: u64,
        limits: UploadLimits,
    ) -> Result<LocalRoom, FileError> {
        let mut held = self.held.lock();
        let uploads = held.possessions.uploads_of(tenant);
        if uploads.files >= limits.files {
            return Err(FileError::TooMany(limits.files));
        }
        if uploads.bytes.saturating_add(bytes) > limits.bytes {
            return Err(FileError::TooLarge(limits.bytes));
        }
        uploads.files += 1;
        uploads.bytes += bytes;
        Ok(LocalRoom {
            registry: Arc::clone(self),
            tenant: tenant.to_owned(),
            bytes,
        })
    }

    /// Keeps in memory what a tenant owns, and on disk with the next flush. What belongs
    /// to another tenant already stays with it.
    pub fn note(&self, owned: Arc<Owned>) {
        self.held.lock().put(owned, true);
        self.changed.notify_one();
    }

    /// Keeps an upload, in its room. Once it has returned, it survives a crash.
    ///
    /// # Errors
    /// When it cannot be written: the next flush tries it again.
    pub async fn keep(&self, upload: Arc<Owned>, room: LocalRoom) -> Result<(), StateFileError> {
        drop(room);
        self.note(upload);
        self.flush().await
    }

    /// Replaces what is still there as it was.
    pub fn replace(&self, before: &Arc<Owned>, owned: Owned) -> Option<Arc<Owned>> {
        let mut held = self.held.lock();
        let current = held.possessions.get(&before.id)?;
        if !Arc::ptr_eq(current, before) {
            return Some(Arc::clone(current));
        }
        let owned = Arc::new(owned);
        held.put(Arc::clone(&owned), true);
        drop(held);
        self.changed.notify_one();
        Some(owned)
    }

    /// Forgets some of what has ended by itself at this time, at most this number. Files
    /// stay that are to be deleted at the API.
    pub fn sweep(&self, now: u64, most: usize) {
        for owned in self.ended_at(now, most) {
            if owned.kind != OwnedKind::File || !self.is_kept() {
                self.forget(&owned);
            }
        }
    }

    /// Forgets what is still there as it was, on disk with the next flush.
    pub fn forget(&self, owned: &Arc<Owned>) {
        let mut held = self.held.lock();
        let current = held.possessions.get(&owned.id);
        if current.is_some_and(|current| Arc::ptr_eq(current, owned)) {
            held.possessions.remove(&owned.id);
            held.marked.insert(owned.id.clone());
            drop(held);
            self.changed.notify_one();
        }
    }

    /// Waits until there is something to flush.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Writes all that has changed in memory. Once it has returned, it survives a crash.
    ///
    /// # Errors
    /// When it cannot be written: the next flush tries it again.
    pub async fn flush(&self) -> Result<(), StateFileError> {
        let _writing = self.writing.lock().await;
        let (marked, owned) = {
            let mut held = self.held.lock();
            let marked: Vec<String> = held.marked.drain().collect();
            let owned: Vec<_> = marked
                .iter()
                .map(|id| held.possessions.get(id).map(Arc::clone))
                .collect();
            (marked, owned)
        };
        let Some(file) = self.file.as_ref().filter(|_| !marked.is_empty()) else {
            return Ok(());
        };
        let ids = marked.clone();
        let written = file.with(move |file| {
            let write = file.database.begin_write()?;
            {
                let mut table = write.open_table(OWNED)?;
                for (id, owned) in ids.iter().zip(&owned) {
                    match owned {
                        Some(owned) => {
                            table.insert(id.as_str(), &*file.keys.seal(&**owned)?)?;
                        }
                        None => {
                            table.remove(id.as_str())?;
                        }
                    }
                }
            }
            Ok(write.commit()?)
        });
        let written = written.await;
        if written.is_err() {
            self.held.lock().marked.extend(marked);
        }
        written
    }
}

impl Held {
    fn put(&mut self, owned: Arc<Owned>, is_new: bool) {
        let id = owned.id.clone();
        let evicted = self.possessions.put(owned);
        if is_new {
            self.marked.insert(id);
        }
        self.marked.extend(evicted);
    }
}

impl Drop for LocalRoom {
    fn drop(&mut self) {
        let mut held = self.registry.held.lock();
        let uploads = held.possessions.uploads_of(&self.tenant);
        uploads.files -= 1;
        uploads.bytes -= self.bytes;
        held.possessions.tidy(&self.tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Keyring;
    use std::path::Path;

    fn open(path: &Path, key: &Path, now: u64) -> LocalRegistry {
        if !key.exists() {
            Keyring::create(key).unwrap();
        }
        let keys = Keyring::read(key).unwrap();
        let file = SealedFile::open(path, keys, &LocalRegistry::tables()).unwrap();
        LocalRegistry::open(file, now).unwrap()
    }

    #[tokio::test]
    async fn the_file_has_what_memory_had_at_the_last_flush_and_nothing_plain() {
        let dir = tempfile::tempdir().unwrap();
        let (path, key) = (dir.path().join("state"), dir.path().join("key"));
        let registry = open(&path, &key, 0);
        let owned = |id: &str, kind, expires| Owned {
            tenant: "tenant of files".to_owned(),
            expires,
            ..Owned::for_tests(id, kind)
        };
        let note = |owned| {
            let owned = Arc::new(owned);
            registry.note(Arc::clone(&owned));
            owned
        };
        note(owned("container_1", OwnedKind::Container, 10));
        note(owned("container_2", OwnedKind::Container, 20));
        let gone = note(owned("file_1", OwnedKind::File, 10));
        note(owned("file_2", OwnedKind::File, 10));
        registry.flush().await.unwrap();
        // A later state does not come before an earlier one.
        note(owned("container_2", OwnedKind::Container, 30));
        registry.forget(&gone);
        assert!(registry.replace(&gone, (*gone).clone()).is_none());
        registry.flush().await.unwrap();
        note(owned("file_3", OwnedKind::File, 10));
        drop(registry);

        let bytes = std::fs::read(&path).unwrap();
        let plain = b"tenant of files";
        assert!(!bytes.windows(plain.len()).any(|it| it == plain));
        let registry = open(&path, &key, 15);
        let tenant = "tenant of files";
        assert!(
            registry
                .find(tenant, OwnedKind::Container, "container_1")
                .is_none()
        );
        let kept = registry.find(tenant, OwnedKind::Container, "container_2");
        assert_eq!(kept.unwrap().expires, 30);
        let files = registry.files_of(tenant).into_iter();
        let files: Vec<_> = files.map(|it| it.id.clone()).collect();
        assert_eq!(files, ["file_2"]);
        assert_eq!(registry.ended_at(15, 9).len(), 1);
    }

    #[test]
    fn what_belongs_to_one_tenant_is_never_that_of_another() {
        let registry = LocalRegistry::default();
        let of = |tenant: &str| Owned {
            tenant: tenant.to_owned(),
            ..Owned::for_tests("file_1", OwnedKind::File)
        };
        registry.note(Arc::new(of("a")));
        registry.note(Arc::new(of("b")));
        assert!(registry.find("a", OwnedKind::File, "file_1").is_some());
        assert!(registry.find("b", OwnedKind::File, "file_1").is_none());
        assert!(registry.find("a", OwnedKind::Container, "file_1").is_none());
        assert_eq!(registry.files_of("b"), []);
    }
}
