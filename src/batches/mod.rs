//! Batches: work that outlives the call that asked for it.
//!
//! A batch is kept, in a file or in Redis, before it is sent to the API, so that nothing
//! is lost, and nothing sent twice, whenever the process ends. The submission belongs
//! to a task of its own: a caller that hangs up does not interrupt it.

mod calls;
mod config;
mod entry;
mod error;
mod kept;
mod new_batch;
mod progress;
mod record;
mod state_file;
mod submission;
mod worker;

pub use config::BatchesConfig;
pub use error::BatchError;
pub use kept::SharedStateError;
pub use new_batch::{ItemEstimate, NewBatch};
pub use record::{BatchItem, BatchItems, BatchRecord, ItemKind, ItemLabels, Phase};

use crate::{
    access::{Clock, limits::UsageStore},
    call::{Deadline, Priority},
    sealed_file::StateFileError,
    secrets::{Keyring, SecretError},
    store::Store,
    telemetry::CallRecord,
    upstream::{
        CallOptions, Client, Failed, Fingerprint, HostFeature, HostLacks, KeyAffinity, Keys,
        Upstream, UpstreamError,
    },
};
use kept::KeptBatches;
use std::{cmp::Reverse, collections::HashSet, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::sync::Semaphore;
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
    /// They are to be in Redis, and there is none.
    #[error("batches.shared requires a Redis URL in limits.store")]
    NoRedis,
    /// No host has batches.
    #[error("batches need a host that has them: claude, claude_platform_aws or google_cloud")]
    NoHost,
}

/// The batches of this process, or of all replicas. Cloning is cheap.
#[derive(Clone)]
pub struct Batches {
    shared: Arc<Shared>,
    /// The record of the call that asks; that of nobody for the worker.
    call: CallRecord,
}

struct Shared {
    config: BatchesConfig,
    client: Client,
    /// The hosts that have batches, with their keys. New ones go to the first.
    hosts: Vec<(Arc<str>, Keys)>,
    usage_store: Option<UsageStore>,
    kept: KeptBatches,
    clock: Clock,
    /// The work in flight that callers do not interrupt.
    tasks: TaskTracker,
    /// Places of submissions in flight.
    places: Semaphore,
}

impl Batches {
    /// The batches of the configured state file, or of all replicas in this Redis; `None`
    /// when neither is configured.
    ///
    /// # Errors
    /// When a file cannot be read, or there is no Redis. It need not be reachable.
    pub fn open(
        config: &BatchesConfig,
        upstream: &Upstream,
        usage_store: Option<UsageStore>,
        store: Option<Store>,
    ) -> Result<Option<Batches>, OpenError> {
        let Some(key_file) = config.key_file.as_ref().filter(|_| config.is_on()) else {
            return Ok(None);
        };
        let hosts = upstream.hosts_with(HostFeature::Batches);
        if hosts.is_empty() {
            return Err(OpenError::NoHost);
        }
        let keys = Keyring::read(key_file)?;
        let kept = match &config.state_file {
            Some(path) => KeptBatches::in_file(path, keys)?,
            None => {
                let store = store.ok_or(OpenError::NoRedis)?;
                KeptBatches::in_redis(store, keys, config.retention, config.poll_interval)
            }
        };
        let shared = Shared {
            config: config.clone(),
            client: upstream.client.clone(),
            hosts,
            usage_store,
            kept,
            clock: Clock::default(),
            tasks: TaskTracker::new(),
            places: Semaphore::new(PARALLEL_SUBMISSIONS),
        };
        Ok(Some(Batches {
            shared: Arc::new(shared),
            call: CallRecord::default(),
        }))
    }

    /// The same batches, whose calls to the API are recorded as attempts of this call.
    #[must_use]
    pub fn on_behalf_of(&self, call: CallRecord) -> Self {
        Batches {
            shared: Arc::clone(&self.shared),
            call,
        }
    }

    /// How long a batch is kept after its submission.
    pub fn retention(&self) -> Duration {
        self.shared.config.retention
    }

    /// Waits for the work in flight.
    pub async fn shut_down(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// The key to send a batch with: the one that it was sent with, or that has what its
    /// requests name, or the one that its id chooses among those that can be used.
    fn key_for(&self, record: &BatchRecord) -> Result<Fingerprint, BatchError> {
        let mut of_hosts = self
            .shared
            .hosts
            .iter()
            .flat_map(|(_, keys)| keys.current().to_vec());
        if let Some(key) = of_hosts.find(|key| Some(key.fingerprint()) == record.key)
            && key.refusal().is_none()
        {
            return Ok(key.fingerprint());
        }
        let (_, keys) = &self.shared.hosts[0];
        let keys = keys.current();
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
            host: Some(Arc::clone(self.host_of(record.key))),
            tenant: Some(Arc::from(record.tenant.as_str())),
            record: self.call.clone(),
            ..CallOptions::new(Deadline::after(LONGEST_CALL))
        }
    }

    /// All keys that are configured, of all hosts that have batches.
    fn keys(&self) -> Vec<Fingerprint> {
        let hosts = self.shared.hosts.iter();
        let keys = hosts.flat_map(|(_, keys)| keys.current().to_vec());
        keys.map(|key| key.fingerprint()).collect()
    }

    /// The host of a key, or the one of new batches.
    fn host_of(&self, key: Option<Fingerprint>) -> &Arc<str> {
        let has_key = |keys: &Keys| {
            let keys = keys.current();
            keys.iter().any(|one| Some(one.fingerprint()) == key)
        };
        let mut hosts = self.shared.hosts.iter();
        let found = hosts.find(|(_, keys)| has_key(keys));
        let (name, _) = found.unwrap_or(&self.shared.hosts[0]);
        name
    }

    /// Whether the host of new batches is one that a call and its client may use.
    ///
    /// # Errors
    /// [`UpstreamError::NotServed`].
    pub fn may_submit(&self, options: &CallOptions) -> Result<(), BatchError> {
        let (host, _) = &self.shared.hosts[0];
        let is_named = options.host.as_ref().is_none_or(|name| name == host);
        let caller = options.caller.as_deref();
        if is_named && caller.is_none_or(|caller| caller.may_use_host(host)) {
            return Ok(());
        }
        Err(BatchError::Upstream(Failed {
            error: UpstreamError::NotServed(HostLacks::Host),
            attempts: 0,
        }))
    }

    /// The ids at the API of all batches that are known there.
    async fn upstream_ids(&self) -> Result<HashSet<String>, BatchError> {
        let records = self.kept().all().await?.into_iter();
        Ok(records.filter_map(|it| it.upstream_id.clone()).collect())
    }

    /// Seconds since 1970.
    fn now(&self) -> u64 {
        self.shared.clock.since_1970().as_secs()
    }

    fn client(&self) -> &Client {
        &self.shared.client
    }

    fn config(&self) -> &BatchesConfig {
        &self.shared.config
    }

    fn kept(&self) -> &KeptBatches {
        &self.shared.kept
    }

    fn usage_store(&self) -> Option<&UsageStore> {
        self.shared.usage_store.as_ref()
    }
}
