//! Redis with the state of batches, and the keys that encrypt it.

use super::{error::SharedStateError, index_entry::IndexEntry, keys::BatchKeys};
use crate::{
    batches::record::BatchRecord,
    secrets::Keyring,
    store::{RedisCommand, RedisScript, Store},
};
use redis::FromRedisValue;
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// How long everything is kept beyond the retention: workers delete a batch before.
const MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// Redis with the state of batches.
pub struct SharedState {
    store: Store,
    /// Encrypts what is kept.
    pub keyring: Keyring,
    /// How long everything is kept, in seconds: then Redis deletes what nobody works on.
    pub lifetime: u64,
    pub begin: RedisScript,
    pub add: RedisScript,
    pub take_turn: RedisScript,
    pub extend_turn: RedisScript,
    pub end_turn: RedisScript,
    pub replace: RedisScript,
    pub delete: RedisScript,
    pub note_tenant: RedisScript,
    pub tenants: RedisScript,
}

/// A batch as Redis has it.
pub struct SharedRecord {
    pub record: BatchRecord,
    pub entry: IndexEntry,
}

// === impl SharedState ===

impl SharedState {
    pub fn new(store: Store, keyring: Keyring, retention: Duration) -> Self {
        SharedState {
            store,
            keyring,
            lifetime: (retention + MARGIN).as_secs(),
            begin: RedisScript::new(include_str!("begin.lua")),
            add: RedisScript::new(include_str!("add.lua")),
            take_turn: RedisScript::new(include_str!("take_turn.lua")),
            extend_turn: RedisScript::new(include_str!("extend_turn.lua")),
            end_turn: RedisScript::new(include_str!("end_turn.lua")),
            replace: RedisScript::new(include_str!("replace.lua")),
            delete: RedisScript::new(include_str!("delete.lua")),
            note_tenant: RedisScript::new(include_str!("note_tenant.lua")),
            tenants: RedisScript::new(include_str!("tenants.lua")),
        }
    }

    /// What Redis answers; at once that it does not while it is known not to serve.
    pub async fn ask<T: FromRedisValue>(
        &self,
        command: RedisCommand,
    ) -> Result<T, SharedStateError> {
        let answer = self.store.query(command).await;
        answer.ok_or(SharedStateError::Unreachable)
    }

    /// A value as it is kept.
    pub fn sealed(&self, value: &impl Serialize) -> Result<String, SharedStateError> {
        Ok(self.keyring.seal(value)?)
    }

    /// A value that was kept.
    pub fn opened<T: DeserializeOwned>(&self, token: &str) -> Result<T, SharedStateError> {
        Ok(self.keyring.open(token)?)
    }

    /// The record of the batch with this id of a tenant, and of no other.
    pub fn opened_record(
        &self,
        keys: &BatchKeys,
        id: &str,
        token: &str,
    ) -> Result<BatchRecord, SharedStateError> {
        let record: BatchRecord = self.opened(token)?;
        let is_that_one = record.id == id && BatchKeys::of(&record.tenant) == *keys;
        is_that_one
            .then_some(record)
            .ok_or(SharedStateError::Invalid)
    }
}
