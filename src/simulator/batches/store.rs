//! The batches that are kept.

use super::{
    batch::{Batch, BatchRefusal, EndedBatch},
    config::SimulatorBatchesConfig,
};
use parking_lot::Mutex;
use std::{collections::VecDeque, time::SystemTime};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The batches of all keys. Its drop stops their processing.
#[derive(Debug)]
pub(in crate::simulator) struct BatchStore {
    pub(super) config: SimulatorBatchesConfig,
    /// Those that exist from the start, for all keys, and cannot be deleted.
    pub(super) fixed: Vec<Batch>,
    /// Oldest first.
    kept: Mutex<VecDeque<Batch>>,
    stop: CancellationToken,
    _stops_when_dropped: DropGuard,
}

impl BatchStore {
    pub(in crate::simulator) fn new(config: SimulatorBatchesConfig) -> Self {
        let stop = CancellationToken::new();
        BatchStore {
            config,
            fixed: Vec::new(),
            kept: Mutex::default(),
            _stops_when_dropped: stop.clone().drop_guard(),
            stop,
        }
    }

    /// A batch that is in progress and not kept yet.
    pub(super) fn new_batch(&self, id: String, key: &str, requests: usize, bytes: usize) -> Batch {
        Batch {
            id,
            key: key.to_owned(),
            created_at: SystemTime::now(),
            expires_after: self.config.expires_after,
            cancel_initiated_at: None,
            requests,
            bytes,
            stop: self.stop.child_token(),
            ended: None,
        }
    }

    /// Keeps a new batch. The oldest ones that have ended make room for it.
    ///
    /// # Errors
    /// When there is not enough room.
    pub(super) fn keep(&self, batch: Batch) -> Result<(), BatchRefusal> {
        let mut kept = self.kept.lock();
        let config = &self.config;
        let fits = make_room(&mut kept, config.max_batches.checked_sub(1), |bytes| {
            bytes + batch.bytes <= config.max_bytes
        });
        if !fits {
            return Err(BatchRefusal::NoRoom);
        }
        kept.push_back(batch);
        Ok(())
    }

    /// The batches of a key, newest first.
    pub(super) fn list(&self, key: &str) -> Vec<Batch> {
        let kept = self.kept.lock();
        let own = kept.iter().rev().filter(|batch| batch.key == key);
        own.chain(self.fixed.iter().rev()).cloned().collect()
    }

    /// A batch of a key.
    ///
    /// # Errors
    /// When the key has no batch of this id.
    pub(super) fn find(&self, key: &str, id: &str) -> Result<Batch, BatchRefusal> {
        if let Some(batch) = self.fixed(id) {
            return Ok(batch.clone());
        }
        let kept = self.kept.lock();
        let position = position(&kept, key, id)?;
        Ok(kept[position].clone())
    }

    /// Stops the processing of a batch: what is left of it is canceled. One that has
    /// ended stays as it is.
    ///
    /// # Errors
    /// When the key has no batch of this id.
    pub(super) fn cancel(&self, key: &str, id: &str) -> Result<Batch, BatchRefusal> {
        if let Some(batch) = self.fixed(id) {
            return Ok(batch.clone());
        }
        let mut kept = self.kept.lock();
        let position = position(&kept, key, id)?;
        let batch = &mut kept[position];
        if batch.ended.is_none() {
            batch
                .cancel_initiated_at
                .get_or_insert_with(SystemTime::now);
            batch.stop.cancel();
        }
        Ok(batch.clone())
    }

    /// Forgets a batch.
    ///
    /// # Errors
    /// When the key has no batch of this id, and until it has ended.
    pub(super) fn delete(&self, key: &str, id: &str) -> Result<(), BatchRefusal> {
        if self.fixed(id).is_some() {
            return Ok(());
        }
        let mut kept = self.kept.lock();
        let position = position(&kept, key, id)?;
        if kept[position].ended.is_none() {
            return Err(BatchRefusal::InProgress);
        }
        kept.remove(position);
        Ok(())
    }

    fn fixed(&self, id: &str) -> Option<&Batch> {
        self.fixed.iter().find(|batch| batch.id == id)
    }

    /// Ends a batch. Older ones that have ended make room for its results.
    pub(super) fn end(&self, id: &str, ended: EndedBatch) {
        let mut kept = self.kept.lock();
        let Some(position) = kept.iter().position(|batch| batch.id == id) else {
            return;
        };
        kept[position].bytes = ended.results.iter().map(|line| line.len()).sum();
        make_room(&mut kept, None, |bytes| bytes <= self.config.max_bytes);
        if let Some(batch) = kept.iter_mut().find(|batch| batch.id == id) {
            batch.ended = Some(ended);
        }
    }
}

fn position(kept: &VecDeque<Batch>, key: &str, id: &str) -> Result<usize, BatchRefusal> {
    let mut batches = kept.iter();
    let found = batches.position(|batch| batch.id == id && batch.key == key);
    found.ok_or(BatchRefusal::Unknown)
}

/// Forgets the oldest batches that have ended until at most `most` are left, and their
/// bytes fit. Returns whether that was enough.
fn make_room(
    kept: &mut VecDeque<Batch>,
    most: Option<usize>,
    fits: impl Fn(usize) -> bool,
) -> bool {
    loop {
        let bytes = kept.iter().map(|batch| batch.bytes).sum();
        if most.is_none_or(|most| kept.len() <= most) && fits(bytes) {
            return true;
        }
        match kept.iter().position(|batch| batch.ended.is_some()) {
            Some(oldest) => drop(kept.remove(oldest)),
            None => return false,
        }
    }
}
