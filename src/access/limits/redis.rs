//! Usage, kept in Redis for all replicas. Each decision is one script, so one
//! round trip that is atomic with respect to other decisions.

use super::{
    amounts::{Correction, UsageAmounts, figures},
    calendar::Date,
    exceeded::{LIMITS, Limit},
};
use crate::{
    access::ClientLimits,
    store::{RedisCommand, RedisScript, Store},
};
use data_encoding::HEXLOWER;
use std::{fmt, time::Duration};

/// Reserves an amount: `{}` on success, otherwise pairs of the number of a
/// limit and the milliseconds until there is room.
const TAKE: &str = include_str!("take.lua");

/// Corrects a reservation.
const CORRECT: &str = include_str!("correct.lua");

/// Records a nonce; returns whether it is new.
const NOTE: &str = include_str!("note.lua");

/// The usage of all clients of all replicas.
#[derive(Clone)]
pub struct RedisStore {
    store: Store,
    take: RedisScript,
    correct: RedisScript,
    note: RedisScript,
    /// How long a call counts as concurrent: after that, its replica must have
    /// died.
    lease: Duration,
}

impl RedisStore {
    /// Usage in this Redis. `lease` is the maximum duration of a call.
    pub fn new(store: Store, lease: Duration) -> Self {
        RedisStore {
            store,
            take: RedisScript::new(TAKE),
            correct: RedisScript::new(CORRECT),
            note: RedisScript::new(NOTE),
            lease,
        }
    }

    /// The underlying Redis.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Reserves an amount, or returns the limits that it would exceed. `lease`
    /// identifies the concurrent call. `None` when Redis is unreachable.
    pub async fn take(
        &self,
        client: &str,
        limits: &ClientLimits,
        ask: UsageAmounts,
        lease: &str,
        now: Duration,
    ) -> Option<Result<(), Vec<(Limit, Duration)>>> {
        let date = Date::from_unix(now);
        let mut script = self.take.on(&usage_key(client), &[&leases_key(client)]);
        for figure in figures(limits) {
            script.arg(figure.map_or(-1, |it| i64::try_from(it).unwrap_or(i64::MAX)));
        }
        script
            .arg(ask.requests)
            .arg(ask.in_flight)
            .arg(ask.input)
            .arg(ask.output)
            .arg(ask.nanodollars)
            .arg(lease)
            .arg(self.lease.as_secs())
            .arg(date.day)
            .arg(date.month)
            .arg(millis(date.day_left))
            .arg(millis(date.month_left));
        let over: Vec<u64> = self.store.query(script).await?;
        if over.is_empty() {
            return Some(Ok(()));
        }
        let pairs = over.chunks_exact(2).filter_map(|pair| {
            let limit = LIMITS.get(usize::try_from(pair[0]).ok()?)?;
            Some((*limit, Duration::from_millis(pair[1])))
        });
        Some(Err(pairs.collect()))
    }

    /// Corrects a reservation. `None` when Redis is unreachable.
    pub async fn correct(
        &self,
        client: &str,
        limits: &ClientLimits,
        correction: Correction,
    ) -> Option<()> {
        let figures = figures(limits);
        let mut script = self.correct.on(&usage_key(client), &[]);
        for figure in [figures[1], figures[2]] {
            script.arg(figure.map_or(-1, |it| i64::try_from(it).unwrap_or(i64::MAX)));
        }
        script
            .arg(correction.input)
            .arg(correction.output)
            .arg(correction.nanodollars)
            .arg(correction.day)
            .arg(correction.month);
        self.store.query(script).await
    }

    /// Releases a concurrent call. `None` when Redis is unreachable; the call
    /// is then released when its lease expires.
    pub async fn release(&self, client: &str, lease: &str) -> Option<()> {
        let mut command = RedisCommand::new("ZREM", &leases_key(client));
        command.arg(lease);
        self.store.query(command).await
    }

    /// Records a nonce for a time; returns whether it is new. `None` when Redis
    /// is unreachable, or out of memory.
    pub async fn note(&self, key_id: &str, nonce: &str, kept_for: Duration) -> Option<bool> {
        // A key of its own, and so a slot of its own in a cluster.
        let key = format!("claude-grpc:nonce:{key_id}:{nonce}");
        let mut script = self.note.on(&key, &[]);
        script
            .arg(HEXLOWER.encode(&rand::random::<[u8; 16]>()))
            // The last moment of the time itself still counts.
            .arg(millis(kept_for) + 1000);
        self.store.query(script).await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisStore")
    }
}

/// The braces keep both keys of a client in one slot of a Redis cluster, and
/// those of different clients in different ones.
fn usage_key(client: &str) -> String {
    format!("claude-grpc:{{{client}}}:usage")
}

fn leases_key(client: &str) -> String {
    format!("claude-grpc:{{{client}}}:leases")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
