//! Batches in a file of this process. Their records are in memory as well.

use crate::{
    batches::{
        entry::{BatchEntry, BatchIndex},
        error::BatchError,
        record::{BatchItems, BatchRecord},
        state_file::StateFile,
    },
    sealed_file::StateFileError,
    secrets::Keyring,
};
use bytes::Bytes;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::OwnedMutexGuard;

/// The batches of a file. Cloning is cheap.
#[derive(Clone)]
pub struct FileBatches {
    file: StateFile,
    index: Arc<BatchIndex>,
}

/// The right to change a batch.
pub struct FileTurn {
    batches: FileBatches,
    entry: Arc<BatchEntry>,
    /// Whether it is in the file.
    is_kept: AtomicBool,
    /// Whether it was sent in this turn.
    was_sent: AtomicBool,
    _turn: OwnedMutexGuard<()>,
}

// === impl FileBatches ===

impl FileBatches {
    pub fn open(path: &Path, keys: Keyring) -> Result<Self, StateFileError> {
        let (file, records) = StateFile::open(path, keys)?;
        let index = Arc::new(BatchIndex::of(records));
        Ok(FileBatches { file, index })
    }

    pub async fn begin(
        &self,
        record: BatchRecord,
        max_per_tenant: usize,
    ) -> Result<FileTurn, BatchError> {
        let entry = BatchEntry::new(record);
        let turn = Arc::clone(&entry.turn).lock_owned().await;
        self.index.add(&entry, max_per_tenant)?;
        Ok(self.turn_with(entry, turn, false))
    }

    pub fn find(&self, tenant: &str, id: &str) -> Result<Arc<BatchRecord>, BatchError> {
        Ok(self.index.find(tenant, id)?.record())
    }

    pub fn of_tenant(&self, tenant: &str) -> Vec<Arc<BatchRecord>> {
        let mut records = self.all();
        records.retain(|record| record.tenant == tenant);
        records
    }

    pub fn all(&self) -> Vec<Arc<BatchRecord>> {
        self.index.all()
    }

    pub async fn turn(&self, tenant: &str, id: &str) -> Result<FileTurn, BatchError> {
        let entry = self.index.find(tenant, id)?;
        let turn = Arc::clone(&entry.turn).lock_owned().await;
        // Its submission may have failed in the meantime.
        let entry = self.index.find(tenant, id)?;
        Ok(self.turn_with(entry, turn, true))
    }

    pub fn try_turn(&self, tenant: &str, id: &str) -> Result<Option<FileTurn>, BatchError> {
        let entry = self.index.find(tenant, id)?;
        let turn = Arc::clone(&entry.turn).try_lock_owned().ok();
        Ok(turn.map(|turn| self.turn_with(entry, turn, true)))
    }

    pub async fn items(&self, id: &str) -> Result<BatchItems, BatchError> {
        Ok(self.file.items(id).await?)
    }

    fn turn_with(
        &self,
        entry: Arc<BatchEntry>,
        turn: OwnedMutexGuard<()>,
        is_kept: bool,
    ) -> FileTurn {
        FileTurn {
            batches: self.clone(),
            entry,
            is_kept: AtomicBool::new(is_kept),
            was_sent: AtomicBool::new(false),
            _turn: turn,
        }
    }
}

// === impl FileTurn ===

impl FileTurn {
    pub fn record(&self) -> Arc<BatchRecord> {
        self.entry.record()
    }

    pub fn unclear_for(&self) -> Duration {
        self.entry.unclear_for()
    }

    pub async fn create(
        &self,
        record: BatchRecord,
        items: BatchItems,
        body: Bytes,
    ) -> Result<(), BatchError> {
        let written = self.batches.file.add(&record, items, body).await;
        self.entry.replace(record);
        self.is_kept.store(written.is_ok(), Ordering::Relaxed);
        Ok(written?)
    }

    pub async fn replace(&self, record: BatchRecord) -> Result<(), BatchError> {
        self.batches.file.update(&record).await?;
        if record.sent.is_some() && record.sent != self.entry.record().sent {
            self.was_sent.store(true, Ordering::Relaxed);
        }
        self.entry.replace(record);
        Ok(())
    }

    pub async fn body(&self) -> Result<Bytes, BatchError> {
        Ok(self.batches.file.body(&self.record().id).await?)
    }

    pub async fn delete(&self) -> Result<(), BatchError> {
        let id = &self.record().id;
        // First in memory: a caller must not be told of a batch that is not on disk.
        self.batches.index.remove(id);
        if self.is_kept.load(Ordering::Relaxed) {
            self.batches.file.delete(id).await?;
        }
        Ok(())
    }
}

impl Drop for FileTurn {
    fn drop(&mut self) {
        if self.was_sent.load(Ordering::Relaxed) {
            self.entry.mark_unclear();
        }
    }
}
