//! Submits a batch to the API: once, whatever interrupts it.
//!
//! The batch is kept before it is sent, with the time and the key. A submission
//! that ends without an answer may have reached the API, so it is looked for before
//! it is sent again: among the batches that the key lists from that time, or all keys
//! if it has been replaced, one with as many requests is ours if its first result has
//! an id of ours. Results come when a batch has ended: until then it is not known, and
//! nothing is sent.

use super::{
    Batches, LONGEST_CALL,
    error::BatchError,
    kept::BatchTurn,
    record::{BatchRecord, Phase},
};
use crate::{
    claude::batches::{BatchStatus, MessageBatch},
    upstream::{ApiFailure, Failed, Fingerprint, UpstreamError},
};
use futures::StreamExt;
use jiff::Timestamp;
use std::time::Duration;

/// How much the clocks of the service and of the API may differ.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// What the API knows of an interrupted submission.
enum Search {
    /// It has this batch, in the workspace of this key.
    Found(MessageBatch, Fingerprint),
    /// It has batches that may be this one, which is known when they end.
    Undecided,
    /// It has no such batch.
    NotFound,
}

impl Batches {
    /// Submits a batch that was never sent, or that is known not to have arrived. The
    /// caller has its turn.
    ///
    /// # Errors
    /// When the API has not accepted it for certain: it may be sent again.
    pub(super) async fn send(&self, turn: &BatchTurn) -> Result<(), BatchError> {
        let before = turn.record();
        let body = turn.body().await?;
        let sent = BatchRecord {
            key: Some(self.key_for(&before)?),
            sent: Some(self.now()),
            ..(*before).clone()
        };
        turn.replace(sent.clone()).await?;
        let created = tokio::select! {
            biased;
            // Another replica may look for the batch from now on.
            () = turn.lost() => None,
            created = self.client().create_batch(body, self.options(&sent)) => Some(created),
        };
        match created {
            // It is looked for if this cannot be kept.
            Some(Ok(created)) => {
                if let Err(error) = self.adopt(turn, &created.value).await {
                    tracing::error!(batch = before.id, %error, "failed to keep that a batch was submitted");
                }
                Ok(())
            }
            Some(Err(failed)) if failed.attempts == 0 || failed.error.was_not_processed() => {
                let unsent = BatchRecord { sent: None, ..sent };
                turn.replace(unsent).await?;
                Err(failed.into())
            }
            // It may have arrived.
            Some(Err(Failed { error, .. })) => {
                tracing::warn!(batch = before.id, %error, "the submission of a batch was interrupted, looking for it at the Claude API");
                Ok(())
            }
            None => {
                tracing::warn!(
                    batch = before.id,
                    "the turn of a batch was lost while it was submitted, looking for it at the Claude API"
                );
                Ok(())
            }
        }
    }

    /// Continues a submission that was interrupted, or failed for now. The caller has
    /// its turn.
    pub(super) async fn resume(&self, turn: &BatchTurn) -> Result<(), BatchError> {
        let record = turn.record();
        let Some(sent) = record.sent else {
            if record.is_cancel_wanted {
                return self.cancel_unsent(turn).await;
            }
            return match self.send(turn).await {
                Err(BatchError::Upstream(failed)) => self.failed(turn, failed).await,
                done => done,
            };
        };
        // From the end of the submission, which may have taken long.
        if turn.unclear_for() < self.config().search_after {
            return Ok(());
        }
        match self.search(&record, sent).await? {
            Search::Found(batch, key) => {
                let found = BatchRecord {
                    key: Some(key),
                    ..(*record).clone()
                };
                turn.replace(found).await?;
                self.adopt(turn, &batch).await
            }
            Search::Undecided => Ok(()),
            Search::NotFound => {
                let unsent = BatchRecord {
                    sent: None,
                    ..(*record).clone()
                };
                turn.replace(unsent).await?;
                Box::pin(self.resume(turn)).await
            }
        }
    }

    /// The batch is known at the API.
    async fn adopt(&self, turn: &BatchTurn, batch: &MessageBatch) -> Result<(), BatchError> {
        let record = BatchRecord {
            upstream_id: Some(batch.id.clone()),
            ..(*turn.record()).clone()
        };
        self.observed(turn, record, batch).await
    }

    /// A submission that nobody waits for has failed: it is tried again, unless the API
    /// would reject it again.
    async fn failed(&self, turn: &BatchTurn, failed: Failed) -> Result<(), BatchError> {
        let failure = match &failed.error {
            UpstreamError::Api(failure) if failure.is_of_request() => failure.clone(),
            // What its requests name has ended meanwhile.
            UpstreamError::NotOwned { .. } | UpstreamError::Unsearchable => Box::new(ApiFailure {
                status: 404,
                kind: "not_found_error".to_owned(),
                message: failed.error.to_string(),
                ..ApiFailure::default()
            }),
            _ => return Err(failed.into()),
        };
        let mut record = BatchRecord {
            phase: Phase::Failed,
            ended: Some(self.now()),
            failure: Some(*failure),
            ..(*turn.record()).clone()
        };
        let charge = record.charge.take();
        turn.replace(record).await?;
        self.refund(charge);
        Ok(())
    }

    /// Cancels a batch that the API does not have.
    async fn cancel_unsent(&self, turn: &BatchTurn) -> Result<(), BatchError> {
        let mut record = BatchRecord {
            phase: Phase::Failed,
            ended: Some(self.now()),
            ..(*turn.record()).clone()
        };
        record.counts.canceled = std::mem::take(&mut record.counts.processing);
        let charge = record.charge.take();
        turn.replace(record).await?;
        self.refund(charge);
        Ok(())
    }

    /// Looks for a batch that was sent at this time: with its key, or with all keys if
    /// it is none of them any more.
    async fn search(&self, record: &BatchRecord, sent: u64) -> Result<Search, BatchError> {
        let mut keys = self.keys();
        if let Some(key) = record.key.filter(|key| keys.contains(key)) {
            keys = vec![key];
        }
        let mut found = Search::NotFound;
        for key in keys {
            match self.search_with(record, sent, key).await? {
                Search::Found(batch, key) => return Ok(Search::Found(batch, key)),
                Search::Undecided => found = Search::Undecided,
                Search::NotFound => {}
            }
        }
        Ok(found)
    }

    async fn search_with(
        &self,
        record: &BatchRecord,
        sent: u64,
        key: Fingerprint,
    ) -> Result<Search, BatchError> {
        let record = &BatchRecord {
            key: Some(key),
            ..record.clone()
        };
        let since = sent.saturating_sub(SKEW.as_secs());
        let until = sent + (LONGEST_CALL + SKEW).as_secs();
        let known = self.upstream_ids().await?;
        let mut found = Search::NotFound;
        let mut after = None;
        loop {
            let options = self.options(record);
            let page = self.client().list_batches(after, options).await?.value;
            for batch in page.data {
                if is_before(&batch.created_at, since) {
                    return Ok(found);
                }
                let is_later = is_after(&batch.created_at, until);
                let is_other = batch.counts.total() != record.items as u64;
                if is_later || is_other || known.contains(&batch.id) {
                    continue;
                }
                if batch.status != BatchStatus::Ended {
                    found = Search::Undecided;
                } else if self.is_ours(record, &batch).await? {
                    return Ok(Search::Found(batch, key));
                }
            }
            match page.next_after {
                Some(last) => after = Some(last),
                None => return Ok(found),
            }
        }
    }

    /// Whether a batch that has ended is this one: the ids of its requests say so.
    async fn is_ours(
        &self,
        record: &BatchRecord,
        batch: &MessageBatch,
    ) -> Result<bool, BatchError> {
        let results = self
            .client()
            .batch_results(&batch.id, self.options(record))
            .await?;
        let mut results = results.value;
        Ok(match results.next().await {
            Some(Ok(first)) => record.number_of(&first.custom_id).is_some(),
            Some(Err(error)) => return Err(Failed { error, attempts: 1 }.into()),
            None => false,
        })
    }
}

/// Whether an RFC 3339 time is before this one; not if it is not valid.
fn is_before(time: &str, moment: u64) -> bool {
    seconds(time).is_some_and(|time| time < moment)
}

/// Whether an RFC 3339 time is after this one; not if it is not valid.
fn is_after(time: &str, moment: u64) -> bool {
    seconds(time).is_some_and(|time| time > moment)
}

fn seconds(time: &str) -> Option<u64> {
    let time: Timestamp = time.parse().ok()?;
    u64::try_from(time.as_second()).ok()
}
