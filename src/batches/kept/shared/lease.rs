//! The turn of a batch across replicas: a key in Redis that expires, so that a replica
//! that dies leaves its turns to others. It is extended while the work goes on.
//!
//! The holder counts the time from before each extension is sent, so its turn is over
//! for itself before it is for Redis. A turn that expires while Redis is away is taken
//! up again, if nobody else has it by then.

use super::state::SharedState;
use crate::store::RedisCommand;
use data_encoding::HEXLOWER;
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep, sleep_until},
};

/// How long a turn lasts that is not extended. A failover of Redis takes less.
const LEASE: Duration = Duration::from_secs(20);

/// How often a turn is extended.
const EXTENSION: Duration = Duration::from_secs(5);

/// How soon an extension is tried again that had no answer.
const PAUSE: Duration = Duration::from_millis(500);

/// The milliseconds that a turn lasts, for scripts.
pub const LEASE_MS: u64 = 1000 * LEASE.as_secs();

/// A turn, from [`TurnLease::keep`] on.
pub struct TurnLease {
    /// Random, so that nobody ends the turn of another.
    pub token: String,
    until: Arc<watch::Sender<Instant>>,
    extension: OnceLock<AbortHandle>,
}

// === impl TurnLease ===

impl TurnLease {
    /// A turn that is about to be asked for.
    pub fn new() -> Self {
        TurnLease {
            token: HEXLOWER.encode(&rand::random::<[u8; 16]>()),
            until: Arc::new(watch::Sender::new(Instant::now())),
            extension: OnceLock::new(),
        }
    }

    /// Extends the turn with this key, which was asked for at this time with success,
    /// until this is dropped or given up.
    pub fn keep(&self, state: &Arc<SharedState>, key: String, asked: Instant) {
        self.until.send_replace(asked + LEASE);
        let extension = extend(
            Arc::clone(state),
            key,
            self.token.clone(),
            Arc::clone(&self.until),
        );
        self.extension
            .get_or_init(|| tokio::spawn(extension).abort_handle());
    }

    /// Extends it no more.
    pub fn give_up(&self) {
        if let Some(extension) = self.extension.get() {
            extension.abort();
        }
    }

    /// Completes when another may have the turn.
    pub async fn lost(&self) {
        let mut until = self.until.subscribe();
        loop {
            let end = *until.borrow_and_update();
            if end <= Instant::now() {
                return;
            }
            tokio::select! {
                () = sleep_until(end) => {}
                _ = until.changed() => {}
            }
        }
    }
}

impl Drop for TurnLease {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Extends a turn until it is lost.
async fn extend(
    state: Arc<SharedState>,
    key: String,
    token: String,
    until: Arc<watch::Sender<Instant>>,
) {
    loop {
        sleep(EXTENSION).await;
        loop {
            let asked = Instant::now();
            let mut command: RedisCommand = state.extend_turn.on(&key, &[]);
            command.arg(&token).arg(LEASE_MS);
            match state.ask::<String>(command).await.as_deref() {
                Ok("extended") => {
                    until.send_replace(asked + LEASE);
                    break;
                }
                Ok(_) => {
                    until.send_replace(asked);
                    return;
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}
