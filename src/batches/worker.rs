//! What happens to batches while nobody calls: interrupted submissions are resumed,
//! unfinished batches are followed, ended ones are settled, and old ones are deleted.

use super::{
    Batches,
    error::BatchError,
    kept::BatchTurn,
    record::{BatchRecord, Phase},
};
use futures::{StreamExt, stream};
use std::{convert::Infallible, sync::Arc};
use tokio::time::sleep;

/// How many batches are looked after at the same time.
const PARALLEL: usize = 4;

impl Batches {
    /// Looks after all batches, again and again.
    pub async fn work(&self) -> Infallible {
        loop {
            match self.kept().all().await {
                Ok(records) => {
                    let records = stream::iter(records);
                    let all = records.for_each_concurrent(PARALLEL, |it| self.look_after(it));
                    all.await;
                }
                Err(error) => tracing::warn!(%error, "failed to read the batches"),
            }
            sleep(self.config().poll_interval).await;
        }
    }

    async fn look_after(&self, record: Arc<BatchRecord>) {
        if !self.needs_work(&record) {
            return;
        }
        let done = match self.kept().due_turn(&record).await {
            Ok(Some(turn)) => {
                let done = self.step(&turn).await;
                turn.end().await;
                done
            }
            // Another one that changes it does what is to be done, or has deleted it.
            Ok(None) | Err(BatchError::Unknown) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::warn!(batch = record.id, %error, "failed to look after a batch");
        }
    }

    /// Whether anything is to be done with a batch.
    fn needs_work(&self, record: &BatchRecord) -> bool {
        let is_settled = record.phase == Phase::Failed || record.charge.is_none();
        !record.is_final() || !is_settled || self.is_expired(record)
    }

    fn is_expired(&self, record: &BatchRecord) -> bool {
        self.now() >= record.created + self.config().retention.as_secs()
    }

    async fn step(&self, turn: &BatchTurn) -> Result<(), BatchError> {
        if self.is_expired(&turn.record()) {
            return self.expire(turn).await;
        }
        match turn.record().phase {
            Phase::Submitting => self.resume(turn).await?,
            Phase::InProgress if turn.record().is_cancel_wanted => self.cancel_now(turn).await?,
            Phase::InProgress | Phase::Canceling => self.refresh(turn).await?,
            Phase::Ended | Phase::Failed => {}
        }
        if turn.record().phase == Phase::Ended {
            self.settle(turn).await?;
        }
        Ok(())
    }

    /// Deletes a batch that is too old, however far it is. What cannot be settled any
    /// more stays used, and what cannot be deleted at the API is left to its lifetime
    /// there.
    async fn expire(&self, turn: &BatchTurn) -> Result<(), BatchError> {
        let record = turn.record();
        let was_sent = record.upstream_id.is_some() || record.sent.is_some();
        if !was_sent {
            self.forget_here(turn).await?;
            self.refund(record.charge.clone());
            return Ok(());
        }
        let deleted = match self.settle(turn).await {
            Ok(()) => self.forget(turn).await,
            Err(error) => Err(error),
        };
        if let Err(error) = deleted {
            tracing::warn!(batch = record.id, %error, "failed to delete a batch at the Claude API that is too old");
            self.forget_here(turn).await?;
        }
        Ok(())
    }
}
