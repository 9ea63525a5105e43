//! Where batches are kept, and the turns to change them: in a file of this process, or
//! in the Redis of all replicas. The rest of `batches` does not know which.
//!
//! A batch is changed by one at a time, who has its turn. Reading does not wait.

mod in_file;
mod shared;

pub use shared::SharedStateError;

use super::{
    error::BatchError,
    record::{BatchItems, BatchRecord},
};
use crate::{sealed_file::StateFileError, secrets::Keyring, store::Store};
use bytes::Bytes;
use in_file::{FileBatches, FileTurn};
use shared::{SharedBatches, SharedTurn};
use std::{path::Path, sync::Arc, time::Duration};

/// The batches that are kept. Cloning is cheap.
#[derive(Clone)]
pub enum KeptBatches {
    /// In a file of this process, and in its memory.
    File(FileBatches),
    /// In Redis.
    Shared(SharedBatches),
}

/// The right to change a batch, until it ends or is dropped.
pub enum BatchTurn {
    /// Of a batch in a file.
    File(FileTurn),
    /// Of a batch in Redis.
    Shared(SharedTurn),
}

// === impl KeptBatches ===

impl KeptBatches {
    /// The batches in a file, which is created if it does not exist.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn in_file(path: &Path, keys: Keyring) -> Result<Self, StateFileError> {
        FileBatches::open(path, keys).map(KeptBatches::File)
    }

    /// The batches in a Redis, for this time at least, of which each is looked after at
    /// this interval.
    pub fn in_redis(store: Store, keys: Keyring, retention: Duration, interval: Duration) -> Self {
        KeptBatches::Shared(SharedBatches::new(store, keys, retention, interval))
    }

    /// Begins a batch, which is kept from [`BatchTurn::create`] on.
    ///
    /// # Errors
    /// [`BatchError::Repeated`] when the tenant has a batch with its request id,
    /// [`BatchError::TooMany`] when it has the maximum number of batches.
    pub async fn begin(
        &self,
        record: BatchRecord,
        max_per_tenant: usize,
    ) -> Result<BatchTurn, BatchError> {
        Ok(match self {
            KeptBatches::File(file) => BatchTurn::File(file.begin(record, max_per_tenant).await?),
            KeptBatches::Shared(shared) => {
                BatchTurn::Shared(shared.begin(record, max_per_tenant).await?)
            }
        })
    }

    /// A batch of a tenant: the id of another tenant's is unknown.
    ///
    /// # Errors
    /// [`BatchError::Unknown`], or the state cannot be read.
    pub async fn find(&self, tenant: &str, id: &str) -> Result<Arc<BatchRecord>, BatchError> {
        match self {
            KeptBatches::File(file) => file.find(tenant, id),
            KeptBatches::Shared(shared) => shared.find(tenant, id).await,
        }
    }

    /// The batches of a tenant, newest first.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn of_tenant(&self, tenant: &str) -> Result<Vec<Arc<BatchRecord>>, BatchError> {
        let mut records = match self {
            KeptBatches::File(file) => file.of_tenant(tenant),
            KeptBatches::Shared(shared) => shared.of_tenant(tenant).await?,
        };
        records.sort_unstable_by(|a, b| (b.created, &a.id).cmp(&(a.created, &b.id)));
        Ok(records)
    }

    /// All batches.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn all(&self) -> Result<Vec<Arc<BatchRecord>>, BatchError> {
        match self {
            KeptBatches::File(file) => Ok(file.all()),
            KeptBatches::Shared(shared) => shared.all().await,
        }
    }

    /// The turn of a batch, once nobody else has it.
    ///
    /// # Errors
    /// [`BatchError::Unknown`], or the state cannot be read.
    pub async fn turn(&self, tenant: &str, id: &str) -> Result<BatchTurn, BatchError> {
        Ok(match self {
            KeptBatches::File(file) => BatchTurn::File(file.turn(tenant, id).await?),
            KeptBatches::Shared(shared) => BatchTurn::Shared(shared.turn(tenant, id).await?),
        })
    }

    /// The turn of a batch; `None` when another has it.
    ///
    /// # Errors
    /// [`BatchError::Unknown`], or the state cannot be read.
    pub async fn try_turn(&self, tenant: &str, id: &str) -> Result<Option<BatchTurn>, BatchError> {
        Ok(match self {
            KeptBatches::File(file) => file.try_turn(tenant, id)?.map(BatchTurn::File),
            KeptBatches::Shared(shared) => {
                shared.try_turn(tenant, id).await?.map(BatchTurn::Shared)
            }
        })
    }

    /// The turn of a batch that is to be looked after; `None` when another has it, or
    /// another replica has looked after it since the last interval began.
    ///
    /// # Errors
    /// [`BatchError::Unknown`], or the state cannot be read.
    pub async fn due_turn(&self, record: &BatchRecord) -> Result<Option<BatchTurn>, BatchError> {
        if let KeptBatches::Shared(shared) = self
            && !shared.is_due(record).await?
        {
            return Ok(None);
        }
        self.try_turn(&record.tenant, &record.id).await
    }

    /// The items of a batch.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn items(&self, record: &BatchRecord) -> Result<BatchItems, BatchError> {
        match self {
            KeptBatches::File(file) => file.items(&record.id).await,
            KeptBatches::Shared(shared) => shared.items(&record.tenant, &record.id).await,
        }
    }
}

// === impl BatchTurn ===

impl BatchTurn {
    /// The record as it is now.
    pub fn record(&self) -> Arc<BatchRecord> {
        match self {
            BatchTurn::File(turn) => turn.record(),
            BatchTurn::Shared(turn) => turn.record(),
        }
    }

    /// For how long it has not been known whether its submission has arrived: since the
    /// turn in which it was sent was seen to be over.
    pub fn unclear_for(&self) -> Duration {
        match self {
            BatchTurn::File(turn) => turn.unclear_for(),
            BatchTurn::Shared(turn) => turn.unclear_for(),
        }
    }

    /// Keeps a batch that has begun, with its items and the body that submits it.
    ///
    /// # Errors
    /// As [`KeptBatches::begin`], or the state cannot be written: then it may be kept.
    pub async fn create(
        &self,
        record: BatchRecord,
        items: BatchItems,
        body: Bytes,
    ) -> Result<(), BatchError> {
        match self {
            BatchTurn::File(turn) => turn.create(record, items, body).await,
            BatchTurn::Shared(turn) => turn.create(record, items, body).await,
        }
    }

    /// Replaces the record. Once the batch is known at the API, the body that submits it
    /// is deleted.
    ///
    /// # Errors
    /// When the state cannot be written, or the turn is lost.
    pub async fn replace(&self, record: BatchRecord) -> Result<(), BatchError> {
        match self {
            BatchTurn::File(turn) => turn.replace(record).await,
            BatchTurn::Shared(turn) => turn.replace(record).await,
        }
    }

    /// The body that submits the batch.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn body(&self) -> Result<Bytes, BatchError> {
        match self {
            BatchTurn::File(turn) => turn.body().await,
            BatchTurn::Shared(turn) => turn.body().await,
        }
    }

    /// Deletes all of the batch.
    ///
    /// # Errors
    /// When the state cannot be written, or the turn is lost.
    pub async fn delete(&self) -> Result<(), BatchError> {
        match self {
            BatchTurn::File(turn) => turn.delete().await,
            BatchTurn::Shared(turn) => turn.delete().await,
        }
    }

    /// Completes when another may have the turn, though it has not ended.
    pub async fn lost(&self) {
        match self {
            BatchTurn::File(_) => std::future::pending().await,
            BatchTurn::Shared(turn) => turn.lost().await,
        }
    }

    /// Leaves the turn to others, at the latest when this is dropped.
    pub async fn end(&self) {
        if let BatchTurn::Shared(turn) = self {
            turn.end().await;
        }
    }
}
