//! What belongs to whom at the API: in memory, and in the state file if there is one.

use super::{error::FileError, owned::Owned};
use crate::{
    sealed_file::{SealedFile, SealedTable, StateFileError},
    upstream::OwnedKind,
};
use parking_lot::Mutex;
use redb::{ReadableDatabase, ReadableTable};
use std::{cmp::Reverse, collections::HashMap, sync::Arc};

/// Id → what is kept of it.
const OWNED: SealedTable = SealedTable::new("owned");

/// Maximum number of containers, threads and files of tools that are known of a tenant:
/// the ones that end first are forgotten.
const MAX_NOTED: usize = 10_000;

/// What belongs to whom.
#[derive(Default)]
pub struct Registry {
    tenants: Mutex<HashMap<String, Possessions>>,
    file: Option<SealedFile>,
}

/// What belongs to one tenant.
#[derive(Default)]
struct Possessions {
    by_id: HashMap<String, Arc<Owned>>,
    /// Files that are being uploaded, and their bytes.
    uploading: (usize, u64),
}

/// The room of a file that is being uploaded, until it is dropped.
pub struct UploadRoom {
    registry: Arc<Registry>,
    tenant: String,
    bytes: u64,
}

/// How much a tenant may upload.
#[derive(Debug, Clone, Copy)]
pub struct UploadLimits {
    /// Maximum number of files.
    pub files: usize,
    /// Maximum size of all files, in bytes.
    pub bytes: u64,
}

// === impl Registry ===

impl Registry {
    /// What is in a state file.
    ///
    /// # Errors
    /// When it cannot be read, or no key decrypts it.
    pub fn open(file: SealedFile) -> Result<Self, StateFileError> {
        let mut tenants: HashMap<String, Possessions> = HashMap::new();
        let kept = file.at_start();
        for entry in kept.database.begin_read()?.open_table(OWNED)?.iter()? {
            let owned: Owned = kept.decrypted(entry?.1.value())?;
            let of = tenants.entry(owned.tenant.clone()).or_default();
            of.by_id.insert(owned.id.clone(), Arc::new(owned));
        }
        Ok(Registry {
            tenants: Mutex::new(tenants),
            file: Some(file),
        })
    }

    /// The tables of the state file.
    pub fn tables() -> [SealedTable; 1] {
        [OWNED]
    }

    /// What a tenant owns under an id: the id of another tenant is unknown.
    pub fn find(&self, tenant: &str, kind: OwnedKind, id: &str) -> Option<Arc<Owned>> {
        let tenants = self.tenants.lock();
        let found = tenants.get(tenant)?.by_id.get(id)?;
        (found.kind == kind).then(|| Arc::clone(found))
    }

    /// The files of a tenant, newest first.
    pub fn files_of(&self, tenant: &str) -> Vec<Arc<Owned>> {
        let tenants = self.tenants.lock();
        let owned = tenants.get(tenant).into_iter();
        let owned = owned.flat_map(|of| of.by_id.values());
        let files = owned.filter(|it| it.kind == OwnedKind::File);
        let mut files: Vec<_> = files.map(Arc::clone).collect();
        drop(tenants);
        files
            .sort_unstable_by(|a, b| (Reverse(a.created), &a.id).cmp(&(Reverse(b.created), &b.id)));
        files
    }

    /// All that has ended at this time.
    pub fn ended_at(&self, now: u64) -> Vec<Arc<Owned>> {
        let tenants = self.tenants.lock();
        let owned = tenants.values().flat_map(|of| of.by_id.values());
        owned
            .filter(|it| it.expires <= now)
            .map(Arc::clone)
            .collect()
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
    ) -> Result<UploadRoom, FileError> {
        let mut tenants = self.tenants.lock();
        let of = tenants.entry(tenant.to_owned()).or_default();
        let (mut files, mut used) = of.uploading;
        for size in of.by_id.values().filter_map(|it| it.uploaded_bytes()) {
            files += 1;
            used += size;
        }
        if files >= limits.files {
            return Err(FileError::TooMany(limits.files));
        }
        if used.saturating_add(bytes) > limits.bytes {
            return Err(FileError::TooLarge(limits.bytes));
        }
        of.uploading.0 += 1;
        of.uploading.1 += bytes;
        Ok(UploadRoom {
            registry: Arc::clone(self),
            tenant: tenant.to_owned(),
            bytes,
        })
    }

    /// Keeps what a tenant owns, on disk and in memory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn keep(&self, owned: Owned) -> Result<Arc<Owned>, StateFileError> {
        let owned = self.remember(owned);
        self.write(&owned).await?;
        Ok(owned)
    }

    /// Keeps in memory what a tenant owns. [`write`](Self::write) keeps it on disk.
    pub fn remember(&self, owned: Owned) -> Arc<Owned> {
        let owned = Arc::new(owned);
        let mut tenants = self.tenants.lock();
        let of = tenants.entry(owned.tenant.clone()).or_default();
        of.by_id.insert(owned.id.clone(), Arc::clone(&owned));
        of.forget_if_too_many();
        owned
    }

    /// Keeps on disk what is in memory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn write(&self, owned: &Arc<Owned>) -> Result<(), StateFileError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let owned = Arc::clone(owned);
        file.with(move |file| {
            let write = file.database.begin_write()?;
            write
                .open_table(OWNED)?
                .insert(owned.id.as_str(), &*file.encrypted(&*owned)?)?;
            Ok(write.commit()?)
        })
        .await
    }

    /// Forgets what a tenant owns, on disk and in memory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn forget(&self, owned: &Owned) -> Result<(), StateFileError> {
        if let Some(file) = &self.file {
            let id = owned.id.clone();
            file.with(move |file| {
                let write = file.database.begin_write()?;
                write.open_table(OWNED)?.remove(id.as_str())?;
                Ok(write.commit()?)
            })
            .await?;
        }
        let mut tenants = self.tenants.lock();
        if let Some(of) = tenants.get_mut(&owned.tenant) {
            of.by_id.remove(&owned.id);
            if of.by_id.is_empty() && of.uploading.0 == 0 {
                tenants.remove(&owned.tenant);
            }
        }
        Ok(())
    }
}

impl Possessions {
    /// What is forgotten here stays on disk until it has ended.
    fn forget_if_too_many(&mut self) {
        let noted = |it: &&Arc<Owned>| it.uploaded_bytes().is_none();
        if self.by_id.len() <= MAX_NOTED || self.by_id.values().filter(noted).count() <= MAX_NOTED {
            return;
        }
        let first = self
            .by_id
            .values()
            .filter(noted)
            .min_by_key(|it| it.expires);
        if let Some(id) = first.map(|it| it.id.clone()) {
            self.by_id.remove(&id);
        }
    }
}

impl Drop for UploadRoom {
    fn drop(&mut self) {
        let mut tenants = self.registry.tenants.lock();
        if let Some(of) = tenants.get_mut(&self.tenant) {
            of.uploading.0 -= 1;
            of.uploading.1 -= self.bytes;
        }
    }
}
