//! What callers ask of batches.

use super::{
    BatchItems, BatchRecord, Batches, NewBatch, Phase, error::BatchError, kept::BatchTurn,
};
use crate::{
    access::limits::StoredCharge,
    call::Deadline,
    upstream::{BatchResults, CallOptions},
};
use std::sync::Arc;

impl Batches {
    /// Submits a batch, or returns the one that was submitted with its request id.
    /// Returns when the API has it, or when the submission was interrupted.
    ///
    /// # Errors
    /// When it is not submitted.
    pub async fn submit(&self, new: NewBatch) -> Result<Arc<BatchRecord>, BatchError> {
        let tenant = new.tenant.clone();
        loop {
            let record = new.record(self.now());
            match self
                .kept()
                .begin(record, self.config().max_per_tenant)
                .await
            {
                Ok(turn) => {
                    let submitted = self.submit_in(turn, new).await;
                    let Err(BatchError::Repeated(id)) = submitted else {
                        return submitted;
                    };
                    // Another replica was faster.
                    let earlier = self.submitted(&tenant, &id).await?;
                    return earlier.ok_or(BatchError::Interrupted);
                }
                Err(BatchError::Repeated(id)) => {
                    if let Some(earlier) = self.submitted(&tenant, &id).await? {
                        return Ok(earlier);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A batch that may be in the middle of its submission, when that is over; `None` if
    /// it has failed.
    async fn submitted(
        &self,
        tenant: &str,
        id: &str,
    ) -> Result<Option<Arc<BatchRecord>>, BatchError> {
        match self.kept().turn(tenant, id).await {
            Ok(turn) => {
                turn.end().await;
                Ok(Some(turn.record()))
            }
            Err(BatchError::Unknown) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn submit_in(
        &self,
        turn: BatchTurn,
        new: NewBatch,
    ) -> Result<Arc<BatchRecord>, BatchError> {
        let turn = Arc::new(turn);
        let (batches, its_turn) = (self.clone(), Arc::clone(&turn));
        let submission = async move {
            // Each holds its requests several times.
            let _place = batches.shared.places.acquire().await;
            batches.submit_new(&its_turn, new).await?;
            Ok(its_turn.record())
        };
        self.detached(turn, submission).await
    }

    /// Submits a batch that is new. If it fails, nothing of it is left.
    async fn submit_new(&self, turn: &BatchTurn, new: NewBatch) -> Result<(), BatchError> {
        let charge = match self.charge(&new).await {
            Ok(charge) => charge,
            Err(error) => {
                turn.delete().await?;
                return Err(error);
            }
        };
        let record = BatchRecord {
            charge: charge.clone(),
            ..(*turn.record()).clone()
        };
        let submitted = match turn.create(record, new.items, new.body).await {
            Ok(()) => self.send(turn).await,
            Err(error) => Err(error),
        };
        if submitted.is_err() {
            // First the batch: while it may be kept, it may be submitted and settled.
            turn.delete().await?;
            self.refund(charge);
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
        let record = self.kept().find(tenant, id).await?;
        if record.is_final() {
            return Ok(record);
        }
        // A submission is not waited for.
        let Some(turn) = self.kept().try_turn(tenant, id).await? else {
            return Ok(record);
        };
        let turn = Arc::new(turn);
        let (batches, its_turn) = (self.clone(), Arc::clone(&turn));
        let refresh = async move {
            if !its_turn.record().is_final() {
                batches.refresh(&its_turn).await?;
            }
            Ok(its_turn.record())
        };
        self.detached(turn, refresh).await
    }

    /// The batches of a tenant, newest first, as they were seen last.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn list(&self, tenant: &str) -> Result<Vec<Arc<BatchRecord>>, BatchError> {
        self.kept().of_tenant(tenant).await
    }

    /// Cancels a batch, or notes that it is to be canceled when it has been submitted.
    ///
    /// # Errors
    /// When the tenant has no such batch, or the API does not answer.
    pub async fn cancel(&self, tenant: &str, id: &str) -> Result<Arc<BatchRecord>, BatchError> {
        let turn = Arc::new(self.kept().turn(tenant, id).await?);
        let (batches, its_turn) = (self.clone(), Arc::clone(&turn));
        let cancel = async move {
            let record = its_turn.record();
            if record.phase == Phase::Submitting {
                let wanted = BatchRecord {
                    is_cancel_wanted: true,
                    ..(*record).clone()
                };
                its_turn.replace(wanted).await?;
            } else if !record.is_final() {
                batches.cancel_now(&its_turn).await?;
            }
            Ok(its_turn.record())
        };
        self.detached(turn, cancel).await
    }

    /// Deletes a batch that has ended.
    ///
    /// # Errors
    /// When the tenant has no such batch, it has not ended, or the API does not answer.
    pub async fn delete(&self, tenant: &str, id: &str) -> Result<(), BatchError> {
        let turn = Arc::new(self.kept().turn(tenant, id).await?);
        let (batches, its_turn) = (self.clone(), Arc::clone(&turn));
        let delete = async move {
            if !its_turn.record().is_final() {
                batches.refresh(&its_turn).await?;
            }
            if !its_turn.record().is_final() {
                return Err(BatchError::NotEnded);
            }
            batches.settle(&its_turn).await?;
            batches.forget(&its_turn).await
        };
        self.detached(turn, delete).await
    }

    /// Does work in the turn of a batch, to its end even if the caller hangs up: what is
    /// kept and what is known of it stay the same.
    async fn detached<T: Send + 'static>(
        &self,
        turn: Arc<BatchTurn>,
        work: impl Future<Output = Result<T, BatchError>> + Send + 'static,
    ) -> Result<T, BatchError> {
        let work = self.shared.tasks.spawn(async move {
            let done = work.await;
            turn.end().await;
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
        let items = self.kept().items(&record).await?;
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
