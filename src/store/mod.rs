//! Redis, where replicas keep what they share: the usage of clients, nonces,
//! and the remaining quota of the API. All of them use one connection and one
//! view of its health.
//!
//! Calls wait for the answers, so the timeout is short: after a first failure,
//! Redis is not queried at all, and a background task checks whether it has
//! recovered.

mod config;
mod health;

pub use config::{StoreAddress, StoreFailureMode};
pub use health::StoreHealth;

use redis::{
    Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use secrecy::ExposeSecret;
use std::{fmt, sync::Arc, time::Duration};
use thiserror::Error;

/// Redis is close; if it takes longer than this, it counts as unreachable.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often an unreachable Redis is probed: at first, and at last.
const LOOK: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What Redis must be able to do: run a script that writes.
const PROBE: &str = "return redis.call('SET', KEYS[1], 1, 'PX', 1000)";

/// `limits.store` is not a valid Redis URL. It may contain a password, so it is
/// not quoted.
#[derive(Debug, Clone, Copy, Error)]
#[error("limits.store is not a valid Redis URL")]
pub struct NoAddress;

/// A connection to Redis. Cloning is cheap; all clones share the connection.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    connection: ConnectionManager,
    health: StoreHealth,
    on_failure: StoreFailureMode,
}

// === impl Store ===

impl Store {
    /// The Redis at an address; `None` for [`StoreAddress::Memory`]. Connects
    /// at the first query, and again whenever the connection has broken.
    ///
    /// # Errors
    /// When the address is not a valid Redis URL.
    pub fn open(
        address: &StoreAddress,
        on_failure: StoreFailureMode,
    ) -> Result<Option<Store>, NoAddress> {
        let StoreAddress::Redis(address) = address else {
            return Ok(None);
        };
        let client = Client::open(address.expose_secret()).map_err(|_| NoAddress)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(100))
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let connection =
            ConnectionManager::new_lazy_with_config(client, config).map_err(|_| NoAddress)?;
        Ok(Some(Store(Arc::new(Inner {
            connection,
            health: StoreHealth::default(),
            on_failure,
        }))))
    }

    /// Whether Redis is reachable.
    pub fn health(&self) -> &StoreHealth {
        &self.0.health
    }

    /// What happens while Redis is unreachable.
    pub fn on_failure(&self) -> StoreFailureMode {
        self.0.on_failure
    }

    /// Runs a query; `None` when there is no answer, at once while Redis is
    /// known to be unreachable.
    pub async fn query<T, F>(&self, question: impl FnOnce(ConnectionManager) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        if self.0.health.is_down() {
            return None;
        }
        match within(question(self.0.connection.clone())).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                // However often the connection flaps, only one task probes it.
                let shaky = self.0.health.is_shaky();
                if self.0.health.gone(&error) {
                    tokio::spawn(self.look_until_back(shaky));
                }
                None
            }
        }
    }

    /// Completes when Redis is reachable again, or when all clones of the store
    /// are dropped.
    fn look_until_back(&self, shaky: bool) -> impl Future<Output = ()> + Send + 'static {
        let inner = Arc::downgrade(&self.0);
        let (shortest, longest) = LOOK;
        let mut pause = if shaky { longest } else { Duration::ZERO };
        async move {
            let probe = Script::new(PROBE);
            loop {
                tokio::time::sleep(pause).await;
                pause = (2 * pause).clamp(shortest, longest);
                let Some(inner) = inner.upgrade() else { return };
                let mut connection = inner.connection.clone();
                let probe = probe.key("claude-grpc:probe");
                let answer = within(probe.invoke_async::<()>(&mut connection)).await;
                if answer.is_ok() {
                    inner.health.back();
                    return;
                }
            }
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

/// The library's own timeouts do not cover reconnecting.
async fn within<T>(answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    match tokio::time::timeout(2 * PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;
    use std::time::Instant;

    #[tokio::test]
    async fn only_the_first_question_waits_for_a_redis_that_is_silent() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", silent.local_addr().unwrap());
        let address = StoreAddress::Redis(SecretString::from(url));
        let store = Store::open(&address, StoreFailureMode::FailOpen).unwrap();
        let store = store.unwrap();
        let ping = async || {
            let ping = redis::cmd("PING");
            let asked = store.query(async |mut redis| ping.query_async::<()>(&mut redis).await);
            asked.await
        };
        assert_eq!(ping().await, None);
        assert!(store.health().is_down());
        let began = Instant::now();
        for _ in 0..100 {
            assert_eq!(ping().await, None);
        }
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        assert_eq!(store.health().failures(), 1);
    }
}
