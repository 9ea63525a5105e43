//! A batch in Redis, for the one that may change it.
//!
//! Each write is checked twice in its script: the turn must not be that of another, and
//! the version must be the one that is known. The first is what counts; the second stops
//! a replica whose turn a Redis has forgotten.

use super::{
    error::SharedStateError,
    index_entry::IndexEntry,
    keys::{BatchKeys, TENANTS},
    lease::{LEASE_MS, TurnLease},
    pieces::{BODY, ITEMS, keys_of},
    state::{SharedRecord, SharedState},
};
use crate::{
    batches::{
        error::BatchError,
        record::{BatchItems, BatchRecord},
    },
    store::{RedisCommand, RedisScript},
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// The right to change a batch.
pub struct SharedTurn {
    state: Arc<SharedState>,
    keys: BatchKeys,
    id: String,
    lease: TurnLease,
    known: Mutex<KnownRecord>,
    max_per_tenant: usize,
    /// Since when the turn in which the batch was sent is known to be over.
    unclear_since: Instant,
    has_ended: AtomicBool,
}

/// What is known of the batch.
struct KnownRecord {
    record: Arc<BatchRecord>,
    entry: IndexEntry,
    /// Whether Redis may have it.
    is_kept: bool,
}

// === impl SharedTurn ===

impl SharedTurn {
    /// The turn of a batch that Redis does not have yet.
    pub fn of_new(
        state: Arc<SharedState>,
        keys: BatchKeys,
        record: BatchRecord,
        max_per_tenant: usize,
    ) -> Self {
        let entry = IndexEntry {
            version: 0,
            items: 0,
            body: 0,
        };
        let new = SharedRecord { record, entry };
        let mut turn = SharedTurn::taken(state, keys, TurnLease::new(), new, Duration::ZERO);
        turn.known.get_mut().is_kept = false;
        turn.max_per_tenant = max_per_tenant;
        turn
    }

    /// A turn that was taken, of a batch whose last turn has been over for this time.
    pub fn taken(
        state: Arc<SharedState>,
        keys: BatchKeys,
        lease: TurnLease,
        of: SharedRecord,
        over_for: Duration,
    ) -> Self {
        let now = Instant::now();
        SharedTurn {
            state,
            keys,
            id: of.record.id.clone(),
            lease,
            known: Mutex::new(KnownRecord {
                record: Arc::new(of.record),
                entry: of.entry,
                is_kept: true,
            }),
            max_per_tenant: 0,
            unclear_since: now.checked_sub(over_for).unwrap_or(now),
            has_ended: AtomicBool::new(false),
        }
    }

    /// Extends the turn, which was asked for at this time.
    pub fn keep(&self, asked: Instant) {
        let key = self.keys.turn(&self.id);
        self.lease.keep(&self.state, key, asked);
    }

    pub fn record(&self) -> Arc<BatchRecord> {
        Arc::clone(&self.known.lock().record)
    }

    pub fn unclear_for(&self) -> Duration {
        self.unclear_since.elapsed()
    }

    pub async fn lost(&self) {
        self.lease.lost().await;
    }

    pub async fn create(
        &self,
        record: BatchRecord,
        items: BatchItems,
        body: Bytes,
    ) -> Result<(), BatchError> {
        let (state, id) = (&self.state, &self.id);
        // First the tenant: whatever is kept of it is found.
        let mut note = state.note_tenant.on(TENANTS, &[]);
        note.arg(self.keys.tag()).arg(state.lifetime);
        state.ask::<()>(note).await?;
        let sealed = state.sealed(&items)?;
        let mut pieces = state.write_pieces(&self.keys, ITEMS, id, &sealed).await?;
        let items = pieces.len();
        let sealed = state.keyring.encrypt(&body);
        pieces.extend(state.write_pieces(&self.keys, BODY, id, &sealed).await?);
        let entry = IndexEntry {
            version: 1,
            items,
            body: pieces.len() - items,
        };
        let sealed = state.sealed(&record)?;
        let request = self.keys.request(&record.request_id);
        *self.known.lock() = KnownRecord {
            record: Arc::new(record),
            entry,
            is_kept: true,
        };
        let mut keys = vec![self.keys.index(), self.keys.records(), self.keys.requests()];
        keys.extend(pieces);
        let mut add = self.command(&state.add, &keys);
        add.arg(LEASE_MS)
            .arg(id)
            .arg(entry.to_string())
            .arg(sealed)
            .arg(request)
            .arg(self.max_per_tenant)
            .arg(state.lifetime);
        let asked = Instant::now();
        let answer: Vec<String> = state.ask(add).await?;
        match answer.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["added"] => {
                self.keep(asked);
                Ok(())
            }
            ["earlier", earlier] => Err(BatchError::Repeated(earlier.to_owned())),
            ["full"] => Err(BatchError::TooMany(self.max_per_tenant)),
            _ => Err(SharedStateError::Invalid.into()),
        }
    }

    pub async fn replace(&self, record: BatchRecord) -> Result<(), BatchError> {
        let (before, entry) = {
            let known = self.known.lock();
            (Arc::clone(&known.record), known.entry)
        };
        let needs_body = record.needs_body();
        let next = IndexEntry {
            version: entry.version + 1,
            body: if needs_body { entry.body } else { 0 },
            ..entry
        };
        let mut keys = vec![
            self.keys.index(),
            self.keys.records(),
            self.keys.turn_ends(),
        ];
        if !needs_body {
            keys.extend(keys_of(&self.keys, BODY, &self.id, entry.body));
        }
        let state = &self.state;
        let mut replace = self.command(&state.replace, &keys);
        replace
            .arg(LEASE_MS)
            .arg(&self.id)
            .arg(entry.version)
            .arg(next.to_string())
            .arg(state.sealed(&record)?)
            .arg(state.lifetime)
            .arg(u8::from(record.sent != before.sent));
        self.expect(replace, "replaced").await?;
        let mut known = self.known.lock();
        known.record = Arc::new(record);
        known.entry = next;
        Ok(())
    }

    pub async fn body(&self) -> Result<Bytes, BatchError> {
        let number = self.known.lock().entry.body;
        let token = self
            .state
            .read_pieces(&self.keys, BODY, &self.id, number)
            .await?;
        let body = self.state.keyring.decrypt(&token);
        Ok(Bytes::copy_from_slice(
            &body.map_err(SharedStateError::from)?,
        ))
    }

    pub async fn delete(&self) -> Result<(), BatchError> {
        let (request_id, entry) = {
            let known = self.known.lock();
            if !known.is_kept {
                return Ok(());
            }
            (known.record.request_id.clone(), known.entry)
        };
        let mut keys = vec![
            self.keys.index(),
            self.keys.records(),
            self.keys.requests(),
            self.keys.turn_ends(),
        ];
        keys.extend(keys_of(&self.keys, ITEMS, &self.id, entry.items));
        keys.extend(keys_of(&self.keys, BODY, &self.id, entry.body));
        let mut delete = self.command(&self.state.delete, &keys);
        delete.arg(&self.id).arg(self.keys.request(&request_id));
        Ok(self.expect(delete, "deleted").await?)
    }

    pub async fn end(&self) {
        if self.has_ended.swap(true, Ordering::Relaxed) {
            return;
        }
        self.lease.give_up();
        // Without an answer, it expires.
        let _ = self.state.ask::<String>(self.ending()).await;
    }

    fn ending(&self) -> RedisCommand {
        let keys = [self.keys.index(), self.keys.turn_ends()];
        let mut end = self.command(&self.state.end_turn, &keys);
        end.arg(&self.id).arg(self.state.lifetime);
        end
    }

    /// A script on the turn and more keys, whose first argument is who has the turn.
    fn command(&self, script: &RedisScript, more: &[String]) -> RedisCommand {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let mut command = script.on(&self.keys.turn(&self.id), &more);
        command.arg(&self.lease.token);
        command
    }

    async fn expect(&self, command: RedisCommand, done: &str) -> Result<(), SharedStateError> {
        let answer: String = self.state.ask(command).await?;
        (answer == done)
            .then_some(())
            .ok_or(SharedStateError::TurnLost)
    }
}

impl Drop for SharedTurn {
    fn drop(&mut self) {
        let is_kept = self.known.get_mut().is_kept;
        let has_ended = self.has_ended.swap(true, Ordering::Relaxed);
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && is_kept
            && !has_ended
        {
            let (state, end) = (Arc::clone(&self.state), self.ending());
            runtime.spawn(async move {
                let _ = state.ask::<String>(end).await;
            });
        }
    }
}
