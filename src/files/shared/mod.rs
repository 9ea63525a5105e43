//! What belongs to whom at the API, in the Redis that replicas share.
//!
//! What a tenant owns is in keys of its own, with one hash tag: all ids of a request are
//! read in one round trip, and each change is one atomic script. A key for each id says
//! whose it is, so that its first owner keeps it; it is written before what it is about.
//! Values are encrypted. Names have hashes of tenants and ids only, and nothing stays much
//! beyond its end.
//!
//! Each replica remembers what it has read and written. What a tenant owns by that memory it
//! owns: ids are never used again, and the API says if something is gone. All else is asked
//! of Redis; while that does not serve, nobody knows. Notes and deletions that cannot be
//! written wait in memory until it serves.
//!
//! Replicas share the work of deleting files that have ended: each is handed to one, and to
//! another if it is not deleted within some minutes.

mod lifetime;
mod memory;
mod names;
mod room;
mod scripts;

pub use room::SharedRoom;

use super::{
    error::{FileError, OwnershipError},
    owned::Owned,
    possessions::UploadLimits,
};
use crate::{access::Clock, secrets::Keyring, store::Store, upstream::OwnedKind};
use futures::{StreamExt, future::join_all, stream};
use lifetime::is_over;
use memory::{Recalled, ReplicaMemory};
use names::{TenantKeys, hash_of};
use parking_lot::Mutex;
use scripts::{OwnershipScripts, PutOutcome, PutWhen};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::{sync::Notify, time::sleep};

/// How many changes are written at the same time.
const PARALLEL: usize = 16;

/// The pause before a write that failed is tried again.
const PAUSE: Duration = Duration::from_secs(2);

/// What belongs to whom in all replicas.
pub struct SharedRegistry {
    scripts: Arc<OwnershipScripts>,
    memory: Mutex<ReplicaMemory>,
    /// Something waits in memory.
    changed: Notify,
    clock: Clock,
}

// === impl SharedRegistry ===

impl SharedRegistry {
    /// What is in this Redis, encrypted with these keys.
    pub fn new(store: Store, keys: Keyring, clock: Clock) -> Self {
        SharedRegistry {
            scripts: Arc::new(OwnershipScripts::new(store, keys)),
            memory: Mutex::default(),
            changed: Notify::new(),
            clock,
        }
    }

    fn now(&self) -> u64 {
        self.clock.since_1970().as_secs()
    }

    fn recall(&self, tenant: &str, kind: OwnedKind, id: &str) -> Recalled {
        match self.memory.lock().recall(tenant, kind, id) {
            Recalled::Owned(owned) if is_over(&owned, self.now()) => Recalled::Unknown,
            recalled => recalled,
        }
    }

    /// What a tenant owns under an id as far as this replica remembers.
    pub fn known(&self, tenant: &str, kind: OwnedKind, id: &str) -> Option<Arc<Owned>> {
        match self.recall(tenant, kind, id) {
            Recalled::Owned(owned) => Some(owned),
            Recalled::Forgotten | Recalled::Unknown => None,
        }
    }

    /// What a tenant owns under each of these ids, in their order.
    pub async fn find_all(
        &self,
        tenant: &str,
        ids: &[(OwnedKind, &str)],
    ) -> Vec<Result<Option<Arc<Owned>>, OwnershipError>> {
        let recalled = ids.iter();
        let recalled: Vec<_> = recalled
            .map(|(kind, id)| self.recall(tenant, *kind, id))
            .collect();
        let unknown = ids.iter().zip(&recalled);
        let unknown = unknown.filter(|(_, it)| **it == Recalled::Unknown);
        let hashes: Vec<_> = unknown.map(|((kind, id), _)| hash_of(*kind, id)).collect();
        let mut read = match self.scripts.read(&TenantKeys::of(tenant), &hashes).await {
            Ok(read) => Ok(read.into_iter()),
            Err(error) => {
                if !matches!(error, OwnershipError::Unreachable) {
                    tracing::error!(%error, "failed to read what belongs to whom at the Claude API");
                }
                Err(error)
            }
        };
        let found = ids.iter().zip(recalled);
        found
            .map(|((kind, id), recalled)| match (recalled, &mut read) {
                (Recalled::Owned(owned), _) => Ok(Some(owned)),
                (Recalled::Forgotten, _) => Ok(None),
                (Recalled::Unknown, Ok(read)) => {
                    let owned = read.next().flatten();
                    // A value that was moved there from elsewhere says whose it is.
                    let owned =
                        owned.filter(|it| it.tenant == tenant && it.kind == *kind && it.id == *id);
                    Ok(owned.and_then(|it| self.remembered(it)))
                }
                (Recalled::Unknown, Err(_)) => Err(OwnershipError::Unreachable),
            })
            .collect()
    }

    fn remembered(&self, owned: Owned) -> Option<Arc<Owned>> {
        if is_over(&owned, self.now()) {
            return None;
        }
        let owned = Arc::new(owned);
        self.memory.lock().remember(Arc::clone(&owned));
        Some(owned)
    }

    /// The files of a tenant, in any order.
    pub async fn files_of(&self, tenant: &str) -> Result<Vec<Arc<Owned>>, OwnershipError> {
        let of = TenantKeys::of(tenant);
        let read = self.scripts.files_of(&of, self.now()).await?;
        let mut files = self.memory.lock().unwritten_files(tenant);
        let unwritten: HashSet<_> = files.iter().map(|it| it.id.clone()).collect();
        let read = read.into_iter().filter(|it| {
            let recalled = self.recall(tenant, OwnedKind::File, &it.id);
            it.tenant == tenant && recalled != Recalled::Forgotten && !unwritten.contains(&it.id)
        });
        files.extend(read.map(Arc::new));
        Ok(files)
    }

    /// Notes what was made. Completes when it is in Redis, or cannot be written for now:
    /// then it waits in memory.
    pub fn note(
        this: Arc<Self>,
        all: Vec<Arc<Owned>>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let noted: Vec<_> = {
            let mut memory = this.memory.lock();
            all.into_iter().filter(|it| memory.note(it)).collect()
        };
        // Whoever waits for it may hang up.
        this.changed.notify_one();
        async move {
            let writes = noted.iter().map(|owned| this.write(owned));
            join_all(writes).await;
        }
    }

    /// Writes something that waits in memory.
    async fn write(&self, owned: &Arc<Owned>) -> Result<(), OwnershipError> {
        // The end of a container moves. All else is as it was noted first.
        let when = match owned.kind {
            OwnedKind::Container => PutWhen::Always,
            OwnedKind::File | OwnedKind::Thread => PutWhen::Absent,
        };
        let outcome = self.scripts.put(owned, when, None, self.now()).await?;
        let mut memory = self.memory.lock();
        memory.settle(owned);
        if outcome == PutOutcome::Kept {
            memory.remember(Arc::clone(owned));
        }
        Ok(())
    }

    /// Makes room for a file that a tenant uploads, for this time at most.
    pub async fn make_room(
        &self,
        tenant: &str,
        bytes: u64,
        limits: UploadLimits,
        longest: Duration,
    ) -> Result<SharedRoom, FileError> {
        let now = self.now();
        let room = SharedRoom::new(&self.scripts, &self.clock, tenant, longest);
        let times = (now, now + longest.as_secs());
        let made = self
            .scripts
            .make_room(&room.of, &room.name, bytes, limits, times);
        let refused = match made.await {
            Some(0) => return Ok(room),
            Some(1) => FileError::TooMany(limits.files),
            Some(_) => FileError::TooLarge(limits.bytes),
            // It may have been made: it is given back.
            None => return Err(OwnershipError::Unreachable.into()),
        };
        room.settle();
        Err(refused)
    }

    /// Keeps an upload, in its room.
    pub async fn keep(&self, upload: Arc<Owned>, room: SharedRoom) -> Result<(), OwnershipError> {
        let name = Some(room.name.as_str());
        let kept = self.scripts.put(&upload, PutWhen::Always, name, self.now());
        if kept.await? == PutOutcome::Kept {
            room.settle();
            self.memory.lock().remember(upload);
        }
        Ok(())
    }

    /// Replaces what is still there. While Redis does not serve, it is replaced in memory.
    pub async fn replace(&self, owned: Arc<Owned>) -> Option<Arc<Owned>> {
        let put = self.scripts.put(&owned, PutWhen::Present, None, self.now());
        let put = put.await;
        let mut memory = self.memory.lock();
        if memory.recall(&owned.tenant, owned.kind, &owned.id) == Recalled::Forgotten {
            return None;
        }
        if matches!(put, Ok(PutOutcome::LeftAsIs | PutOutcome::Foreign)) {
            memory.removed(&owned);
            return None;
        }
        memory.remember(Arc::clone(&owned));
        Some(owned)
    }

    /// Forgets something, in Redis with the next flush.
    pub fn forget(&self, owned: &Arc<Owned>) {
        self.memory.lock().forget(owned);
        self.changed.notify_one();
    }

    /// Some of the files that have ended, at most this number.
    pub async fn ended_files(
        &self,
        now: u64,
        most: usize,
    ) -> Result<Vec<Arc<Owned>>, OwnershipError> {
        let ended = self.scripts.ended_files(now, most).await?;
        Ok(ended.into_iter().map(Arc::new).collect())
    }

    /// Waits until something waits in memory.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Writes what waits in memory.
    pub async fn flush(&self) -> Result<(), OwnershipError> {
        let (unwritten, forgotten) = self.memory.lock().changes();
        let removals = forgotten.into_iter().map(|owned| async move {
            let removed = self.scripts.forget(&owned, self.now()).await;
            removed.ok_or(OwnershipError::Unreachable)?;
            self.memory.lock().removed(&owned);
            Ok::<(), OwnershipError>(())
        });
        let removed: Vec<_> = stream::iter(removals)
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        let writes = unwritten.into_iter();
        let writes = writes.map(|owned| async move { self.write(&owned).await });
        let written: Vec<_> = stream::iter(writes)
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        removed.into_iter().chain(written).collect()
    }

    /// Waits until Redis serves and a failed flush can be tried again.
    pub async fn can_retry(&self) {
        sleep(PAUSE).await;
        self.scripts.store.up().await;
        self.changed.notify_one();
    }
}
