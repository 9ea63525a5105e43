//! Follows a batch that the API has: asks for its state, and settles it when it ends.

use super::{
    Batches,
    error::BatchError,
    kept::BatchTurn,
    record::{BatchRecord, Phase},
};
use crate::{
    access::limits::StoredCharge,
    claude::batches::{BatchOutcome, BatchStatus, MessageBatch},
    models::Tokens,
    upstream::{Failed, UpstreamError},
};
use futures::StreamExt;

impl Batches {
    /// Asks the API for the state of a batch. The caller has its turn.
    pub(super) async fn refresh(&self, turn: &BatchTurn) -> Result<(), BatchError> {
        let record = turn.record();
        let Some(id) = &record.upstream_id else {
            return Ok(());
        };
        match self.client().get_batch(id, self.options(&record)).await {
            Ok(batch) => self.observed(turn, (*record).clone(), &batch.value).await,
            Err(failed) => self.gone(turn, failed).await,
        }
    }

    /// Cancels a batch that the API has. The caller has its turn.
    pub(super) async fn cancel_now(&self, turn: &BatchTurn) -> Result<(), BatchError> {
        let record = turn.record();
        let Some(id) = &record.upstream_id else {
            return Ok(());
        };
        let batch = self
            .client()
            .cancel_batch(id, self.options(&record))
            .await?;
        let record = BatchRecord {
            is_cancel_wanted: false,
            ..(*record).clone()
        };
        self.observed(turn, record, &batch.value).await
    }

    /// Keeps what the API says of a batch.
    pub(super) async fn observed(
        &self,
        turn: &BatchTurn,
        record: BatchRecord,
        batch: &MessageBatch,
    ) -> Result<(), BatchError> {
        let phase = match batch.status {
            BatchStatus::InProgress => Phase::InProgress,
            BatchStatus::Canceling => Phase::Canceling,
            BatchStatus::Ended => Phase::Ended,
        };
        let ended = record
            .ended
            .or_else(|| (phase == Phase::Ended).then(|| self.now()));
        let next = BatchRecord {
            phase,
            counts: batch.counts,
            ended,
            ..record
        };
        if *turn.record() == next {
            return Ok(());
        }
        turn.replace(next).await
    }

    /// Settles what was reserved for a batch that has ended, by what its results have
    /// used. The caller has its turn.
    pub(super) async fn settle(&self, turn: &BatchTurn) -> Result<(), BatchError> {
        let record = turn.record();
        let (Some(charge), Some(id)) = (&record.charge, &record.upstream_id) else {
            return Ok(());
        };
        let items = self.kept().items(&record).await?.items;
        let results = self.client().batch_results(id, self.options(&record));
        let mut results = match results.await {
            Ok(results) => results.value,
            Err(failed) => return self.gone(turn, failed).await,
        };
        let mut used: Vec<(&str, Tokens)> = Vec::with_capacity(items.len());
        let mut missing = vec![true; items.len()];
        while let Some(result) = results.next().await {
            let result = result.map_err(|error| Failed { error, attempts: 1 })?;
            let number = record.number_of(&result.custom_id);
            // Each by itself: prices depend on the size of a call.
            if let Some(number) = number.filter(|number| std::mem::take(&mut missing[*number]))
                && let BatchOutcome::Succeeded(message) = &result.outcome
            {
                used.push((&items[number].model, Tokens::of(&message.usage)));
            }
        }
        if missing.contains(&true) {
            let error = UpstreamError::Broken;
            return Err(Failed { error, attempts: 1 }.into());
        }
        // First what is kept: after a crash in between, too much stays reserved, and not
        // too little.
        let settled = BatchRecord {
            charge: None,
            ..(*record).clone()
        };
        turn.replace(settled).await?;
        if let Some(usage_store) = self.usage_store() {
            usage_store.settle_batch(charge, used.into_iter());
        }
        Ok(())
    }

    /// A call about a batch has failed: gives the batch up if somebody has deleted it at
    /// the API. What was reserved for it stays used: nobody knows what it has cost.
    async fn gone(&self, turn: &BatchTurn, failed: Failed) -> Result<(), BatchError> {
        match failed.error {
            UpstreamError::Api(failure) if failure.is_not_found() && self.has_key(turn) => {
                let record = turn.record();
                let next = BatchRecord {
                    phase: Phase::Failed,
                    ended: record.ended.or_else(|| Some(self.now())),
                    charge: None,
                    failure: Some(*failure),
                    ..(*record).clone()
                };
                turn.replace(next).await
            }
            _ => Err(failed.into()),
        }
    }

    /// Whether the key of a batch is configured: without it, nobody knows whether the
    /// API has the batch.
    fn has_key(&self, turn: &BatchTurn) -> bool {
        let key = turn.record().key;
        key.is_some_and(|key| self.keys().contains(&key))
    }

    /// Returns all that was reserved for a batch that costs nothing.
    pub(super) fn refund(&self, charge: Option<StoredCharge>) {
        if let (Some(usage_store), Some(charge)) = (self.usage_store(), charge) {
            usage_store.settle_batch(&charge, std::iter::empty());
        }
    }

    /// Deletes a batch, here and at the API. The caller has its turn.
    pub(super) async fn forget(&self, turn: &BatchTurn) -> Result<(), BatchError> {
        let record = turn.record();
        if let Some(id) = &record.upstream_id {
            match self.client().delete_batch(id, self.options(&record)).await {
                Ok(_) => {}
                // It is gone already.
                Err(failed) if failed.is_not_found() => {}
                Err(failed) => return Err(failed.into()),
            }
        }
        self.forget_here(turn).await
    }

    /// Deletes what is kept of a batch.
    pub(super) async fn forget_here(&self, turn: &BatchTurn) -> Result<(), BatchError> {
        turn.delete().await
    }
}
