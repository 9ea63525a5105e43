//! The batches that are kept, in memory: their records, and the turns to change them.

use super::{error::BatchError, record::BatchRecord};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// A batch. Its turn is taken before it is changed.
pub struct BatchEntry {
    record: Mutex<Arc<BatchRecord>>,
    /// Since when it is not known whether its submission has arrived. After a restart,
    /// since the start.
    unclear_since: Mutex<Instant>,
    /// The right to change the batch.
    pub turn: Arc<tokio::sync::Mutex<()>>,
}

/// All batches, by id.
#[derive(Default)]
pub struct BatchIndex(Mutex<HashMap<String, Arc<BatchEntry>>>);

// === impl BatchEntry ===

impl BatchEntry {
    /// An entry with this record.
    pub fn new(record: BatchRecord) -> Arc<Self> {
        Arc::new(BatchEntry {
            record: Mutex::new(Arc::new(record)),
            unclear_since: Mutex::new(Instant::now()),
            turn: Arc::default(),
        })
    }

    /// The record as it is now.
    pub fn record(&self) -> Arc<BatchRecord> {
        Arc::clone(&self.record.lock())
    }

    /// From now on, it is not known whether its submission has arrived.
    pub fn mark_unclear(&self) {
        *self.unclear_since.lock() = Instant::now();
    }

    /// For how long it has not been known whether its submission has arrived.
    pub fn unclear_for(&self) -> Duration {
        self.unclear_since.lock().elapsed()
    }

    /// Replaces the record.
    pub fn replace(&self, record: BatchRecord) {
        *self.record.lock() = Arc::new(record);
    }
}

// === impl BatchIndex ===

impl BatchIndex {
    /// An index of these batches.
    pub fn of(records: Vec<BatchRecord>) -> Self {
        let entries = records.into_iter();
        BatchIndex(Mutex::new(
            entries
                .map(|it| (it.id.clone(), BatchEntry::new(it)))
                .collect(),
        ))
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// [`BatchError::Repeated`] when the tenant has one with its request id,
    /// [`BatchError::TooMany`] when it has the maximum number of batches.
    pub fn add(&self, entry: &Arc<BatchEntry>, max_per_tenant: usize) -> Result<(), BatchError> {
        let record = entry.record();
        let mut entries = self.0.lock();
        let mut count = 0;
        for other in entries.values() {
            let kept = other.record();
            if kept.tenant != record.tenant {
                continue;
            }
            if !record.request_id.is_empty() && kept.request_id == record.request_id {
                return Err(BatchError::Repeated(kept.id.clone()));
            }
            count += 1;
        }
        if count >= max_per_tenant {
            return Err(BatchError::TooMany(max_per_tenant));
        }
        entries.insert(record.id.clone(), Arc::clone(entry));
        Ok(())
    }

    /// Removes a batch.
    pub fn remove(&self, id: &str) {
        self.0.lock().remove(id);
    }

    /// A batch of a tenant: the id of another tenant's is unknown.
    ///
    /// # Errors
    /// [`BatchError::Unknown`].
    pub fn find(&self, tenant: &str, id: &str) -> Result<Arc<BatchEntry>, BatchError> {
        let found = self.0.lock().get(id).map(Arc::clone);
        let found = found.filter(|entry| entry.record().tenant == tenant);
        found.ok_or(BatchError::Unknown)
    }

    /// The records of all batches.
    pub fn all(&self) -> Vec<Arc<BatchRecord>> {
        let entries = self.0.lock();
        entries.values().map(|entry| entry.record()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, tenant: &str, request_id: &str) -> Arc<BatchEntry> {
        BatchEntry::new(BatchRecord {
            request_id: request_id.to_owned(),
            ..BatchRecord::new(id, tenant, 1, 0)
        })
    }

    #[test]
    fn a_request_id_stands_for_one_batch_of_its_tenant() {
        let index = BatchIndex::default();
        let add = |entry| index.add(&entry, 2);
        let is_of_a = |added| matches!(added, Err(BatchError::Repeated(id)) if id == "a");
        add(record("a", "t", "r")).unwrap();
        assert!(is_of_a(add(record("b", "t", "r"))));
        add(record("c", "u", "r")).unwrap();
        add(record("d", "t", "")).unwrap();
        assert!(matches!(
            add(record("e", "t", "")),
            Err(BatchError::TooMany(2))
        ));
        // An earlier batch is named even then.
        assert!(is_of_a(add(record("f", "t", "r"))));
    }

    #[test]
    fn the_batch_of_another_tenant_is_unknown() {
        let index = BatchIndex::of(vec![BatchRecord::new("a", "t", 1, 0)]);
        assert!(index.find("t", "a").is_ok());
        assert!(matches!(index.find("u", "a"), Err(BatchError::Unknown)));
    }
}
