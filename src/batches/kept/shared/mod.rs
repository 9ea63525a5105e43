//! Batches in the Redis of `limits.store`: all replicas work on the same ones.
//!
//! **Nothing is sent twice.** A batch is sent in its turn only, and its record says so
//! (`sent`) before it is. The record is written by a script that fails for all but the
//! holder of the turn, so of several replicas one sends. A replica that takes a turn and
//! finds that the batch was sent does not send it before it has searched for it at the
//! API, `batches.search_after` from when the turn was seen to be over. By then nothing of
//! the earlier submission is under way any more: its replica ends it when the turn is
//! over for itself, which is before Redis gives the turn to another. That holds also for
//! a replica that was suspended: whatever it writes fails, and its submission ends as
//! soon as it runs again. What cannot be excluded, since the API knows no id of ours for
//! a submission: a replica that is suspended for longer than a turn and `search_after`
//! with the request half sent, over a connection that the API has kept open.
//!
//! **What Redis loses is lost.** A write that it has acknowledged and then forgets, since
//! it was not on disk or at its replica, is not known to anybody but the replica that
//! wrote it: that one goes on with what it knows, until its turn ends. A failover that
//! forgets an extension gives the turn to another too early, by as much as the master of
//! before was ahead; `batches.search_after` must be longer than that.
//!
//! All keys of a tenant have one hash tag, so that a script stays in one slot of a
//! cluster. The set of tenants is elsewhere: it is written before the first batch.

mod error;
mod index_entry;
mod keys;
mod lease;
mod pieces;
mod state;
mod turn;

pub use error::SharedStateError;
pub use turn::SharedTurn;

use crate::{
    batches::{
        error::BatchError,
        record::{BatchItems, BatchRecord},
    },
    secrets::Keyring,
    store::{RedisCommand, Store},
};
use index_entry::IndexEntry;
use keys::{BatchKeys, TENANTS};
use lease::{LEASE_MS, TurnLease};
use pieces::ITEMS;
use state::{SharedRecord, SharedState};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// The pauses of one that waits for a turn: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// Number of records that are read at once.
const RECORDS: usize = 100;

/// The batches of all replicas. Cloning is cheap.
#[derive(Clone)]
pub struct SharedBatches {
    state: Arc<SharedState>,
    interval: Duration,
}

// === impl SharedBatches ===

impl SharedBatches {
    pub fn new(store: Store, keys: Keyring, retention: Duration, interval: Duration) -> Self {
        SharedBatches {
            state: Arc::new(SharedState::new(store, keys, retention)),
            interval,
        }
    }

    pub async fn begin(
        &self,
        record: BatchRecord,
        max_per_tenant: usize,
    ) -> Result<SharedTurn, BatchError> {
        let keys = BatchKeys::of(&record.tenant);
        let mut begin = self.state.begin.on(&keys.index(), &[&keys.requests()]);
        begin.arg(keys.request(&record.request_id));
        let (earlier, number): (String, usize) = self.state.ask(begin).await?;
        if !earlier.is_empty() {
            return Err(BatchError::Repeated(earlier));
        }
        if number >= max_per_tenant {
            return Err(BatchError::TooMany(max_per_tenant));
        }
        let state = Arc::clone(&self.state);
        Ok(SharedTurn::of_new(state, keys, record, max_per_tenant))
    }

    pub async fn find(&self, tenant: &str, id: &str) -> Result<Arc<BatchRecord>, BatchError> {
        let keys = BatchKeys::of(tenant);
        let mut get = RedisCommand::new("HGET", &keys.records());
        get.arg(id);
        let token: Option<String> = self.state.ask(get).await?;
        let token = token.ok_or(BatchError::Unknown)?;
        Ok(Arc::new(self.state.opened_record(&keys, id, &token)?))
    }

    pub async fn of_tenant(&self, tenant: &str) -> Result<Vec<Arc<BatchRecord>>, BatchError> {
        let records = self.records(&BatchKeys::of(tenant)).await?;
        let records: Result<Vec<_>, SharedStateError> = records.into_iter().collect();
        Ok(records?)
    }

    /// All batches that can be read: one that cannot must not keep the others from being
    /// looked after.
    pub async fn all(&self) -> Result<Vec<Arc<BatchRecord>>, BatchError> {
        let tenants: Vec<String> = self.state.ask(self.state.tenants.on(TENANTS, &[])).await?;
        let mut all = Vec::new();
        for tag in tenants {
            for record in self.records(&BatchKeys::tagged(tag)).await? {
                match record {
                    Ok(record) => all.push(record),
                    Err(error) => tracing::error!(%error, "failed to read a batch"),
                }
            }
        }
        Ok(all)
    }

    /// The records of a tenant.
    async fn records(
        &self,
        keys: &BatchKeys,
    ) -> Result<Vec<Result<Arc<BatchRecord>, SharedStateError>>, SharedStateError> {
        let index = RedisCommand::new("HGETALL", &keys.index());
        let index: BTreeMap<String, String> = self.state.ask(index).await?;
        let ids: Vec<String> = index.into_keys().collect();
        let mut records = Vec::with_capacity(ids.len());
        for ids in ids.chunks(RECORDS) {
            let mut get = RedisCommand::new("HMGET", &keys.records());
            get.arg(ids);
            let tokens: Vec<Option<String>> = self.state.ask(get).await?;
            // One that is missing has been deleted in the meantime.
            let kept = ids
                .iter()
                .zip(tokens)
                .filter_map(|(id, it)| Some((id, it?)));
            records.extend(kept.map(|(id, token)| {
                let record = self.state.opened_record(keys, id, &token);
                record.map(Arc::new)
            }));
        }
        Ok(records)
    }

    pub async fn turn(&self, tenant: &str, id: &str) -> Result<SharedTurn, BatchError> {
        let (mut pause, longest) = PAUSE;
        loop {
            if let Some(turn) = self.try_turn(tenant, id).await? {
                return Ok(turn);
            }
            sleep(pause).await;
            pause = (2 * pause).min(longest);
        }
    }

    pub async fn try_turn(&self, tenant: &str, id: &str) -> Result<Option<SharedTurn>, BatchError> {
        // In a task of its own: a turn that is taken for a caller who has left must end.
        let (batches, tenant, id) = (self.clone(), tenant.to_owned(), id.to_owned());
        let taken = tokio::spawn(async move { batches.take_turn(&tenant, &id).await });
        taken.await.unwrap_or(Err(BatchError::Interrupted))
    }

    async fn take_turn(&self, tenant: &str, id: &str) -> Result<Option<SharedTurn>, BatchError> {
        let (state, keys) = (&self.state, BatchKeys::of(tenant));
        let lease = TurnLease::new();
        let more = [keys.index(), keys.records(), keys.turn_ends()];
        let more = more.each_ref().map(String::as_str);
        let mut take = state.take_turn.on(&keys.turn(id), &more);
        take.arg(&lease.token)
            .arg(LEASE_MS)
            .arg(id)
            .arg(state.lifetime);
        let asked = Instant::now();
        let answer: Vec<String> = state.ask(take).await?;
        match answer.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["held"] => Ok(None),
            ["unknown"] => Err(BatchError::Unknown),
            ["taken", entry, token, over_for] => {
                let over_for = over_for.parse().map_err(|_| SharedStateError::Invalid)?;
                let of = SharedRecord {
                    record: state.opened_record(&keys, id, token)?,
                    entry: entry
                        .parse::<IndexEntry>()
                        .map_err(SharedStateError::from)?,
                };
                let over_for = Duration::from_millis(over_for);
                let turn = SharedTurn::taken(Arc::clone(state), keys, lease, of, over_for);
                turn.keep(asked);
                Ok(Some(turn))
            }
            _ => Err(SharedStateError::Invalid.into()),
        }
    }

    /// Whether a batch is to be looked after by this replica now, and not by another
    /// until the interval has passed.
    pub async fn is_due(&self, record: &BatchRecord) -> Result<bool, BatchError> {
        let key = BatchKeys::of(&record.tenant).round(&record.id);
        let mut begin = RedisCommand::new("SET", &key);
        let interval = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX);
        begin.arg(1).arg("NX").arg("PX").arg(interval.max(1));
        let begun: Option<String> = self.state.ask(begin).await?;
        Ok(begun.is_some())
    }

    pub async fn items(&self, tenant: &str, id: &str) -> Result<BatchItems, BatchError> {
        let keys = BatchKeys::of(tenant);
        let mut get = RedisCommand::new("HGET", &keys.index());
        get.arg(id);
        let entry: Option<String> = self.state.ask(get).await?;
        let entry = entry.ok_or(BatchError::Unknown)?;
        let entry: IndexEntry = entry.parse().map_err(SharedStateError::from)?;
        let pieces = self.state.read_pieces(&keys, ITEMS, id, entry.items);
        let items: BatchItems = self.state.opened(&pieces.await?)?;
        let items = Some(items).filter(|items| items.batch == id);
        Ok(items.ok_or(SharedStateError::Invalid)?)
    }
}

#[cfg(test)]
mod tests;
