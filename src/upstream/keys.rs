//! The API keys, and which of them an attempt is made with.
//!
//! Calls spread over the keys that work: the one whose limits have room
//! soonest, in turn among equals. A key that the API refuses is set aside for a
//! while, and the call goes on with another at once, which does not count as a
//! retry. Only when no other is left does the caller see the refusal.

use super::{
    ApiFailure, Call, Payload, Reply, UpstreamError,
    attempt::Attempt,
    fingerprint::Fingerprint,
    limits::LimitsSeen,
    pacing::{self, Ledger},
};
use crate::layer::{Next, Rule};
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use thiserror::Error;
use tokio::time::Instant;

/// How long a refused key is set aside: it may be mended meanwhile.
const ASIDE: Duration = Duration::from_secs(60);

/// Callers name the models: beyond so many for which a key was refused, the
/// oldest is forgotten.
const MAX_REFUSALS: usize = 64;

/// One API key.
pub struct Key {
    /// Tells keys apart without showing them.
    name: Arc<str>,
    fingerprint: Fingerprint,
    /// `authorization`, marked as sensitive.
    authorization: HeaderValue,
    refusals: Mutex<Vec<Refusal>>,
    /// Their number, to be read without the lock.
    refused: AtomicUsize,
}

/// Why and until when a key is set aside.
struct Refusal {
    /// For this model only: a key may lack the permission for one.
    model: Option<Arc<str>>,
    until: Instant,
    error: UpstreamError,
}

/// A key cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an API key is empty or has characters that no HTTP header can carry")]
pub struct UnusableKey;

// === impl Key ===

impl Key {
    /// A key as it was configured, and a name to tell it apart by. Blanks
    /// around it are dropped: files end in a newline.
    ///
    /// # Errors
    /// [`UnusableKey`] when it is empty or no header can carry it.
    pub fn new(name: &str, secret: &SecretString) -> Result<Key, UnusableKey> {
        let secret = secret.expose_secret().trim();
        if secret.is_empty() || secret.contains(char::is_whitespace) {
            return Err(UnusableKey);
        }
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {secret}")).map_err(|_| UnusableKey)?;
        authorization.set_sensitive(true);
        Ok(Key {
            name: Arc::from(name),
            fingerprint: Fingerprint::of(secret),
            authorization,
            refusals: Mutex::default(),
            refused: AtomicUsize::new(0),
        })
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What all replicas know it by.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The header that carries the key.
    pub fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }

    /// Why the key is set aside for a model, if it is.
    fn refusal(&self, model: &str) -> Option<UpstreamError> {
        if self.refused.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut refusals = self.refusals();
        let now = Instant::now();
        refusals.retain(|refusal| refusal.until > now);
        self.refused.store(refusals.len(), Ordering::Relaxed);
        let refusal = refusals
            .iter()
            .find(|it| it.model.as_deref().is_none_or(|only| only == model))?;
        Some(refusal.error.clone())
    }

    fn set_aside(&self, model: Option<Arc<str>>, error: &UpstreamError) {
        let mut refusals = self.refusals();
        if refusals.iter().any(|it| it.model == model) {
            return;
        }
        // So rare that it may be a span of its own among those of calls.
        let _span = tracing::error_span!("key set aside", key = %self.name).entered();
        tracing::error!(key = %self.name, model = model.as_deref(), %error, "the Claude API refused a key: it is set aside");
        if refusals.len() >= MAX_REFUSALS {
            refusals.remove(0);
        }
        refusals.push(Refusal {
            model,
            until: Instant::now() + ASIDE,
            error: error.clone(),
        });
        self.refused.store(refusals.len(), Ordering::Relaxed);
    }

    fn refusals(&self) -> MutexGuard<'_, Vec<Refusal>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, [redacted])", self.name)
    }
}

/// All keys. Cloning is cheap; all clones see a replacement.
#[derive(Debug, Clone)]
pub struct Keys(Arc<RwLock<Arc<[Arc<Key>]>>>);

// === impl Keys ===

impl Keys {
    /// These keys.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Keys(Arc::new(RwLock::new(ring(keys))))
    }

    /// These keys from now on. Attempts under way keep theirs.
    pub fn replace(&self, keys: impl IntoIterator<Item = Key>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ring(keys);
    }

    /// All keys, with why each is set aside altogether, if it is.
    pub fn refused(&self) -> Vec<(Arc<str>, Option<UpstreamError>)> {
        let keys = self.current();
        let states = keys
            .iter()
            .map(|key| (Arc::clone(&key.name), key.refusal("")));
        states.collect()
    }

    fn current(&self) -> Arc<[Arc<Key>]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn ring(keys: impl IntoIterator<Item = Key>) -> Arc<[Arc<Key>]> {
    keys.into_iter().map(Arc::new).collect()
}

/// Chooses the key of each attempt, and another when it is refused.
#[derive(Debug)]
pub struct SelectKey {
    keys: Keys,
    ledger: Ledger,
    turn: AtomicUsize,
}

impl SelectKey {
    /// Attempts are made with one of these keys, whose limits the ledger knows.
    pub fn new(keys: Keys, ledger: Ledger) -> Self {
        SelectKey {
            keys,
            ledger,
            turn: AtomicUsize::new(0),
        }
    }

    /// The best of the keys that were not tried yet.
    ///
    /// # Errors
    /// Why there is none.
    fn choose(&self, call: &Call, tried: &[Arc<Key>]) -> Result<Arc<Key>, UpstreamError> {
        let keys = self.keys.current();
        let mut refusal = UpstreamError::NoUsableKey;
        let mut usable: Vec<&Arc<Key>> = Vec::with_capacity(keys.len());
        for key in keys.iter() {
            match key.refusal(&call.model) {
                Some(error) => refusal = error,
                None if tried.iter().any(|one| Arc::ptr_eq(one, key)) => {}
                None => usable.push(key),
            }
        }
        if let [] | [_] = usable[..] {
            return usable.first().map(|key| Arc::clone(key)).ok_or(refusal);
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % usable.len();
        usable.rotate_left(turn);
        let soonest = usable.into_iter().min_by_key(|key| self.wait(key, call));
        soonest.map(Arc::clone).ok_or(refusal)
    }

    fn wait(&self, key: &Key, call: &Call) -> Duration {
        match call.payload {
            Payload::Messages { .. } => self
                .ledger
                .account(key, &call.model)
                .wait(pacing::cost(call), call.priority),
            _ => Duration::ZERO,
        }
    }
}

impl Rule<Call> for SelectKey {
    type Inner = Attempt;
    type Response = Reply;
    type Error = UpstreamError;

    async fn call(
        &self,
        call: Call,
        mut next: impl Next<Attempt, Reply, UpstreamError>,
    ) -> Result<Reply, UpstreamError> {
        let mut tried = Vec::new();
        let mut key = self.choose(&call, &tried)?;
        loop {
            let attempt = Attempt {
                traceparent: None,
                tracestate: None,
                call: call.clone(),
                key: Arc::clone(&key),
                limits_seen: LimitsSeen::default(),
            };
            let error = match next.run(attempt).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            match blame(&error) {
                Blame::Key => key.set_aside(None, &error),
                Blame::KeyForModel => key.set_aside(Some(Arc::clone(&call.model)), &error),
                Blame::Limits => {}
                Blame::Nobody => return Err(error),
            }
            tried.push(key);
            key = match self.choose(&call, &tried) {
                Ok(another) => another,
                Err(_) => return Err(error),
            };
        }
    }
}

/// What a failure says about the key.
enum Blame {
    Nobody,
    /// The key is of no use.
    Key,
    /// The key is of no use for this model.
    KeyForModel,
    /// The key's limits are reached; another key has its own.
    Limits,
}

fn blame(error: &UpstreamError) -> Blame {
    let UpstreamError::Api(failure) = error else {
        return match error {
            UpstreamError::QuotaExhausted { .. } => Blame::Limits,
            _ => Blame::Nobody,
        };
    };
    match failure.status {
        401 | 402 => Blame::Key,
        403 => Blame::KeyForModel,
        429 if ApiFailure::is_spend_limit(failure) => Blame::Key,
        429 => Blame::Limits,
        _ => Blame::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> Result<Key, UnusableKey> {
        Key::new("key-1", &SecretString::from(secret))
    }

    #[test]
    fn a_key_never_shows() {
        let key = key("sk-ant-secret\n").unwrap();
        assert_eq!(format!("{key:?}"), "Key(key-1, [redacted])");
        assert!(!format!("{:?}", key.authorization()).contains("secret"));
        assert_eq!(key.authorization(), "Bearer sk-ant-secret");
    }

    #[test]
    fn a_key_that_cannot_be_sent_is_refused() {
        for secret in ["", " \n", "two words", "line\nbreak", "nul\0"] {
            assert_eq!(key(secret).err(), Some(UnusableKey), "{secret:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_key_comes_back_after_a_while() {
        let key = key("a").unwrap();
        key.set_aside(Some(Arc::from("opus")), &UpstreamError::NoUsableKey);
        assert!(key.refusal("opus").is_some());
        assert!(key.refusal("haiku").is_none());
        key.set_aside(None, &UpstreamError::NoUsableKey);
        assert!(key.refusal("haiku").is_some());
        tokio::time::advance(ASIDE).await;
        assert!(key.refusal("haiku").is_none());
        assert!(key.refusal("opus").is_none());
    }
}
