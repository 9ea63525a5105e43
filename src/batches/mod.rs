//! Batches: work that outlives the call that asked for it.
//!
//! A batch is written to the state file before it is sent to the API, so that nothing
//! is lost, and nothing sent twice, whenever the process ends. The submission belongs
//! to a task of its own: a caller that hangs up does not interrupt it.

mod config;
mod entry;
mod error;
mod progress;
mod record;
mod state_file;
mod submission;
mod worker;

pub use config::BatchesConfig;
pub use error::BatchError;
pub use record::{BatchItem, BatchItems, BatchRecord, ItemKind, ItemLabels, Phase};
pub use state_file::StateFileError;

use crate::{
    access::{
        Clock, Identity,
        limits::{StoredCharge, UsageStore},
    },
    call::{Deadline, Priority},
    models::Tokens,
    secrets::{Keyring, SecretError},
    upstream::{
        ApiHeaders, BatchResults, CallOptions, Client, Failed, Fingerprint, KeyAffinity, Keys,
        Upstream, UpstreamError,
    },
};
use bytes::Bytes;
use entry::{BatchEntry, BatchIndex};
use state_file::StateFile;
use std::{cmp::Reverse, collections::HashSet, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio_util::task::TaskTracker;

/// How many batches are submitted at the same time: each holds its requests several
/// times.
const PARALLEL_SUBMISSIONS: usize = 4;

/// How long a call to the API may take that no caller waits for.
const LONGEST_CALL: Duration = Duration::from_secs(600);

/// Batches cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The key file cannot be read.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// The state file cannot be read or written.
    #[error(transparent)]
    State(#[from] StateFileError),
}

/// The batches of this process. Cloning is cheap.
#[derive(Clone)]
pub struct Batches(Arc<Inner>);

struct Inner {
    config: BatchesConfig,
    client: Client,
    keys: Keys,
    usage_store: Option<UsageStore>,
    file: StateFile,
    index: BatchIndex,
    clock: Clock,
    /// The work in flight that callers do not interrupt.
    tasks: TaskTracker,
    /// Places of submissions in flight.
    places: Semaphore,
}

/// A batch to be submitted.
pub struct NewBatch {
    /// The tenant that it belongs to.
    pub tenant: String,
    /// Who submits it; `None` without access control.
    pub caller: Option<Arc<Identity>>,
    /// The caller's id of the submission; empty if there is none.
    pub request_id: String,
    /// The headers that it is created with.
    pub headers: Option<ApiHeaders>,
    /// Its items: the id at the caller and what is kept of it.
    pub items: BatchItems,
    /// The estimated usage of each item.
    pub estimates: Vec<ItemEstimate>,
    /// The body that submits it.
    pub body: Bytes,
}

/// The estimated usage of an item.
#[derive(Debug, Clone, Copy)]
pub struct ItemEstimate {
    /// Input tokens.
    pub input_tokens: u32,
    /// Maximum number of output tokens.
    pub max_tokens: u32,
}

impl Batches {
    /// The batches of the configured state file; `None` when there is none.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn open(
        config: &BatchesConfig,
        upstream: &Upstream,
        usage_store: Option<UsageStore>,
    ) -> Result<Option<Batches>, OpenError> {
        let (Some(path), Some(key_file)) = (&config.state_file, &config.key_file) else {
            return Ok(None);
        };
        let (file, records) = StateFile::open(path, Keyring::read(key_file)?)?;
        Ok(Some(Batches(Arc::new(Inner {
            config: config.clone(),
            client: upstream.client.clone(),
            keys: upstream.keys.clone(),
            usage_store,
            file,
            index: BatchIndex::of(records),
            clock: Clock::default(),
            tasks: TaskTracker::new(),
            places: Semaphore::new(PARALLEL_SUBMISSIONS),
        }))))
    }

    /// Submits a batch, or returns the one that was submitted with its request id.
    /// Returns when the API has it, or when the submission was interrupted.
    ///
    /// # Errors
    /// When it is not submitted.
    pub async fn submit(&self, new: NewBatch) -> Result<Arc<BatchRecord>, BatchError> {
        loop {
            let id = new.items.batch.clone();
            let entry = BatchEntry::new(BatchRecord {
                id: id.clone(),
                tenant: new.tenant.clone(),
                request_id: new.request_id.clone(),
                phase: Phase::Submitting,
                counts: crate::claude::batches::BatchCounts {
                    processing: new.items.items.len() as u64,
                    ..Default::default()
                },
                items: new.items.items.len(),
                created: self.now(),
                ended: None,
                headers: new.headers.clone(),
                key: None,
                sent: None,
                upstream_id: None,
                is_cancel_wanted: false,
                charge: None,
                failure: None,
            });
            let turn = Arc::clone(&entry.turn).lock_owned().await;
            let Some(earlier) = self.0.index.add(&entry, self.0.config.max_per_tenant)? else {
                let batches = self.clone();
                let submission = async move {
                    // Each holds its requests several times.
                    let _place = batches.0.places.acquire().await;
                    let submitted = batches.submit_new(&entry, new).await;
                    submitted.map(|()| entry.record())
                };
                return self.detached(turn, submission).await;
            };
            // It may be in the middle of its submission, which may fail.
            drop(earlier.turn.lock().await);
            if let Ok(earlier) = self.0.index.find(&new.tenant, &earlier.record().id) {
                return Ok(earlier.record());
            }
        }
    }

    /// Submits a batch that is new. If it fails, nothing of it is left.
    async fn submit_new(&self, entry: &BatchEntry, new: NewBatch) -> Result<(), BatchError> {
        let charge = match self.charge(&new).await {
            Ok(charge) => charge,
            Err(error) => {
                self.0.index.remove(&entry.record().id);
                return Err(error);
            }
        };
        let record = BatchRecord {
            charge: charge.clone(),
            ..(*entry.record()).clone()
        };
        let id = record.id.clone();
        let written = self.0.file.add(&record, new.items, new.body).await;
        entry.replace(record);
        let submitted = match written {
            Ok(()) => self.send(entry).await,
            Err(error) => Err(error.into()),
        };
        if submitted.is_err() {
            // First in memory: nobody is told of a batch that may not be on disk.
            self.0.index.remove(&id);
            self.refund(charge);
            self.0.file.delete(&id).await?;
        }
        submitted
    }

    async fn charge(&self, new: &NewBatch) -> Result<Option<StoredCharge>, BatchError> {
        let (Some(usage_store), Some(caller)) = (&self.0.usage_store, &new.caller) else {
            return Ok(None);
        };
        let models = new.items.items.iter().map(|item| item.model.as_str());
        let estimates = new.estimates.iter().map(|item| Tokens {
            input: u64::from(item.input_tokens),
            output: u64::from(item.max_tokens),
            ..Tokens::default()
        });
        let estimates = models.zip(estimates);
        let charge = usage_store.charge_batch(caller, estimates).await;
        charge.map(Some).map_err(BatchError::AccessDenied)
    }

    /// A batch as it is at the API.
    ///
    /// # Errors
    /// When the tenant has no such batch, or the API does not answer.
    pub async fn get(&self, tenant: &str, id: &str) -> Result<Arc<BatchRecord>, BatchError> {
        let entry = self.0.index.find(tenant, id)?;
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
        self.0.index.of_tenant(tenant)
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
            if record.phase == Phase::Submitting && record.sent.is_none() {
                batches.cancel_unsent(&entry).await?;
            } else if record.phase == Phase::Submitting {
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
        let entry = self.0.index.find(tenant, id)?;
        let turn = Arc::clone(&entry.turn).lock_owned().await;
        // Its submission may have failed in the meantime.
        Ok((self.0.index.find(tenant, id)?, turn))
    }

    /// Does work in the turn of a batch, to its end even if the caller hangs up: what is
    /// on disk and what is in memory stay the same.
    async fn detached<T: Send + 'static>(
        &self,
        turn: OwnedMutexGuard<()>,
        work: impl Future<Output = Result<T, BatchError>> + Send + 'static,
    ) -> Result<T, BatchError> {
        let work = self.0.tasks.spawn(async move {
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
        let items = self.0.file.items(&record.id).await?;
        let options = self.options(&record);
        let options = CallOptions {
            deadline: deadline.unwrap_or(options.deadline),
            ..options
        };
        let results = self.0.client.batch_results(upstream_id, options).await?;
        Ok((record, items, results.value))
    }

    /// How long a batch is kept after its submission.
    pub fn retention(&self) -> Duration {
        self.0.config.retention
    }

    /// Waits for the work in flight.
    pub async fn shut_down(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Keeps a record, on disk and in memory.
    async fn store(&self, entry: &BatchEntry, record: BatchRecord) -> Result<(), BatchError> {
        self.0.file.update(&record).await?;
        entry.replace(record);
        Ok(())
    }

    /// The key of a batch: the one that it was sent with, or the one that its id
    /// chooses among those that can be used.
    fn key_for(&self, record: &BatchRecord) -> Result<Fingerprint, BatchError> {
        let keys = self.0.keys.current();
        let affinity = KeyAffinity::named(Some(&record.tenant), &record.id);
        let usable = keys.iter().filter(|key| key.refusal().is_none());
        let chosen = usable.min_by_key(|key| Reverse(affinity.score(key.fingerprint().seed())));
        let none = || Failed {
            error: UpstreamError::NoUsableKey,
            attempts: 0,
        };
        Ok(chosen.ok_or_else(none)?.fingerprint())
    }

    /// The options of a call about a batch.
    fn options(&self, record: &BatchRecord) -> CallOptions {
        CallOptions {
            priority: Priority::Batch,
            headers: record.headers.clone().map(Arc::new),
            key: record.key,
            tenant: Some(Arc::from(record.tenant.as_str())),
            ..CallOptions::new(Deadline::after(LONGEST_CALL))
        }
    }

    /// All keys that are configured.
    fn keys(&self) -> Vec<Fingerprint> {
        let keys = self.0.keys.current();
        keys.iter().map(|key| key.fingerprint()).collect()
    }

    /// The ids at the API of all batches that are known there.
    fn upstream_ids(&self) -> HashSet<String> {
        let records = self.0.index.all().into_iter().map(|entry| entry.record());
        records.filter_map(|it| it.upstream_id.clone()).collect()
    }

    /// Seconds since 1970.
    fn now(&self) -> u64 {
        self.0.clock.since_1970().as_secs()
    }

    fn client(&self) -> &Client {
        &self.0.client
    }

    fn config(&self) -> &BatchesConfig {
        &self.0.config
    }

    fn file(&self) -> &StateFile {
        &self.0.file
    }

    fn index(&self) -> &BatchIndex {
        &self.0.index
    }

    fn usage_store(&self) -> Option<&UsageStore> {
        self.0.usage_store.as_ref()
    }
}
