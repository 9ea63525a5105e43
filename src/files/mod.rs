//! Files at the API, and whom they, containers and threads belong to.
//!
//! An id at the API is valid for everyone with the same API key. Here it belongs to the
//! tenant that uploaded the file, or whose call made it; for all others it is unknown.

mod answer_ids;
mod calls;
mod config;
mod error;
mod guard;
mod local;
mod named_ids;
mod notes;
mod owned;
mod possessions;
mod registry;
mod shared;
mod worker;

pub use calls::NewFile;
pub use config::{FilesConfig, SHORTEST_RETENTION};
pub use error::{FileError, OwnershipError};
pub use owned::{FileFacts, Owned};

use crate::{
    access::Clock,
    layer::rule,
    sealed_file::{SealedFile, StateFileError},
    secrets::{Keyring, SecretError},
    store::Store,
    telemetry::CallRecord,
    upstream::{Client, HostFeature, Keys, Upstream},
};
use guard::Guard;
use local::LocalRegistry;
use notes::NoteTaker;
use registry::Registry;
use shared::SharedRegistry;
use std::{sync::Arc, time::Duration};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// How many files are uploaded at the same time: each holds its content twice.
const PARALLEL_UPLOADS: usize = 4;

/// Files cannot be opened.
#[derive(Debug, Error)]
pub enum OpenFilesError {
    /// The key file cannot be read.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// The state file cannot be read or written.
    #[error(transparent)]
    State(#[from] StateFileError),
    /// There is no Redis.
    #[error("files.shared requires a Redis URL in limits.store and files.key_file")]
    NoStore,
    /// No host has files.
    #[error("files need a host that has them: claude, claude_platform_aws or google_cloud")]
    NoHost,
}

/// What belongs to whom at the API. Cloning is cheap.
#[derive(Clone)]
pub struct Ownership {
    registry: Registry,
    clock: Clock,
    /// How long files are kept.
    retention: Duration,
    /// The work in flight that callers do not interrupt.
    tasks: TaskTracker,
}

/// The files of this process. Cloning is cheap.
#[derive(Clone)]
pub struct Files {
    shared: Arc<Shared>,
    /// The record of the call that asks; that of nobody for the worker.
    call: CallRecord,
}

struct Shared {
    config: FilesConfig,
    client: Client,
    /// The hosts that have files, with their keys.
    hosts: Vec<(Arc<str>, Keys)>,
    /// Places of uploads in flight.
    uploads: Arc<Semaphore>,
    registry: Registry,
    clock: Clock,
    tasks: TaskTracker,
}

// === impl Ownership ===

impl Ownership {
    /// What is in the configured state file, or in the Redis that replicas share. Without
    /// either, what belongs to whom is known until the process ends.
    ///
    /// # Errors
    /// When a file cannot be read, or there is no Redis where it is to be.
    pub fn open(
        config: &FilesConfig,
        store: Option<&Store>,
        clock: Clock,
    ) -> Result<Ownership, OpenFilesError> {
        let registry = match (&config.state_file, &config.key_file) {
            (None, Some(key_file)) if config.shared => {
                let keys = Keyring::read(key_file)?;
                let store = store.ok_or(OpenFilesError::NoStore)?.clone();
                let shared = SharedRegistry::new(store, keys, clock.clone());
                Registry::Shared(Arc::new(shared))
            }
            _ if config.shared => return Err(OpenFilesError::NoStore),
            (Some(path), Some(key_file)) => {
                let keys = Keyring::read(key_file)?;
                let file = SealedFile::open(path, keys, &LocalRegistry::tables())?;
                let local = LocalRegistry::open(file, clock.since_1970().as_secs())?;
                Registry::Local(Arc::new(local))
            }
            _ => Registry::Local(Arc::default()),
        };
        Ok(Ownership {
            registry,
            clock,
            retention: config.retention,
            tasks: TaskTracker::new(),
        })
    }

    /// The same hosts, of whose client a tenant can name only what belongs to it.
    #[must_use]
    pub fn guarding(&self, upstream: Upstream) -> Upstream {
        let guard = rule(Guard {
            note_taker: NoteTaker {
                registry: self.registry.clone(),
                clock: self.clock.clone(),
                retention: self.retention,
            },
        });
        Upstream {
            client: upstream.client.under(&guard),
            ..upstream
        }
    }

    /// Waits for uploads in flight, and writes what is noted.
    pub async fn shut_down(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        if let Err(error) = self.registry.flush().await {
            tracing::error!(%error, "failed to write what belongs to whom at the Claude API");
        }
    }
}

// === impl Files ===

impl Files {
    /// The files that callers upload and read; `None` where nothing outlives the process.
    ///
    /// # Errors
    /// When no host has files.
    pub fn new(
        config: &FilesConfig,
        upstream: &Upstream,
        ownership: &Ownership,
    ) -> Result<Option<Files>, OpenFilesError> {
        if !ownership.registry.is_kept() {
            return Ok(None);
        }
        let hosts = upstream.hosts_with(HostFeature::Files);
        if hosts.is_empty() {
            return Err(OpenFilesError::NoHost);
        }
        let shared = Shared {
            config: config.clone(),
            client: upstream.client.clone(),
            hosts,
            uploads: Arc::new(Semaphore::new(PARALLEL_UPLOADS)),
            registry: ownership.registry.clone(),
            clock: ownership.clock.clone(),
            tasks: ownership.tasks.clone(),
        };
        Ok(Some(Files {
            shared: Arc::new(shared),
            call: CallRecord::default(),
        }))
    }

    /// The same files, whose calls to the API are recorded as attempts of this call.
    #[must_use]
    pub fn on_behalf_of(&self, call: CallRecord) -> Self {
        Files {
            shared: Arc::clone(&self.shared),
            call,
        }
    }

    /// The maximum time for which a file is kept.
    pub fn retention(&self) -> Duration {
        self.shared.config.retention
    }

    /// Seconds since 1970.
    fn now(&self) -> u64 {
        self.shared.clock.since_1970().as_secs()
    }
}
