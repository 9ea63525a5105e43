//! What happens to batches while nobody calls: interrupted submissions are resumed,
//! unfinished batches are followed, ended ones are settled, and old ones are deleted.

use super::{Batches, entry::BatchEntry, error::BatchError, record::Phase};
use futures::{StreamExt, stream};
use std::{convert::Infallible, sync::Arc};
use tokio::time::sleep;

/// How many batches are looked after at the same time.
const PARALLEL: usize = 4;

impl Batches {
    /// Looks after all batches, again and again.
    pub async fn work(&self) -> Infallible {
        loop {
            let entries = stream::iter(self.index().all());
            let all = entries.for_each_concurrent(PARALLEL, |entry| self.look_after(entry));
            all.await;
            sleep(self.config().poll_interval).await;
        }
    }

    async fn look_after(&self, entry: Arc<BatchEntry>) {
        // Another one that changes it does what is to be done.
        let Ok(_turn) = entry.turn.try_lock() else {
            return;
        };
        let record = entry.record();
        if let Err(error) = self.step(&entry).await {
            tracing::warn!(batch = record.id, %error, "failed to look after a batch");
        }
    }

    async fn step(&self, entry: &BatchEntry) -> Result<(), BatchError> {
        let created = entry.record().created;
        if self.now() >= created + self.config().retention.as_secs() {
            return self.expire(entry).await;
        }
        match entry.record().phase {
            Phase::Submitting => self.resume(entry).await?,
            Phase::InProgress if entry.record().is_cancel_wanted => self.cancel_now(entry).await?,
            Phase::InProgress | Phase::Canceling => self.refresh(entry).await?,
            Phase::Ended | Phase::Failed => {}
        }
        if entry.record().phase == Phase::Ended {
            self.settle(entry).await?;
        }
        Ok(())
    }

    /// Deletes a batch that is too old, however far it is. What cannot be settled any
    /// more stays used, and what cannot be deleted at the API is left to its lifetime
    /// there.
    async fn expire(&self, entry: &BatchEntry) -> Result<(), BatchError> {
        let record = entry.record();
        let was_sent = record.upstream_id.is_some() || record.sent.is_some();
        if !was_sent {
            self.forget_here(entry).await?;
            self.refund(record.charge.clone());
            return Ok(());
        }
        let deleted = match self.settle(entry).await {
            Ok(()) => self.forget(entry).await,
            Err(error) => Err(error),
        };
        if let Err(error) = deleted {
            tracing::warn!(batch = record.id, %error, "failed to delete a batch at the Claude API that is too old");
            self.forget_here(entry).await?;
        }
        Ok(())
    }
}
