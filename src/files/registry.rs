//! What belongs to whom at the API, wherever that is kept: in this process, with a state
//! file or without, or in the Redis that replicas share.

use super::{
    error::{FileError, OwnershipError},
    local::{LocalRegistry, LocalRoom},
    owned::Owned,
    possessions::UploadLimits,
    shared::{SharedRegistry, SharedRoom},
};
use crate::upstream::OwnedKind;
use futures::future::BoxFuture;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// How soon a write to the state file that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// What a tenant owns under an id, if it is known; what others own is unknown.
pub type Lookup = Result<Option<Arc<Owned>>, OwnershipError>;

/// What belongs to whom. Cloning is cheap.
#[derive(Clone)]
pub enum Registry {
    /// In this process.
    Local(Arc<LocalRegistry>),
    /// In Redis.
    Shared(Arc<SharedRegistry>),
}

/// The room of a file that is being uploaded, until it is dropped or the file is kept.
pub enum UploadRoom {
    /// In this process.
    Local(LocalRoom),
    /// In Redis.
    Shared(SharedRoom),
}

// === impl Registry ===

impl Registry {
    /// Whether it outlives the process.
    pub fn is_kept(&self) -> bool {
        match self {
            Registry::Local(local) => local.is_kept(),
            Registry::Shared(_) => true,
        }
    }

    /// What a tenant owns under each of these ids, in their order. What is known in memory
    /// is not asked for.
    pub async fn find_all(&self, tenant: &str, ids: &[(OwnedKind, &str)]) -> Vec<Lookup> {
        match self {
            Registry::Local(local) => {
                let ids = ids.iter();
                ids.map(|(kind, id)| Ok(local.find(tenant, *kind, id)))
                    .collect()
            }
            Registry::Shared(shared) => shared.find_all(tenant, ids).await,
        }
    }

    /// What a tenant owns under an id.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn find(&self, tenant: &str, kind: OwnedKind, id: &str) -> Lookup {
        let mut found = self.find_all(tenant, &[(kind, id)]).await;
        found.pop().unwrap_or(Ok(None))
    }

    /// What a tenant owns under an id as far as it is known in memory.
    pub fn known(&self, tenant: &str, kind: OwnedKind, id: &str) -> Option<Arc<Owned>> {
        match self {
            Registry::Local(local) => local.find(tenant, kind, id),
            Registry::Shared(shared) => shared.known(tenant, kind, id),
        }
    }

    /// The files of a tenant, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn files_of(&self, tenant: &str) -> Result<Vec<Arc<Owned>>, OwnershipError> {
        let mut files = match self {
            Registry::Local(local) => local.files_of(tenant),
            Registry::Shared(shared) => shared.files_of(tenant).await?,
        };
        files.sort_unstable_by(|a, b| b.position().cmp(&a.position()));
        Ok(files)
    }

    /// Notes what a tenant owns. It is known here at once; what is returned completes when
    /// it is known wherever it can be, or cannot be written for now. What belongs to another
    /// tenant already stays with it.
    pub fn note(&self, all: Vec<Owned>) -> Option<BoxFuture<'static, ()>> {
        let all: Vec<_> = all.into_iter().map(Arc::new).collect();
        match self {
            Registry::Local(local) => {
                all.into_iter().for_each(|owned| local.note(owned));
                None
            }
            Registry::Shared(_) if all.is_empty() => None,
            Registry::Shared(shared) => {
                Some(Box::pin(SharedRegistry::note(Arc::clone(shared), all)))
            }
        }
    }

    /// Makes room for a file that a tenant uploads. It is held for this time at most, if
    /// nobody gives it back.
    ///
    /// # Errors
    /// When the tenant has its maximum, or nobody knows.
    pub async fn make_room(
        &self,
        tenant: &str,
        bytes: u64,
        limits: UploadLimits,
        longest: Duration,
    ) -> Result<UploadRoom, FileError> {
        match self {
            Registry::Local(local) => {
                let room = local.make_room(tenant, bytes, limits)?;
                Ok(UploadRoom::Local(room))
            }
            Registry::Shared(shared) => {
                let room = shared.make_room(tenant, bytes, limits, longest);
                Ok(UploadRoom::Shared(room.await?))
            }
        }
    }

    /// Keeps an upload, in its room. Once it has returned, it survives a crash.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn keep(&self, upload: &Arc<Owned>, room: UploadRoom) -> Result<(), OwnershipError> {
        let upload = Arc::clone(upload);
        match (self, room) {
            (Registry::Local(local), UploadRoom::Local(room)) => {
                Ok(local.keep(upload, room).await?)
            }
            (Registry::Shared(shared), UploadRoom::Shared(room)) => shared.keep(upload, room).await,
            // A room is one of the registry that made it.
            _ => Err(OwnershipError::Invalid),
        }
    }

    /// Replaces what is still there as it was; `None` if it is not there any more.
    pub async fn replace(&self, before: &Arc<Owned>, owned: Owned) -> Option<Arc<Owned>> {
        match self {
            Registry::Local(local) => local.replace(before, owned),
            Registry::Shared(shared) => shared.replace(Arc::new(owned)).await,
        }
    }

    /// Forgets what is still there as it was, for good with the next flush.
    pub fn forget(&self, owned: &Arc<Owned>) {
        match self {
            Registry::Local(local) => local.forget(owned),
            Registry::Shared(shared) => shared.forget(owned),
        }
    }

    /// Forgets some of what has ended by itself at this time, at most this number, except
    /// for files that are to be deleted at the API.
    pub fn sweep(&self, now: u64, most: usize) {
        match self {
            Registry::Local(local) => local.sweep(now, most),
            // What is in Redis ends there by itself.
            Registry::Shared(_) => {}
        }
    }

    /// Some of the files that have ended at this time, at most this number, which are to be
    /// deleted at the API. Replicas get different ones.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn ended_files(
        &self,
        now: u64,
        most: usize,
    ) -> Result<Vec<Arc<Owned>>, OwnershipError> {
        match self {
            Registry::Local(local) => {
                let ended = local.ended_at(now, most).into_iter();
                Ok(ended.filter(|it| it.kind == OwnedKind::File).collect())
            }
            Registry::Shared(shared) => shared.ended_files(now, most).await,
        }
    }

    /// Waits until there is something to flush.
    pub async fn changed(&self) {
        match self {
            Registry::Local(local) => local.changed().await,
            Registry::Shared(shared) => shared.changed().await,
        }
    }

    /// Writes all that has changed in memory. Once it has returned, it survives a crash.
    ///
    /// # Errors
    /// When it cannot be written: the next flush tries it again.
    pub async fn flush(&self) -> Result<(), OwnershipError> {
        match self {
            Registry::Local(local) => Ok(local.flush().await?),
            Registry::Shared(shared) => shared.flush().await,
        }
    }

    /// Waits until it makes sense to try a flush again that has failed.
    pub async fn can_retry(&self) {
        match self {
            Registry::Local(_) => sleep(RETRY_AFTER).await,
            Registry::Shared(shared) => shared.can_retry().await,
        }
    }
}
