//! Usage, kept in Redis for all replicas. Each decision is one script, so one
//! round trip that no other decision comes between.

use super::{
    calendar::Date,
    config::LimitsConfig,
    meter::{Correction, Use, figures},
    reached::{LIMITS, Limit},
};
use crate::access::ClientLimits;
use ::redis::{
    Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use secrecy::{ExposeSecret, SecretString};
use std::{fmt, time::Duration};

/// Redis is near; one that takes longer is taken for gone, since every call
/// waits for it.
const PATIENCE: Duration = Duration::from_millis(250);

/// Asks for a use: `{}` when it was charged, else pairs of the number of a
/// limit and the milliseconds until there is room.
const TAKE: &str = include_str!("take.lua");

/// Corrects a charge.
const CORRECT: &str = include_str!("correct.lua");

/// The usage of all clients of all replicas.
#[derive(Clone)]
pub struct RedisStore {
    connection: ConnectionManager,
    take: Script,
    correct: Script,
    /// How long a call can hold its place: longer, and its replica has died.
    lease: Duration,
}

impl RedisStore {
    /// A store at an address. It connects when it is first asked, and again
    /// whenever the connection has broken.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(address: &SecretString, lease: Duration) -> Result<Self, RedisError> {
        let client = Client::open(address.expose_secret())?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(100))
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        Ok(RedisStore {
            connection: ConnectionManager::new_lazy_with_config(client, config)?,
            take: Script::new(TAKE),
            correct: Script::new(CORRECT),
            lease,
        })
    }

    /// Charges a use, or tells which limits it would go over. `lease` names
    /// the place among the calls in flight.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn take(
        &self,
        client: &str,
        limits: &ClientLimits,
        ask: Use,
        lease: &str,
        now: Duration,
    ) -> Result<Result<(), Vec<(Limit, Duration)>>, RedisError> {
        let date = Date::of(now);
        let mut script = self.take.prepare_invoke();
        script.key(usage_key(client)).key(leases_key(client));
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
        let mut connection = self.connection.clone();
        let over: Vec<u64> = within(script.invoke_async(&mut connection)).await?;
        if over.is_empty() {
            return Ok(Ok(()));
        }
        let pairs = over.chunks_exact(2).filter_map(|pair| {
            let limit = LIMITS.get(usize::try_from(pair[0]).ok()?)?;
            Some((*limit, Duration::from_millis(pair[1])))
        });
        Ok(Err(pairs.collect()))
    }

    /// Corrects a charge.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn correct(
        &self,
        client: &str,
        limits: &ClientLimits,
        correction: Correction,
    ) -> Result<(), RedisError> {
        let figures = figures(limits);
        let mut script = self.correct.prepare_invoke();
        script.key(usage_key(client));
        for figure in [figures[1], figures[2]] {
            script.arg(figure.map_or(-1, |it| i64::try_from(it).unwrap_or(i64::MAX)));
        }
        script
            .arg(correction.input)
            .arg(correction.output)
            .arg(correction.nanodollars)
            .arg(correction.day)
            .arg(correction.month);
        let mut connection = self.connection.clone();
        within(script.invoke_async(&mut connection)).await
    }

    /// Gives back a place among the calls in flight.
    ///
    /// # Errors
    /// When Redis does not answer; the place is then free when its lease ends.
    pub async fn release(&self, client: &str, lease: &str) -> Result<(), RedisError> {
        let mut command = ::redis::cmd("ZREM");
        command.arg(leases_key(client)).arg(lease);
        let mut connection = self.connection.clone();
        within(command.query_async(&mut connection)).await
    }

    /// Notes a nonce for a time; whether it is new.
    ///
    /// # Errors
    /// When Redis does not answer, or has no memory left.
    pub async fn note(
        &self,
        key_id: &str,
        nonce: &str,
        kept_for: Duration,
    ) -> Result<bool, RedisError> {
        let mut command = ::redis::cmd("SET");
        command
            .arg(format!("claude-grpc:nonce:{key_id}:{nonce}"))
            .arg(1)
            .arg("NX")
            .arg("PX")
            // The end of the time itself still counts.
            .arg(millis(kept_for) + 1000);
        let mut connection = self.connection.clone();
        let set: Option<String> = within(command.query_async(&mut connection)).await?;
        Ok(set.is_some())
    }

    /// As configured; `None` when usage is kept in memory.
    ///
    /// # Errors
    /// When the address is none.
    pub fn from_config(config: &LimitsConfig, lease: Duration) -> Result<Option<Self>, RedisError> {
        match &config.store {
            super::StoreAddress::Memory => Ok(None),
            super::StoreAddress::Redis(address) => RedisStore::new(address, lease).map(Some),
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisStore")
    }
}

/// The library's own timeouts do not cover reconnecting.
async fn within<T>(answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    match tokio::time::timeout(2 * PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

/// The braces keep both keys of a client on one node of a cluster.
fn usage_key(client: &str) -> String {
    format!("claude-grpc:{{{client}}}:usage")
}

fn leases_key(client: &str) -> String {
    format!("claude-grpc:{{{client}}}:leases")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
