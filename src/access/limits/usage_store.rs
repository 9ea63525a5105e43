//! Charges clients, in whichever store is configured and answers.

use super::{
    amounts::{self, UsageAmounts},
    budgets::BudgetFile,
    calendar::Date,
    config::LimitsConfig,
    exceeded::AccessError,
    memory::{ClientSpend, MemoryStore},
    redis::RedisStore,
};
use crate::{
    access::{Clock, Identity},
    claude::answer::Usage,
    pricing::{PriceTable, Tokens},
    store::{NoAddress, Store, StoreFailureMode, StoreHealth},
};
use data_encoding::HEXLOWER;
use std::{path::PathBuf, sync::Arc, time::Duration};
use thiserror::Error;

/// Usage cannot be kept where it is configured to be.
#[derive(Debug, Error)]
pub enum UsageStoreError {
    /// The budget file cannot be used.
    #[error("failed to open the budget file {}: {source}", path.display())]
    BudgetFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// The store has no address.
    #[error(transparent)]
    Address(#[from] NoAddress),
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
pub struct UsageStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    memory: MemoryStore,
    redis: Option<RedisStore>,
    /// Of the store; in memory nothing fails.
    health: StoreHealth,
    prices: PriceTable,
    clock: Clock,
}

/// A charge, to be corrected or given back.
#[derive(Debug)]
pub struct UsageReservation {
    usage_store: UsageStore,
    identity: Arc<Identity>,
    charged: UsageAmounts,
    date: Date,
    /// The lease in Redis; `None` when the charge is in memory.
    lease: Option<String>,
}

impl UsageStore {
    /// As configured, with a store of its own. `longest_call` is how long a
    /// call can hold its place among those in flight.
    ///
    /// # Errors
    /// When the budget file or the address of Redis cannot be used. Redis
    /// itself need not be there.
    pub fn open(
        config: &LimitsConfig,
        longest_call: Duration,
        clock: Clock,
    ) -> Result<UsageStore, UsageStoreError> {
        let store = Store::open(&config.store, config.store_failure_mode)?;
        UsageStore::with_store(config, store, longest_call, clock)
    }

    /// As configured, in a store that others use too.
    ///
    /// # Errors
    /// When the budget file cannot be used.
    pub fn with_store(
        config: &LimitsConfig,
        store: Option<Store>,
        longest_call: Duration,
        clock: Clock,
    ) -> Result<UsageStore, UsageStoreError> {
        let health = store.as_ref().map(|store| store.health().clone());
        let redis = store.map(|store| RedisStore::new(store, longest_call));
        let memory = match &config.budget_file {
            Some(path) if redis.is_none() => {
                let date = Date::from_unix(clock.since_1970());
                let opened = BudgetFile::open(path, date.day, date.month);
                let (file, kept) = opened.map_err(|source| UsageStoreError::BudgetFile {
                    path: path.clone(),
                    source,
                })?;
                MemoryStore::with(Some(file), kept)
            }
            _ => MemoryStore::default(),
        };
        Ok(UsageStore(Arc::new(Inner {
            memory,
            redis,
            health: health.unwrap_or_default(),
            prices: PriceTable::new(config.prices.clone()),
            clock,
        })))
    }

    /// What a client has spent in this process, its estimates included; for
    /// metrics. What is kept in Redis is not in it.
    pub fn spent(&self, client: &str) -> ClientSpend {
        self.0.memory.spent(client)
    }

    /// Whether Redis answers.
    pub fn health(&self) -> &StoreHealth {
        &self.0.health
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
        match (noted, redis.store().on_failure()) {
            (Some(true), _) | (None, StoreFailureMode::FailOpen) => SharedNonce::New,
            (Some(false), _) => SharedNonce::Seen,
            (None, StoreFailureMode::FailClosed) => SharedNonce::Unreachable,
        }
    }

    /// Charges a call as one request, and as one in flight until it is
    /// released.
    ///
    /// # Errors
    /// Why the call may not go.
    pub async fn reserve_call(
        &self,
        identity: &Arc<Identity>,
    ) -> Result<UsageReservation, AccessError> {
        let ask = UsageAmounts {
            requests: 1,
            in_flight: 1,
            ..UsageAmounts::default()
        };
        self.take(identity, ask).await
    }

    /// Charges what a call is expected to use.
    ///
    /// # Errors
    /// Why the call may not go.
    pub async fn reserve_usage(
        &self,
        identity: &Arc<Identity>,
        model: &str,
        estimate: &Usage,
    ) -> Result<UsageReservation, AccessError> {
        self.take(identity, self.usage(model, estimate)).await
    }

    /// A usage as it counts against the limits of a client.
    fn usage(&self, model: &str, usage: &Usage) -> UsageAmounts {
        let tokens = Tokens::of(usage);
        UsageAmounts {
            input: tokens.all_input(),
            output: tokens.output,
            nanodollars: self.0.prices.cost(model, &tokens),
            ..UsageAmounts::default()
        }
    }

    /// Charges a use.
    async fn take(
        &self,
        identity: &Arc<Identity>,
        ask: UsageAmounts,
    ) -> Result<UsageReservation, AccessError> {
        let now = self.0.clock.since_1970();
        let reservation = |lease| UsageReservation {
            usage_store: self.clone(),
            identity: Arc::clone(identity),
            charged: ask,
            date: Date::from_unix(now),
            lease,
        };
        let exceeded = |over| AccessError::Limit(Box::new(amounts::exceeded(identity, over)));
        if let Some(redis) = &self.0.redis {
            let lease = HEXLOWER.encode(&rand::random::<[u8; 16]>());
            let asked = redis.take(&identity.name, &identity.limits, ask, &lease, now);
            match asked.await {
                Some(Ok(())) => return Ok(reservation(Some(lease))),
                Some(Err(over)) => return Err(exceeded(over)),
                None if redis.store().on_failure() == StoreFailureMode::FailClosed => {
                    return Err(AccessError::StoreUnreachable);
                }
                None => {}
            }
        }
        let memory = &self.0.memory;
        let asked = memory.take(&identity.name, &identity.limits, ask, now);
        asked.await.map_err(exceeded)?;
        Ok(reservation(None))
    }
}

impl UsageReservation {
    /// Corrects the charge to what was used, once. It does not wait. Without a
    /// usage, everything is given back.
    pub fn settle(&self, model: &str, usage: Option<&Usage>) {
        let used = usage.map(|usage| self.usage_store.usage(model, usage));
        self.correct(&used.unwrap_or_default());
    }

    /// Corrects the charge to what was used.
    fn correct(&self, used: &UsageAmounts) {
        let correction = self.charged.corrected_by(used, self.date);
        let (inner, identity) = (&self.usage_store.0, Arc::clone(&self.identity));
        match (&inner.redis, &self.lease) {
            (Some(redis), Some(_)) => {
                let redis = redis.clone();
                in_background(async move {
                    let corrected = redis.correct(&identity.name, &identity.limits, correction);
                    corrected.await;
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
        let inner = &self.usage_store.0;
        match (&inner.redis, &self.lease) {
            (Some(redis), Some(lease)) => {
                let redis = redis.clone();
                let (identity, lease) = (Arc::clone(&self.identity), lease.clone());
                in_background(async move {
                    redis.release(&identity.name, &lease).await;
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
