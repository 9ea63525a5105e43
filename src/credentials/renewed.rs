//! A value that expires and is fetched anew ahead of that.
//!
//! While it is valid nobody waits: the first call that finds it due fetches the next one
//! in a task. Without a valid one, all calls wait for the same fetch. One that failed is
//! not repeated within [`RETRY_AFTER`]; until then calls get its error, or the value that
//! is still valid.

use super::CredentialsError;
use futures::future::BoxFuture;
use parking_lot::RwLock;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// How long before its expiry a value is fetched anew.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// How soon a fetch is repeated that failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Maximum time of a fetch.
const LONGEST_FETCH: Duration = Duration::from_secs(10);

/// A value that was fetched less than this time ago is not fetched again because it is
/// not accepted.
const FRESH: Duration = Duration::from_secs(10);

/// What fetches a value.
pub type Fetch<T> =
    dyn Fn() -> BoxFuture<'static, Result<Expiring<T>, CredentialsError>> + Send + Sync;

/// A value and when it expires.
#[derive(Debug, Clone)]
pub struct Expiring<T> {
    /// The value.
    pub value: T,
    /// When it expires; `None` for one that does not.
    pub expires: Option<SystemTime>,
}

/// A value that is always valid, as far as its source answers. Cloning is cheap.
pub struct Renewed<T>(Arc<Inner<T>>);

struct Inner<T> {
    held: RwLock<Option<Held<T>>>,
    failed: RwLock<Option<(Instant, CredentialsError)>>,
    /// Held by the one who fetches.
    fetching: Mutex<()>,
    fetch: Box<Fetch<T>>,
}

struct Held<T> {
    value: Arc<T>,
    since: Instant,
    expires: Option<SystemTime>,
    /// From when on it is fetched anew.
    due: Option<SystemTime>,
}

impl<T> Clone for Renewed<T> {
    fn clone(&self) -> Self {
        Renewed(Arc::clone(&self.0))
    }
}

// === impl Renewed ===

impl<T: Send + Sync + 'static> Renewed<T> {
    /// A value that this function fetches, at first when it is needed.
    pub fn new(fetch: Box<Fetch<T>>) -> Self {
        Renewed(Arc::new(Inner {
            held: RwLock::new(None),
            failed: RwLock::new(None),
            fetching: Mutex::new(()),
            fetch,
        }))
    }

    /// The value.
    ///
    /// # Errors
    /// When there is no valid one, and none can be fetched.
    pub async fn get(&self) -> Result<Arc<T>, CredentialsError> {
        let inner = &self.0;
        if let Some((value, is_due)) = inner.valid() {
            if is_due && inner.fetching.try_lock().is_ok() {
                let next = self.clone();
                tokio::spawn(async move { next.0.renew(true).await });
            }
            return Ok(value);
        }
        // In a task: a call that ends at its deadline must not end the fetch for others.
        let next = self.clone();
        let renewed = tokio::spawn(async move { next.0.renew(false).await });
        renewed.await.unwrap_or(Err(CredentialsError::TimedOut))
    }

    /// The value is not accepted any more: the next call fetches another one, unless this
    /// one was just fetched. Returns whether it does.
    pub fn reject(&self) -> bool {
        let mut held = self.0.held.write();
        let is_old = held.as_ref().is_none_or(|it| it.since.elapsed() >= FRESH);
        if is_old {
            *held = None;
        }
        is_old
    }
}

impl<T> Inner<T> {
    /// The value, unless it has expired, and whether it is due.
    fn valid(&self) -> Option<(Arc<T>, bool)> {
        let held = self.held.read();
        let held = held.as_ref()?;
        let now = SystemTime::now();
        let is_past = |time: Option<SystemTime>| time.is_some_and(|time| time <= now);
        (!is_past(held.expires)).then(|| (Arc::clone(&held.value), is_past(held.due)))
    }

    /// Fetches the value, unless another one has done so meanwhile.
    async fn renew(&self, although_valid: bool) -> Result<Arc<T>, CredentialsError> {
        let _fetching = self.fetching.lock().await;
        match self.valid() {
            Some((value, is_due)) if !(although_valid && is_due) => return Ok(value),
            _ => {}
        }
        if let Some((at, error)) = &*self.failed.read()
            && at.elapsed() < RETRY_AFTER
        {
            return Err(error.clone());
        }
        let fetched = timeout(LONGEST_FETCH, (self.fetch)()).await;
        match fetched.unwrap_or(Err(CredentialsError::TimedOut)) {
            Ok(fetched) => {
                let value = Arc::new(fetched.value);
                *self.held.write() = Some(Held {
                    value: Arc::clone(&value),
                    since: Instant::now(),
                    expires: fetched.expires,
                    due: fetched.expires.map(due),
                });
                *self.failed.write() = None;
                Ok(value)
            }
            Err(error) => {
                tracing::warn!(%error, "no new credentials");
                *self.failed.write() = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

/// From when on a value is fetched anew: some minutes before it expires, and in the
/// second half of a short life.
fn due(expires: SystemTime) -> SystemTime {
    let now = SystemTime::now();
    let life = expires.duration_since(now).unwrap_or_default();
    now + (life / 2).max(life.saturating_sub(AHEAD))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Fetches figures with this life, each after a moment; fails while `down`.
    fn counted(life: Duration, down: &Arc<AtomicUsize>) -> (Renewed<usize>, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let (fetched, down) = (Arc::clone(&count), Arc::clone(down));
        let fetch = move || {
            let (fetched, down) = (Arc::clone(&fetched), Arc::clone(&down));
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                if down.load(Ordering::SeqCst) > 0 {
                    return Err(CredentialsError::Aws("down"));
                }
                Ok(Expiring {
                    value: fetched.fetch_add(1, Ordering::SeqCst),
                    expires: Some(SystemTime::now() + life),
                })
            }
            .boxed()
        };
        (Renewed::new(Box::new(fetch)), count)
    }

    #[tokio::test]
    async fn calls_that_wait_share_one_fetch() {
        let (value, count) = counted(Duration::from_secs(3600), &Arc::default());
        let calls = (0..100).map(|_| value.get());
        let all = futures::future::join_all(calls).await;
        assert!(all.into_iter().all(|value| *value.unwrap() == 0));
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_value_is_replaced_before_it_expires_and_nobody_waits() {
        let (value, count) = counted(Duration::from_millis(400), &Arc::default());
        value.get().await.unwrap();
        while count.load(Ordering::SeqCst) < 4 {
            let got = value.get().now_or_never();
            assert!(got.expect("it does not wait").is_ok());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_source_that_is_down_is_asked_once_a_second() {
        let down = Arc::new(AtomicUsize::new(1));
        let (value, count) = counted(Duration::from_secs(3600), &down);
        for _ in 0..20 {
            assert!(value.get().await.is_err());
        }
        down.store(0, Ordering::SeqCst);
        assert!(value.get().await.is_err(), "it is too soon");
        tokio::time::sleep(RETRY_AFTER).await;
        assert!(value.get().await.is_ok());
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn callers_without_patience_do_not_keep_a_slow_fetch_from_its_end() {
        let fetch = || {
            async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(Expiring {
                    value: 7,
                    expires: None,
                })
            }
            .boxed()
        };
        let value = Renewed::new(Box::new(fetch));
        for _ in 0..4 {
            let got = timeout(Duration::from_millis(50), value.get()).await;
            assert!(got.is_err(), "it came too soon");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        let got = value.get().now_or_never();
        assert_eq!(*got.expect("it is there").unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_is_not_accepted_is_replaced_unless_it_is_fresh() {
        let (value, _) = counted(Duration::from_secs(3600), &Arc::default());
        value.get().await.unwrap();
        assert!(!value.reject());
        assert_eq!(*value.get().await.unwrap(), 0);
        tokio::time::advance(FRESH).await;
        assert!(value.reject());
        assert_eq!(*value.get().await.unwrap(), 1);
    }
}
