//! Charges clients, in whichever store is configured and answers.

use super::{
    budgets::BudgetFile,
    calendar::Date,
    config::{LimitsConfig, OnStoreFailure},
    memory::{MemoryStore, Spent},
    meter::{self, Use},
    prices::{Nanodollars, Prices},
    reached::Refused,
    redis::RedisStore,
};
use crate::{
    access::{Clock, Identity, hex},
    claude::answer::Usage,
};
use ::redis::RedisError;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use thiserror::Error;

/// Usage cannot be kept where it is configured to be.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The budget file cannot be used.
    #[error("the budget file {} cannot be used: {source}", path.display())]
    BudgetFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// The address of Redis is none. It may have a password, so it is not
    /// quoted.
    #[error("limits.store is no address of Redis")]
    Address,
}

/// What the replicas together say of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedNonce {
    /// None of them has seen it, as far as can be told.
    New,
    /// One of them has.
    Seen,
    /// Nobody can tell, and then it is refused.
    Unreachable,
}

/// What clients have used. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    memory: MemoryStore,
    redis: Option<RedisStore>,
    on_failure: OnStoreFailure,
    health: StoreHealth,
    prices: Prices,
    clock: Clock,
}

/// Whether Redis answers. Clones share the figures.
#[derive(Debug, Clone, Default)]
pub struct StoreHealth(Arc<Health>);

#[derive(Debug, Default)]
struct Health {
    down: AtomicBool,
    failures: AtomicU64,
}

/// A charge, to be corrected or given back.
#[derive(Debug)]
pub struct Receipt {
    ledger: Ledger,
    identity: Arc<Identity>,
    charged: Use,
    date: Date,
    /// The lease in Redis; `None` when the charge is in memory.
    lease: Option<String>,
}

impl Ledger {
    /// As configured. `longest_call` is how long a call can hold its place
    /// among those in flight.
    ///
    /// # Errors
    /// When the budget file or the address of Redis cannot be used. Redis
    /// itself need not be there.
    pub fn open(
        config: &LimitsConfig,
        longest_call: Duration,
        clock: Clock,
    ) -> Result<Ledger, LedgerError> {
        let redis =
            RedisStore::from_config(config, longest_call).map_err(|_| LedgerError::Address)?;
        let memory = match &config.budget_file {
            Some(path) if redis.is_none() => {
                let date = Date::of(clock.since_1970());
                let opened = BudgetFile::open(path, date.day, date.month);
                let (file, kept) = opened.map_err(|source| LedgerError::BudgetFile {
                    path: path.clone(),
                    source,
                })?;
                MemoryStore::with(Some(file), kept)
            }
            _ => MemoryStore::default(),
        };
        Ok(Ledger(Arc::new(Inner {
            memory,
            redis,
            on_failure: config.on_store_failure,
            health: StoreHealth::default(),
            prices: Prices::new(config.prices.clone()),
            clock,
        })))
    }

    /// What a client has spent in this process, its estimates included; for
    /// metrics. What is kept in Redis is not in it.
    pub fn spent(&self, client: &str) -> Spent {
        self.0.memory.spent(client)
    }

    /// Whether Redis answers.
    pub fn health(&self) -> &StoreHealth {
        &self.0.health
    }

    /// What a usage costs.
    pub(super) fn cost(&self, model: &str, usage: &Usage) -> Nanodollars {
        self.0.prices.cost(model, usage)
    }

    /// Waits until everything that was charged is on disk.
    pub async fn flush(&self) {
        self.0.memory.flush().await;
    }

    /// Notes a nonce for all replicas. Without a shared store each has its
    /// own.
    pub(in crate::access) async fn note_nonce(
        &self,
        key_id: &str,
        nonce: &str,
        kept_for: Duration,
    ) -> SharedNonce {
        let Some(redis) = &self.0.redis else {
            return SharedNonce::New;
        };
        let noted = redis.note(key_id, nonce, kept_for).await;
        match (self.0.health.note(noted), self.0.on_failure) {
            (Some(true), _) | (None, OnStoreFailure::Local) => SharedNonce::New,
            (Some(false), _) => SharedNonce::Seen,
            (None, OnStoreFailure::Refuse) => SharedNonce::Unreachable,
        }
    }

    /// Charges a use.
    ///
    /// # Errors
    /// Why the call may not go.
    pub(super) async fn take(
        &self,
        identity: &Arc<Identity>,
        ask: Use,
    ) -> Result<Receipt, Refused> {
        let now = self.0.clock.since_1970();
        let receipt = |lease| Receipt {
            ledger: self.clone(),
            identity: Arc::clone(identity),
            charged: ask,
            date: Date::of(now),
            lease,
        };
        let reached = |over| Refused::Limit(Box::new(meter::reached(identity, over)));
        if let Some(redis) = &self.0.redis {
            let lease = hex::encode(&rand::random::<[u8; 16]>());
            let asked = redis.take(&identity.name, &identity.limits, ask, &lease, now);
            match self.0.health.note(asked.await) {
                Some(Ok(())) => return Ok(receipt(Some(lease))),
                Some(Err(over)) => return Err(reached(over)),
                None if self.0.on_failure == OnStoreFailure::Refuse => {
                    return Err(Refused::StoreUnreachable);
                }
                None => {}
            }
        }
        let memory = &self.0.memory;
        let asked = memory.take(&identity.name, &identity.limits, ask, now);
        asked.await.map_err(reached)?;
        Ok(receipt(None))
    }
}

impl Receipt {
    /// Corrects the charge to what was used, once. It does not wait.
    pub fn correct(&self, used: &Use) {
        let correction = self.charged.corrected_by(used, self.date);
        let (inner, identity) = (&self.ledger.0, Arc::clone(&self.identity));
        match (&inner.redis, &self.lease) {
            (Some(redis), Some(_)) => {
                let (redis, health) = (redis.clone(), inner.health.clone());
                in_background(async move {
                    let corrected = redis.correct(&identity.name, &identity.limits, correction);
                    health.note(corrected.await);
                });
            }
            _ => inner.memory.correct(
                &identity.name,
                &identity.limits,
                correction,
                inner.clock.since_1970(),
            ),
        }
    }

    /// Gives back the place among the calls in flight. It does not wait.
    pub fn release(&self) {
        let inner = &self.ledger.0;
        match (&inner.redis, &self.lease) {
            (Some(redis), Some(lease)) => {
                let (redis, health) = (redis.clone(), inner.health.clone());
                let (identity, lease) = (Arc::clone(&self.identity), lease.clone());
                in_background(async move {
                    health.note(redis.release(&identity.name, &lease).await);
                });
            }
            _ => inner.memory.release(&self.identity.name),
        }
    }
}

/// Calls end where nothing can be awaited. Without a runtime the process ends
/// as well.
fn in_background(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(work);
    }
}

impl StoreHealth {
    /// Whether Redis did not answer when it was last asked.
    pub fn is_down(&self) -> bool {
        self.0.down.load(Ordering::Relaxed)
    }

    /// How often it did not answer.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// Notes an answer of Redis, and logs when it goes and when it comes back.
    fn note<T>(&self, answer: Result<T, RedisError>) -> Option<T> {
        match answer {
            Ok(answer) => {
                if self.0.down.swap(false, Ordering::Relaxed) {
                    tracing::info!("redis answers again: limits hold over all replicas");
                }
                Some(answer)
            }
            Err(error) => {
                self.0.failures.fetch_add(1, Ordering::Relaxed);
                if !self.0.down.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        kind = ?error.kind(),
                        "redis does not answer: limits do not hold over all replicas"
                    );
                }
                None
            }
        }
    }
}
