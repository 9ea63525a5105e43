//! Redis, where replicas keep what they share: the usage of clients, nonces,
//! the remaining quota of the API, and what belongs to whom there. All of them use one connection and one
//! view of its health.
//!
//! Redis may be one server, a master that sentinels choose, or a cluster; only
//! `connect` knows the difference. Every key that a script uses with others has
//! the same hash tag, which names one client or tenant, or one API key and model: a script
//! stays in one slot, and different ones spread over all slots.
//!
//! Calls wait for the answers, so the timeout is short. A connection that breaks
//! is made again while the calls wait, for that timeout. When that fails, or
//! Redis answers that it does not serve, Redis is not queried at all, and a
//! background task connects from scratch, at most a second apart, until a probe
//! of everything that calls ask succeeds.

mod address;
mod command;
mod config;
mod connect;
mod failure;
mod failure_kind;
mod health;
mod key_hash;
mod probe;
mod state_place;

pub use address::{RedisAddress, RedisTopology, RedisUrlError};
pub use command::{RedisCommand, RedisScript};
pub use config::{RedisConfig, StoreAddress, StoreFailureMode};
pub use failure::RedisFailure;
pub use failure_kind::RedisFailureKind;
pub use health::StoreHealth;
pub use key_hash::key_hash;
pub use state_place::StatePlace;

use connect::{RedisConnection, RedisFiles};
use probe::RedisProbe;
use redis::{FromRedisValue, RedisError};
use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use thiserror::Error;
use tokio::{sync::watch, time::timeout};

/// Redis is close; if it takes longer than this, it counts as unreachable.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long a call waits for an answer, a new connection included.
const CALL_PATIENCE: Duration = Duration::from_millis(500);

/// How long the background task waits for a connection and the probe: sentinels
/// and TLS need several round trips.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);

/// The pauses between attempts to connect: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// An outage is over when Redis has served for this time.
const STEADY: Duration = Duration::from_secs(5);

/// The store cannot be opened. No password is quoted.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// `limits.store` is not valid.
    #[error("limits.store: {0}")]
    Url(#[from] RedisUrlError),
    /// A file of `limits.redis` cannot be used.
    #[error("{0}")]
    File(RedisFailure),
}

/// Redis. Cloning is cheap; all clones share the connection.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    address: RedisAddress,
    config: RedisConfig,
    link: watch::Sender<Link>,
    probe: RedisProbe,
    health: StoreHealth,
    on_failure: StoreFailureMode,
    /// Number of connections so far.
    connections: AtomicU64,
}

/// What is known of the connection.
#[derive(Clone)]
enum Link {
    /// Nothing has been asked yet.
    Idle,
    /// It is being made, and calls wait for it.
    Connecting,
    /// Redis serves, over the connection with this number.
    Up(RedisConnection, u64),
    /// Redis does not serve, and calls do not wait for it.
    Down,
}

// === impl Store ===

impl Store {
    /// The Redis at an address; `None` for [`StoreAddress::Memory`]. Connects in
    /// the background, or at the first query where there is no runtime yet.
    ///
    /// # Errors
    /// When the URL is not valid or a file of `config` cannot be used. Redis
    /// itself need not be reachable.
    pub fn open(
        address: &StoreAddress,
        config: &RedisConfig,
        on_failure: StoreFailureMode,
    ) -> Result<Option<Store>, StoreError> {
        let Some(address) = address.parse()? else {
            return Ok(None);
        };
        RedisFiles::read(config).map_err(StoreError::File)?;
        let store = Store(Arc::new(Inner {
            address,
            config: config.clone(),
            link: watch::Sender::new(Link::Idle),
            probe: RedisProbe::new(),
            health: StoreHealth::default(),
            on_failure,
            connections: AtomicU64::new(0),
        }));
        if tokio::runtime::Handle::try_current().is_ok() {
            store.connect();
        }
        Ok(Some(store))
    }

    /// Completes when the first attempt to connect has ended, with success or
    /// without: at most two seconds after the store was opened.
    pub async fn attempted(&self) {
        self.connect();
        let mut link = self.0.link.subscribe();
        let ended = link.wait_for(|it| matches!(it, Link::Up(..) | Link::Down));
        let _ = ended.await;
    }

    /// Completes when Redis serves.
    pub async fn up(&self) {
        self.connect();
        let mut link = self.0.link.subscribe();
        let _ = link.wait_for(|it| matches!(it, Link::Up(..))).await;
    }

    /// Whether Redis serves.
    pub fn health(&self) -> &StoreHealth {
        &self.0.health
    }

    /// What happens while Redis does not serve.
    pub fn on_failure(&self) -> StoreFailureMode {
        self.0.on_failure
    }

    /// Runs a command; `None` when there is no answer, at once while Redis is
    /// known not to serve. A command whose connection breaks is sent once more,
    /// over a new one, unless Redis comes and goes: whether it was run is not
    /// known, so it must do no harm twice.
    pub async fn query<T: FromRedisValue>(&self, command: RedisCommand) -> Option<T> {
        let answer = timeout(CALL_PATIENCE, self.answer(&command)).await;
        answer.unwrap_or_else(|_| {
            self.failed(&command, &RedisFailureKind::Timeout.into(), None);
            None
        })
    }

    async fn answer<T: FromRedisValue>(&self, command: &RedisCommand) -> Option<T> {
        let mut is_retry = false;
        loop {
            let (connection, number) = self.connection().await?;
            let error = match within(command.run(connection)).await {
                Ok(answer) => return Some(answer),
                Err(error) => error,
            };
            let is_first = !is_retry && !self.0.health.is_outage();
            if error.is_connection_dropped() && is_first {
                is_retry = true;
                self.0.probe.suspect(command.key());
                self.change(|link| link.is_up(number).then_some(Link::Connecting));
                continue;
            }
            let failure = RedisFailure::of(&error, self.0.is_cluster());
            self.failed(command, &failure, Some(number));
            return None;
        }
    }

    /// The connection and its number; waits for one that is being made. `None`
    /// while Redis does not serve.
    async fn connection(&self) -> Option<(RedisConnection, u64)> {
        match &*self.0.link.borrow() {
            Link::Up(connection, number) => return Some((connection.clone(), *number)),
            Link::Down => return None,
            Link::Idle | Link::Connecting => {}
        }
        self.connect();
        let mut link = self.0.link.subscribe();
        let decided = link.wait_for(|it| matches!(it, Link::Up(..) | Link::Down));
        match &*decided.await.ok()? {
            Link::Up(connection, number) => Some((connection.clone(), *number)),
            _ => {
                self.0.health.count_failure();
                None
            }
        }
    }

    /// Counts a failure, and asks Redis no more if it concerns all commands. What
    /// failed over a connection that was replaced since says nothing about the
    /// new one.
    fn failed(&self, command: &RedisCommand, failure: &RedisFailure, number: Option<u64>) {
        self.0.health.count_failure();
        if !failure.kind.is_outage() {
            self.0.health.refused(failure);
            return;
        }
        self.0.probe.suspect(command.key());
        self.change(|link| {
            let concerns = match number {
                Some(number) => link.is_up(number),
                None => matches!(link, Link::Connecting),
            };
            concerns.then(|| {
                self.0.health.down(failure);
                Link::Down
            })
        });
    }

    fn connect(&self) {
        self.change(|link| matches!(link, Link::Idle).then_some(Link::Connecting));
    }

    /// Changes the state, and connects in the background: however many calls fail
    /// at once, one task does.
    fn change(&self, to: impl FnOnce(&Link) -> Option<Link>) {
        let mut needs_task = false;
        self.0.link.send_if_modified(|link| match to(link) {
            Some(next) => {
                needs_task = !matches!(link, Link::Connecting);
                *link = next;
                true
            }
            None => false,
        });
        if needs_task {
            tokio::spawn(connect_until_up(Arc::downgrade(&self.0)));
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

// === impl Link ===

impl Link {
    /// Whether Redis serves over the connection with this number.
    fn is_up(&self, number: u64) -> bool {
        matches!(self, Link::Up(_, it) if *it == number)
    }
}

// === impl Inner ===

impl Inner {
    fn is_cluster(&self) -> bool {
        self.address.topology == RedisTopology::Cluster
    }

    /// Connects once, and publishes the outcome; returns whether Redis serves.
    async fn attempt_to_change(&self) -> bool {
        let outcome = self.attempt().await;
        let serves = outcome.is_ok();
        self.link.send_modify(|link| {
            *link = match outcome {
                Ok(connection) => {
                    self.health.up();
                    Link::Up(connection, self.connections.fetch_add(1, Ordering::Relaxed))
                }
                Err(failure) => {
                    self.health.down(&failure);
                    Link::Down
                }
            };
        });
        serves
    }

    /// Connects once, and probes.
    async fn attempt(&self) -> Result<RedisConnection, RedisFailure> {
        let connected = async {
            let connection = RedisConnection::connect(&self.address, &self.config, PATIENCE);
            let connection = connection.await?;
            self.probe.ask(&connection, self.is_cluster()).await?;
            Ok(connection)
        };
        timeout(CONNECT_PATIENCE, connected)
            .await
            .unwrap_or_else(|_| Err(RedisFailureKind::Timeout.into()))
    }
}

/// Completes when Redis serves and has done so for a while or has failed again,
/// or when all clones of the store are dropped.
async fn connect_until_up(inner: Weak<Inner>) {
    let (shortest, longest) = PAUSE;
    let mut pause = shortest;
    // A Redis that comes and goes is not asked all the time.
    let comes_and_goes = inner.upgrade().is_some_and(|it| it.health.is_outage());
    if comes_and_goes {
        tokio::time::sleep(longest).await;
    }
    let mut link = loop {
        let Some(inner) = inner.upgrade() else { return };
        if inner.attempt_to_change().await {
            break inner.link.subscribe();
        }
        drop(inner);
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(longest);
    };
    let fails = link.wait_for(|link| !matches!(link, Link::Up(..)));
    if timeout(STEADY, fails).await.is_err()
        && let Some(inner) = inner.upgrade()
    {
        inner.health.settled();
    }
}

/// The library's own timeouts do not cover everything.
async fn within<T>(answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    match timeout(PATIENCE, answer).await {
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
        let store = Store::open(
            &address,
            &RedisConfig::default(),
            StoreFailureMode::FailOpen,
        );
        let store = store.unwrap().unwrap();
        let ask = async || store.query::<()>(RedisCommand::new("GET", "a")).await;
        assert_eq!(ask().await, None);
        assert!(store.health().is_down());
        let began = Instant::now();
        for _ in 0..100 {
            assert_eq!(ask().await, None);
        }
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        assert_eq!(store.health().failures(), 1);
    }
}
