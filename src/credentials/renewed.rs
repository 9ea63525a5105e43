//! A value that expires and is replaced ahead of that.
//!
//! The first call that needs it fetches it, and the calls that come meanwhile wait for
//! the same fetch. From then on a task of its own replaces it, next to the calls, which
//! do not wait while it is valid. The task also repeats a fetch that failed, after a time
//! that grows from [`INITIAL_BACKOFF`] to [`MAX_BACKOFF`]; until it succeeds calls get the
//! value that is still valid, or the error at once: another host may serve them.

use super::{CredentialsError, CredentialsSource};
use futures::future::BoxFuture;
use parking_lot::RwLock;
use std::{
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, timeout},
};

/// How long before its expiry a value is replaced.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// How soon a fetch is repeated that failed; doubled with each further failure.
const INITIAL_BACKOFF: Duration = Duration::from_secs(1);

/// Maximum time until a fetch is repeated that failed.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Maximum time of a fetch.
const LONGEST_FETCH: Duration = Duration::from_secs(10);

/// How often the task looks at the clock, which may be set.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

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
    source: CredentialsSource,
    held: RwLock<Option<Held<T>>>,
    failed: RwLock<Option<Failures>>,
    /// Held by the one who fetches; whether the task runs that replaces the value.
    fetching: Mutex<bool>,
    /// Wakes the task.
    changed: Arc<Notify>,
    fetch: Box<Fetch<T>>,
}

struct Held<T> {
    value: Arc<T>,
    since: Instant,
    expires: Option<SystemTime>,
    /// From when on it is replaced.
    due: Option<SystemTime>,
}

/// Fetches in a row that failed.
struct Failures {
    last: CredentialsError,
    /// When the next fetch may be made.
    again: Instant,
    backoff: Duration,
}

impl<T> Clone for Renewed<T> {
    fn clone(&self) -> Self {
        Renewed(Arc::clone(&self.0))
    }
}

// === impl Renewed ===

impl<T: Send + Sync + 'static> Renewed<T> {
    /// A value of a source that this function fetches, at first when it is needed.
    pub fn new(source: CredentialsSource, fetch: Box<Fetch<T>>) -> Self {
        Renewed(Arc::new(Inner {
            source,
            held: RwLock::new(None),
            failed: RwLock::new(None),
            fetching: Mutex::new(false),
            changed: Arc::default(),
            fetch,
        }))
    }

    /// The value.
    ///
    /// # Errors
    /// When there is no valid one, and none can be fetched.
    pub async fn get(&self) -> Result<Arc<T>, CredentialsError> {
        if let Some(value) = self.0.valid() {
            return Ok(value);
        }
        if let Some(error) = self.0.failure() {
            return Err(error);
        }
        // In a task: a call that ends at its deadline must not end the fetch for others.
        let inner = Arc::clone(&self.0);
        let fetched = tokio::spawn(async move {
            inner.keep().await;
            inner.renew().await
        });
        let source = self.0.source;
        fetched
            .await
            .unwrap_or(Err(CredentialsError::TimedOut(source)))
    }

    /// The value was not accepted by a request that began at this time: the next call
    /// fetches another one, unless this one was just fetched. Returns whether there is
    /// another one for a further attempt.
    pub fn reject(&self, began: Instant) -> bool {
        let mut held = self.0.held.write();
        let is_another = held.as_ref().is_none_or(|it| it.since > began);
        let is_fresh = held.as_ref().is_some_and(|it| it.since.elapsed() < FRESH);
        if is_another {
            return true;
        }
        if !is_fresh {
            *held = None;
        }
        !is_fresh
    }

    /// When the value expires that is held; `None` if there is none, or if it does not.
    pub fn expiry(&self) -> Option<SystemTime> {
        self.0.held.read().as_ref()?.expires
    }
}

impl<T: Send + Sync + 'static> Inner<T> {
    /// The value, unless it has expired.
    fn valid(&self) -> Option<Arc<T>> {
        let held = self.held.read();
        let held = held.as_ref()?;
        (!is_past(held.expires)).then(|| Arc::clone(&held.value))
    }

    /// Why the last fetch failed, if the task is about to repeat it.
    fn failure(&self) -> Option<CredentialsError> {
        let failed = self.failed.read();
        let failures = failed.as_ref()?;
        let is_late = failures.again + LONGEST_FETCH + INITIAL_BACKOFF < Instant::now();
        (!is_late).then(|| failures.last.clone())
    }

    /// Fetches the value, unless another one has done so meanwhile.
    async fn renew(&self) -> Result<Arc<T>, CredentialsError> {
        let _fetching = self.fetching.lock().await;
        let is_due = self.held.read().as_ref().is_none_or(|it| is_past(it.due));
        if let Some(value) = self.valid().filter(|_| !is_due) {
            return Ok(value);
        }
        if let Some(failures) = &*self.failed.read()
            && failures.again > Instant::now()
        {
            return Err(failures.last.clone());
        }
        let fetched = timeout(LONGEST_FETCH, (self.fetch)()).await;
        match fetched.unwrap_or(Err(CredentialsError::TimedOut(self.source))) {
            Ok(fetched) => {
                let value = Arc::new(fetched.value);
                *self.held.write() = Some(Held {
                    value: Arc::clone(&value),
                    since: Instant::now(),
                    expires: fetched.expires,
                    due: fetched.expires.map(due),
                });
                *self.failed.write() = None;
                self.changed.notify_one();
                Ok(value)
            }
            Err(error) => {
                let mut failed = self.failed.write();
                let backoff = failed.as_ref().map_or(INITIAL_BACKOFF, |before| {
                    before.backoff.saturating_mul(2).min(MAX_BACKOFF)
                });
                tracing::warn!(%error, again_in = ?backoff, "no new credentials");
                *failed = Some(Failures {
                    last: error.clone(),
                    again: Instant::now() + backoff,
                    backoff,
                });
                self.changed.notify_one();
                Err(error)
            }
        }
    }

    /// Starts the task that replaces the value, unless it runs.
    async fn keep(self: &Arc<Self>) {
        let mut is_kept = self.fetching.lock().await;
        if !*is_kept {
            *is_kept = true;
            tokio::spawn(keep(Arc::downgrade(self), Arc::clone(&self.changed)));
        }
    }

    /// How long to wait until the value is to be replaced.
    fn pause(&self) -> Duration {
        let failed = self.failed.read();
        if let Some(failures) = &*failed {
            return failures.again.saturating_duration_since(Instant::now());
        }
        let due = self.held.read().as_ref().and_then(|it| it.due);
        due.map_or(LONGEST_PAUSE, |due| {
            due.duration_since(SystemTime::now()).unwrap_or_default()
        })
    }
}

/// Replaces the value whenever it is due, as long as anyone holds it.
async fn keep<T: Send + Sync + 'static>(inner: Weak<Inner<T>>, changed: Arc<Notify>) {
    while let Some(pause) = inner.upgrade().map(|inner| inner.pause()) {
        if !pause.is_zero() {
            let _ = timeout(pause.min(LONGEST_PAUSE), changed.notified()).await;
        } else if let Some(inner) = inner.upgrade() {
            // Logged there.
            let _ = inner.renew().await;
        }
    }
}

fn is_past(time: Option<SystemTime>) -> bool {
    time.is_some_and(|time| time <= SystemTime::now())
}

/// From when on a value is replaced: some minutes before it expires, and in the second
/// half of a short life.
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

    fn failure(problem: &'static str) -> CredentialsError {
        CredentialsError::failed(CredentialsSource::Aws, problem)
    }

    /// Fetches figures with this life, each after a moment; fails while `down`.
    fn counted(life: Duration, down: &Arc<AtomicUsize>) -> (Renewed<usize>, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let (fetched, down) = (Arc::clone(&count), Arc::clone(down));
        let fetch = move || {
            let (fetched, down) = (Arc::clone(&fetched), Arc::clone(&down));
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                if down.load(Ordering::SeqCst) > 0 {
                    return Err(failure("down"));
                }
                Ok(Expiring {
                    value: fetched.fetch_add(1, Ordering::SeqCst),
                    expires: Some(SystemTime::now() + life),
                })
            }
            .boxed()
        };
        (Renewed::new(CredentialsSource::Aws, Box::new(fetch)), count)
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
    async fn a_value_is_replaced_although_nobody_asks_for_it() {
        let (value, count) = counted(Duration::from_millis(200), &Arc::default());
        value.get().await.unwrap();
        let first = value.expiry().unwrap();
        while count.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(value.expiry().unwrap() > first);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_is_down_is_asked_ever_more_rarely() {
        let began = Instant::now();
        let times = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let asked = Arc::clone(&times);
        let fetch = move || {
            asked.lock().push(began.elapsed().as_secs());
            async { Err(failure("down")) }.boxed()
        };
        let value: Renewed<()> = Renewed::new(CredentialsSource::Aws, Box::new(fetch));
        while began.elapsed() < Duration::from_secs(125) {
            let got = value.get().await;
            assert!(got.is_err());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(*times.lock(), [0, 1, 3, 7, 15, 31, 61, 91, 121]);
    }

    #[tokio::test]
    async fn a_valid_value_is_used_while_its_source_is_down() {
        let down = Arc::default();
        let (value, count) = counted(Duration::from_millis(2500), &down);
        value.get().await.unwrap();
        down.store(1, Ordering::SeqCst);
        // It is due after half of its life, and the source fails then.
        while value.0.failed.read().is_none() {
            assert!(value.get().await.is_ok());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(value.get().await.is_ok());
        down.store(0, Ordering::SeqCst);
        while count.load(Ordering::SeqCst) < 2 {
            assert!(value.get().await.is_ok());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
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
        let value = Renewed::new(CredentialsSource::Aws, Box::new(fetch));
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
        let mut asked = Instant::now();
        assert!(!value.reject(asked));
        assert_eq!(*value.get().await.unwrap(), 0);
        tokio::time::advance(FRESH).await;
        asked += FRESH;
        assert!(value.reject(asked) && value.reject(asked));
        assert_eq!(*value.get().await.unwrap(), 1);
        assert!(value.reject(asked), "there is another one");
        assert_eq!(*value.get().await.unwrap(), 1);
    }
}
