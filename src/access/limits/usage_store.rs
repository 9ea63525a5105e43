//! Reserves and settles usage, in whichever store is configured and reachable.

use super::{
    amounts::{self, Correction, UsageAmounts},
    budgets::BudgetFile,
    calendar::Date,
    config::LimitsConfig,
    exceeded::AccessError,
    memory::{ClientSpend, MemoryStore},
    redis::RedisStore,
};
use crate::{
    access::{ClientLimits, Clock, Identity},
    models::{Day, Nanodollars, PriceTable, Tokens},
    store::{Store, StoreFailureMode, StoreHealth},
};
use data_encoding::HEXLOWER;
use std::{path::PathBuf, sync::Arc, time::Duration};
use thiserror::Error;

/// The usage store cannot be opened.
#[derive(Debug, Error)]
pub enum UsageStoreError {
    /// The budget file cannot be opened.
    #[error("failed to open the budget file {}: {source}", path.display())]
    BudgetFile {
        /// Path of the budget file.
        path: PathBuf,
        /// The underlying error.
        source: Box<redb::Error>,
    },
}

/// What the replicas together know about a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedNonce {
    /// No replica has seen it, as far as is known.
    New,
    /// A replica has seen it.
    Seen,
    /// Redis is unreachable and configured to fail closed.
    Unreachable,
}

/// The usage of clients. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct UsageStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    memory: MemoryStore,
    redis: Option<RedisStore>,
    /// Health of Redis. The memory store cannot fail.
    health: StoreHealth,
    prices: PriceTable,
    clock: Clock,
    /// Different in each process.
    process: u64,
}

/// A reservation, to be settled or released.
#[derive(Debug)]
pub struct UsageReservation {
    usage_store: UsageStore,
    identity: Arc<Identity>,
    charged: UsageAmounts,
    date: Date,
    /// The lease in Redis; `None` when the reservation is in memory.
    lease: Option<String>,
}

impl UsageStore {
    /// The configured store: in Redis if there is one, which is shared with
    /// pacing. `longest_call` is the maximum time for which a call counts as
    /// concurrent.
    ///
    /// # Errors
    /// When the budget file cannot be opened.
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
            prices: PriceTable::new(&config.prices, Day::of(clock.now())),
            clock,
            process: rand::random(),
        })))
    }

    /// What a client has used in this process, estimates included; for metrics.
    /// Usage in Redis is not included.
    pub fn spent(&self, client: &str) -> ClientSpend {
        self.0.memory.spent(client)
    }

    /// Whether Redis is reachable.
    pub fn health(&self) -> &StoreHealth {
        &self.0.health
    }

    /// Waits until all reservations are on disk.
    pub async fn flush(&self) {
        self.0.memory.flush().await;
    }

    /// Records a nonce for all replicas. Without a shared store, each replica
    /// has its own nonces.
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

    /// Reserves a call: one request, and one concurrent call until it is
    /// released.
    ///
    /// # Errors
    /// Why the call is rejected.
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

    /// Reserves the estimated usage of a call, at the price of the dearest of the models
    /// that may be asked; of its own, if it is not known which may.
    ///
    /// # Errors
    /// Why the call is rejected.
    pub async fn reserve_usage(
        &self,
        identity: &Arc<Identity>,
        model: &str,
        asked: &[AttemptedModel],
        estimate: &Tokens,
    ) -> Result<UsageReservation, AccessError> {
        let cost = self.cost(model, estimate);
        if cost.is_none() && identity.limits.are_in_dollars() {
            return Err(AccessError::UnpricedModel(Arc::from(model)));
        }
        let dearest = asked
            .iter()
            .filter_map(|it| self.cost_of(it, estimate))
            .max();
        let cost = dearest.or(cost);
        self.take(identity, amounts_of(estimate, cost)).await
    }

    /// Identifies this process, if the usage in memory is lost with it.
    pub(super) fn process(&self) -> Option<u64> {
        (!self.0.memory.is_on_disk()).then_some(self.0.process)
    }

    /// Whether the usage is in Redis while it answers.
    pub(super) fn is_in_redis(&self) -> bool {
        self.0.redis.is_some()
    }

    /// Corrects what a client has used, where it was reserved. Does not block.
    pub(super) fn correct(
        &self,
        client: &Arc<str>,
        limits: &ClientLimits,
        correction: Correction,
        is_in_redis: bool,
    ) {
        let inner = &self.0;
        match &inner.redis {
            Some(redis) if is_in_redis => {
                let (redis, client, limits) = (redis.clone(), Arc::clone(client), *limits);
                in_background(async move {
                    redis.correct(&client, &limits, correction).await;
                });
            }
            _ => {
                let now = inner.clock.since_1970();
                inner.memory.correct(client, limits, correction, now);
            }
        }
    }

    /// The cost of an attempt; `None` if no price is known.
    fn cost_of(&self, model: &AttemptedModel, tokens: &Tokens) -> Option<Nanodollars> {
        let cost = self.cost(&model.id, tokens);
        cost.or_else(|| self.cost(&model.named, tokens))
    }

    pub(super) fn cost(&self, model: &str, tokens: &Tokens) -> Option<Nanodollars> {
        let today = || Day::of(self.0.clock.now());
        self.0.prices.cost(model, tokens, today)
    }

    pub(super) async fn take(
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
    /// Corrects the reservation to the actual usage of each attempt, once. Does
    /// not block. Without a usage, the whole reservation is returned.
    pub fn settle(&self, attempts: &[(AttemptedModel, Tokens)]) {
        let used = attempts
            .iter()
            .map(|(model, tokens)| amounts_of(tokens, self.usage_store.cost_of(model, tokens)))
            .fold(UsageAmounts::default(), UsageAmounts::plus);
        self.correct(&used);
    }

    /// Corrects the reservation to the actual usage.
    fn correct(&self, used: &UsageAmounts) {
        let correction = self.charged.corrected_by(used, self.date);
        let Identity { name, limits, .. } = &*self.identity;
        let store = &self.usage_store;
        store.correct(name, limits, correction, self.lease.is_some());
    }

    /// The date that it counts for, and whether it is in Redis.
    pub(super) fn place(&self) -> (Date, bool) {
        (self.date, self.lease.is_some())
    }

    /// Releases the concurrent call. Does not block.
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

/// The model of an attempt.
#[derive(Debug, Clone)]
pub struct AttemptedModel {
    /// Its id on the host. Some hosts charge more than others.
    pub id: Arc<str>,
    /// The model by the id with which the caller or the route names it: what an id
    /// without a price of its own costs.
    pub named: Arc<str>,
}

/// Usage in terms of the limits of a client. A model without a price costs nothing: no
/// limit in dollars applies to its callers.
fn amounts_of(tokens: &Tokens, cost: Option<Nanodollars>) -> UsageAmounts {
    UsageAmounts {
        input: tokens.all_input(),
        output: tokens.output,
        nanodollars: cost.unwrap_or(0),
        ..UsageAmounts::default()
    }
}

/// Calls may end where nothing can be awaited. Without a runtime, the process
/// is ending as well.
fn in_background(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(work);
    }
}
