//! What callers ask of batches.

use super::{
    BatchItems, BatchRecord, Batches, NewBatch, Phase, entry::BatchEntry, error::BatchError,
};
use crate::{
    access::limits::StoredCharge,
    call::Deadline,
    upstream::{BatchResults, CallOptions},
};
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

impl Batches {
    /// Submits a batch, or returns the one that was submitted with its request id.
    /// Returns when the API has it, or when the submission was interrupted.
    ///
    /// # Errors
    /// When it is not submitted.
    pub async fn submit(&self, new: NewBatch) -> Result<Arc<BatchRecord>, BatchError> {
        loop {
            let entry = BatchEntry::new(new.record(self.now()));
            let turn = Arc::clone(&entry.turn).lock_owned().await;
            let Some(earlier) = self
                .shared
                .index
                .add(&entry, self.shared.config.max_per_tenant)?
            else {
                let batches = self.clone();
                let submission = async move {
                    // Each holds its requests several times.
                    let _place = batches.shared.places.acquire().await;
                    let submitted = batches.submit_new(&entry, new).await;
                    submitted.map(|()| entry.record())
                };
                return self.detached(turn, submission).await;
            };
            // It may be in the middle of its submission, which may fail.
            drop(earlier.turn.lock().await);
            if let Ok(earlier) = self.shared.index.find(&new.tenant, &earlier.record().id) {
                return Ok(earlier.record());
            }
        }
    }

    /// Submits a batch that is new. If it fails, nothing of it is left.
    async fn submit_new(&self, entry: &BatchEntry, new: NewBatch) -> Result<(), BatchError> {
        let charge = match self.charge(&new).await {
            Ok(charge) => charge,
            Err(error) => {
                self.shared.index.remove(&entry.record().id);
                return Err(error);
            }
        };
        let record = BatchRecord {
            charge: charge.clone(),
            ..(*entry.record()).clone()
        };
        let id = record.id.clone();
        let written = self.shared.file.add(&record, new.items, new.body).await;
        entry.replace(record);
        let submitted = match written {
            Ok(()) => self.send(entry).await,
            Err(error) => Err(error.into()),
        };
        if submitted.is_err() {
            // First in memory: a caller must not be told of a batch that is not on disk.
            self.shared.index.remove(&id);
            self.refund(charge);
            self.shared.file.delete(&id).await?;
        }
        submitted
    }

    async fn charge(&self, new: &NewBatch) -> Result<Option<StoredCharge>, BatchError> {
        let (Some(usage_store), Some(caller)) = (&self.shared.usage_store, &new.caller) else {
            return Ok(None);
        };
        let charge = usage_store.charge_batch(caller, new.estimates()).await;
        charge.map(Some).map_err(BatchError::AccessDenied)
    }

    /// A batch as it is at the API.
    ///
    /// # Errors
    /// When the tenant has no such batch, or the API does not answer.
    pub async fn get(&self, tenant: &str, id: &str) -> Result<Arc<BatchRecord>, BatchError> {
        let entry = self.shared.index.find(tenant, id)?;
        // A submission is not waited for.
        if let Ok(turn) = Arc::clone(&entry.turn).try_lock_owned()
            && !entry.record().is_final()
        {
            let (batches, entry) = (self.clone(), Arc::clone(&entry));
            let refresh = async move { batches.refresh(&entry).await };
            self.detached(turn, refresh).await?;
        }
        Ok(entry.record())
    }

    /// The batches of a tenant, newest first, as they were seen last.
    pub fn list(&self, tenant: &str) -> Vec<Arc<BatchRecord>> {
        self.shared.index.of_tenant(tenant)
    }

    /// Cancels a batch, or notes that it is to be canceled when it has been submitted.
    ///
    /// # Errors
    /// When the tenant has no such batch, or the API does not answer.
    pub async fn cancel(&self, tenant: &str, id: &str) -> Result<Arc<BatchRecord>, BatchError> {
        let (entry, turn) = self.turn_of(tenant, id).await?;
        let batches = self.clone();
        let cancel = async move {
            let record = entry.record();
            if record.phase == Phase::Submitting {
                let wanted = BatchRecord {
                    is_cancel_wanted: true,
                    ..(*record).clone()
                };
                batches.store(&entry, wanted).await?;
            } else if !record.is_final() {
                batches.cancel_now(&entry).await?;
            }
            Ok(entry.record())
        };
        self.detached(turn, cancel).await
    }

    /// Deletes a batch that has ended.
    ///
    /// # Errors
    /// When the tenant has no such batch, it has not ended, or the API does not answer.
    pub async fn delete(&self, tenant: &str, id: &str) -> Result<(), BatchError> {
        let (entry, turn) = self.turn_of(tenant, id).await?;
        let batches = self.clone();
        let delete = async move {
            if !entry.record().is_final() {
                batches.refresh(&entry).await?;
            }
            if !entry.record().is_final() {
                return Err(BatchError::NotEnded);
            }
            batches.settle(&entry).await?;
            batches.forget(&entry).await
        };
        self.detached(turn, delete).await
    }

    /// A batch of a tenant, and its turn, for which a submission may be waited.
    async fn turn_of(
        &self,
        tenant: &str,
        id: &str,
    ) -> Result<(Arc<BatchEntry>, OwnedMutexGuard<()>), BatchError> {
        let entry = self.shared.index.find(tenant, id)?;
        let turn = Arc::clone(&entry.turn).lock_owned().await;
        // Its submission may have failed in the meantime.
        Ok((self.shared.index.find(tenant, id)?, turn))
    }

    /// Does work in the turn of a batch, to its end even if the caller hangs up: what is
    /// on disk and what is in memory stay the same.
    async fn detached<T: Send + 'static>(
        &self,
        turn: OwnedMutexGuard<()>,
        work: impl Future<Output = Result<T, BatchError>> + Send + 'static,
    ) -> Result<T, BatchError> {
        let work = self.shared.tasks.spawn(async move {
            let done = work.await;
            drop(turn);
            done
        });
        // It panicked, or the process ends.
        work.await.unwrap_or(Err(BatchError::Interrupted))
    }

    /// The results of a batch that has ended, with its items. A batch that was not
    /// accepted has none.
    ///
    /// # Errors
    /// When the tenant has no such batch, it has not ended, or the API does not answer.
    pub async fn results(
        &self,
        tenant: &str,
        id: &str,
        deadline: Option<Deadline>,
    ) -> Result<(Arc<BatchRecord>, BatchItems, BatchResults), BatchError> {
        let record = self.get(tenant, id).await?;
        let (Phase::Ended, Some(upstream_id)) = (record.phase, &record.upstream_id) else {
            return Err(BatchError::NotEnded);
        };
        let items = self.shared.file.items(&record.id).await?;
        let options = self.options(&record);
        let options = CallOptions {
            deadline: deadline.unwrap_or(options.deadline),
            ..options
        };
        let results = self
            .shared
            .client
            .batch_results(upstream_id, options)
            .await?;
        Ok((record, items, results.value))
    }
}
