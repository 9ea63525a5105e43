//! The Redis scripts and their calls. `None` is an answer that did not come: Redis does not
//! serve.

use super::{
    lifetime::{LONGEST, leaves},
    names::{TenantKeys, all_ends_keys, ends_key, hash_of, owner_key},
};
use crate::{
    files::{
        error::OwnershipError,
        owned::Owned,
        possessions::{MAX_NOTED, UploadLimits, rank},
    },
    secrets::Keyring,
    store::{RedisCommand, RedisScript, Store},
    upstream::OwnedKind,
};
use futures::future::{OptionFuture, join_all};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// How many values are read at once: a larger answer would hold up other calls.
const CHUNK: usize = 500;

/// Maximum number of rooms that wait to be given back. Redis gives back the others after a
/// while.
const MAX_IN_BACKGROUND: usize = 1024;

/// How long a replica has to delete files that have ended, before another one may.
const DUE_AGAIN: Duration = Duration::from_secs(5 * 60);

/// More than any end in seconds since 1970: what is of a higher rank is forgotten later,
/// whenever it ends.
const RANK: u64 = 1 << 40;

/// When something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutWhen {
    /// If it is not there.
    Absent,
    /// If it is there.
    Present,
    /// Whether it is there or not.
    Always,
}

/// What became of something that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// It is kept.
    Kept,
    /// What is there stays as it is.
    LeftAsIs,
    /// It belongs to another tenant.
    Foreign,
}

/// What all tenants of all replicas own.
pub struct OwnershipScripts {
    /// The underlying Redis.
    pub store: Store,
    /// Permits of rooms that wait to be given back.
    pub background: Arc<Semaphore>,
    keys: Keyring,
    room: RedisScript,
    put: RedisScript,
    forget: RedisScript,
    list: RedisScript,
    claim: RedisScript,
    release: RedisScript,
    end: RedisScript,
    ended: RedisScript,
}

// === impl OwnershipScripts ===

impl OwnershipScripts {
    /// What is in this Redis, encrypted with these keys.
    pub fn new(store: Store, keys: Keyring) -> Self {
        let tenant = include_str!("tenant.lua");
        let of_tenant = |code: &str| RedisScript::new(&format!("{tenant}{code}"));
        OwnershipScripts {
            store,
            background: Arc::new(Semaphore::new(MAX_IN_BACKGROUND)),
            keys,
            room: of_tenant(include_str!("room.lua")),
            put: of_tenant(include_str!("put.lua")),
            forget: of_tenant(include_str!("forget.lua")),
            list: of_tenant(include_str!("list.lua")),
            claim: RedisScript::new(include_str!("claim.lua")),
            release: RedisScript::new(include_str!("release.lua")),
            end: RedisScript::new(include_str!("end.lua")),
            ended: RedisScript::new(include_str!("ended.lua")),
        }
    }

    /// What is there under hashes of ids, in their order.
    pub async fn read(
        &self,
        of: &TenantKeys,
        hashes: &[String],
    ) -> Result<Vec<Option<Owned>>, OwnershipError> {
        let mut read = Vec::with_capacity(hashes.len());
        for hashes in hashes.chunks(CHUNK) {
            let mut command = RedisCommand::new("HMGET", &of.owned);
            command.arg(hashes);
            let sealed: Option<Vec<Option<String>>> = self.store.query(command).await;
            for sealed in sealed.ok_or(OwnershipError::Unreachable)? {
                read.push(sealed.map(|it| self.keys.open(&it)).transpose()?);
            }
        }
        Ok(read)
    }

    /// Keeps something; it belongs to its tenant from then on.
    pub async fn put(
        &self,
        owned: &Owned,
        when: PutWhen,
        room: Option<&str>,
        now: u64,
    ) -> Result<PutOutcome, OwnershipError> {
        let of = TenantKeys::of(&owned.tenant);
        let hash = hash_of(owned.kind, &owned.id);
        if when != PutWhen::Present {
            let end = (owned.kind == OwnedKind::File).then(|| self.end(&of, &hash, owned.expires));
            // The end first: nothing is kept that nobody deletes.
            let (claimed, ended) = tokio::join!(
                self.claim(&of, &hash, leaves(owned, now).saturating_sub(now)),
                OptionFuture::from(end)
            );
            if !claimed.ok_or(OwnershipError::Unreachable)? {
                return Ok(PutOutcome::Foreign);
            }
            if ended == Some(None) {
                return Err(OwnershipError::Unreachable);
            }
        }
        let sealed = self.keys.seal(owned)?;
        let size = owned.uploaded_bytes();
        let place = u64::from(rank(owned.kind)) * RANK + owned.expires.min(RANK - 1);
        let mut script = on(&self.put, &of, now);
        script
            .arg(when.name())
            .arg(&hash)
            .arg(sealed)
            .arg(leaves(owned, now))
            .arg(size.map_or_else(|| place.to_string(), |_| String::new()))
            .arg(size.unwrap_or_default())
            .arg(MAX_NOTED)
            .arg(room.unwrap_or_default());
        match self.store.query(script).await {
            Some(true) => Ok(PutOutcome::Kept),
            Some(false) => Ok(PutOutcome::LeftAsIs),
            None => Err(OwnershipError::Unreachable),
        }
    }

    async fn claim(&self, of: &TenantKeys, hash: &str, seconds: u64) -> Option<bool> {
        let mut script = self.claim.on(&owner_key(hash), &[]);
        script.arg(&of.tenant).arg(seconds.max(1));
        self.store.query(script).await
    }

    async fn end(&self, of: &TenantKeys, hash: &str, end: u64) -> Option<()> {
        let mut script = self.end.on(&ends_key(hash), &[]);
        script
            .arg(end)
            .arg(file_name(of, hash))
            .arg(LONGEST.as_secs());
        self.store.query(script).await
    }

    /// Forgets something.
    pub async fn forget(&self, owned: &Owned, now: u64) -> Option<()> {
        let of = TenantKeys::of(&owned.tenant);
        let hash = hash_of(owned.kind, &owned.id);
        self.give_back(&of, &hash, now).await?;
        let mut release = self.release.on(&owner_key(&hash), &[]);
        release.arg(&of.tenant);
        self.store.query::<()>(release).await?;
        self.no_end(&ends_key(&hash), &file_name(&of, &hash)).await
    }

    async fn no_end(&self, key: &str, name: &str) -> Option<()> {
        let mut command = RedisCommand::new("ZREM", key);
        command.arg(name);
        self.store.query(command).await
    }

    /// Makes room for an upload: `Ok(0)` if there is, otherwise 1 for the number of files and
    /// 2 for their size.
    pub async fn make_room(
        &self,
        of: &TenantKeys,
        room: &str,
        bytes: u64,
        limits: UploadLimits,
        (now, until): (u64, u64),
    ) -> Option<u8> {
        let mut script = on(&self.room, of, now);
        script
            .arg(room)
            .arg(bytes)
            .arg(until)
            .arg(limits.files)
            .arg(limits.bytes);
        self.store.query(script).await
    }

    /// Gives a room back, or removes what a tenant owns under a hash.
    pub async fn give_back(&self, of: &TenantKeys, room: &str, now: u64) -> Option<()> {
        let mut script = on(&self.forget, of, now);
        script.arg(room);
        self.store.query(script).await
    }

    /// The files of a tenant, in any order.
    pub async fn files_of(&self, of: &TenantKeys, now: u64) -> Result<Vec<Owned>, OwnershipError> {
        let mut script = on(&self.list, of, now);
        script
            .arg(u64::from(rank(OwnedKind::File)) * RANK)
            .arg(of.tenant.len());
        let hashes: Option<Vec<String>> = self.store.query(script).await;
        let hashes = hashes.ok_or(OwnershipError::Unreachable)?;
        let files = self.read(of, &hashes).await?;
        Ok(files.into_iter().flatten().collect())
    }

    /// Some of the files that have ended, at most this number, which no other replica gets
    /// for a while.
    pub async fn ended_files(&self, now: u64, most: usize) -> Result<Vec<Owned>, OwnershipError> {
        let keys: Vec<_> = all_ends_keys().collect();
        let most = most.div_ceil(keys.len());
        let asked = keys.iter().map(|key| self.ended_of(key, now, most));
        let mut ended = Vec::new();
        for files in join_all(asked).await {
            ended.extend(files?);
        }
        Ok(ended)
    }

    async fn ended_of(
        &self,
        key: &str,
        now: u64,
        most: usize,
    ) -> Result<Vec<Owned>, OwnershipError> {
        let mut script = self.ended.on(key, &[]);
        script.arg(now).arg(now + DUE_AGAIN.as_secs()).arg(most);
        let names: Option<Vec<String>> = self.store.query(script).await;
        let mut ended = Vec::new();
        for name in names.ok_or(OwnershipError::Unreachable)? {
            let Some((tenant, hash)) = name.split_once(':') else {
                continue;
            };
            let of = TenantKeys::of_hash(tenant);
            let found = self.read(&of, &[hash.to_owned()]).await;
            match found.map(|mut found| found.pop().flatten()) {
                Ok(Some(file)) if file.expires <= now => ended.push(file),
                // It ends later than was said.
                Ok(Some(file)) => drop(self.end(&of, hash, file.expires).await),
                Ok(None) => drop(self.no_end(key, &name).await),
                // One that cannot be read does not keep others from being deleted.
                Err(error) => {
                    tracing::error!(%error, "failed to read a file that has ended, trying again");
                }
            }
        }
        Ok(ended)
    }
}

impl PutWhen {
    fn name(self) -> &'static str {
        match self {
            PutWhen::Absent => "absent",
            PutWhen::Present => "present",
            PutWhen::Always => "always",
        }
    }
}

/// A script about a tenant.
fn on(script: &RedisScript, of: &TenantKeys, now: u64) -> RedisCommand {
    let mut command = script.on(&of.owned, &[&of.leaving, &of.noted, &of.uploads]);
    command.arg(now);
    command
}

/// What a file is called among the ends of files.
fn file_name(of: &TenantKeys, hash: &str) -> String {
    format!("{}:{hash}", of.tenant)
}
