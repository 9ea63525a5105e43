//! A value that is read from files and changes without a restart.

use futures::future::BoxFuture;
use std::{
    error::Error,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};
use tokio::sync::{Mutex, watch};
use tracing::Instrument;

/// Why a version was rejected. Its text must not quote what was read.
pub type LoadError = Box<dyn Error + Send + Sync>;

type Load<T> =
    Box<dyn Fn(Option<Arc<T>>) -> BoxFuture<'static, Result<T, LoadError>> + Send + Sync>;

/// A current value, and how to read the next one. Users of a value keep it: a
/// reload does not affect calls in flight. Cloning is cheap; all clones see the
/// same value.
pub struct Reloadable<T>(Arc<Inner<T>>);

struct Inner<T> {
    name: &'static str,
    files: Vec<PathBuf>,
    load: Option<Load<T>>,
    current: watch::Sender<Arc<T>>,
    /// The versions of the files that were read last. Locked during a reload:
    /// with two at once, an older version could replace a newer one.
    read: Mutex<Vec<Stamp>>,
    reloaded: AtomicU64,
    refused: AtomicU64,
}

/// How often a value was replaced, and how often a new version was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReloadCounts {
    /// New versions that were loaded.
    pub reloaded: u64,
    /// New versions that were not valid; the previous one stayed in use.
    pub refused: u64,
}

/// Anything that can be reloaded.
pub trait Reload: Send + Sync {
    /// Its name in logs and metrics, in a word or two.
    fn name(&self) -> &'static str;

    /// The files that it is read from.
    fn files(&self) -> &[PathBuf];

    /// Whether its files have changed since they were last read.
    fn is_stale(&self) -> bool;

    /// Reads the files again.
    ///
    /// # Errors
    /// When the new version is not valid; the previous one stays in use.
    fn reload(&self) -> BoxFuture<'_, Result<(), LoadError>>;

    /// The results of the reloads so far.
    fn counts(&self) -> ReloadCounts;
}

impl<T: Send + Sync + 'static> Reloadable<T> {
    /// Reads the first version. `files` are those that `load` reads, to be
    /// watched. `load` receives the current version, `None` for the first one:
    /// what was a good version may be a bad successor.
    ///
    /// # Errors
    /// When it is not valid: there is no previous version to fall back to.
    pub async fn load(
        name: &'static str,
        files: Vec<PathBuf>,
        load: impl Fn(Option<Arc<T>>) -> BoxFuture<'static, Result<T, LoadError>>
        + Send
        + Sync
        + 'static,
    ) -> Result<Self, LoadError> {
        // Taken before reading, so that a concurrent change is noticed.
        let stamps = stamps_of(&files);
        let first = load(None).await?;
        let load: Load<T> = Box::new(load);
        Ok(Reloadable::with(name, files, stamps, Some(load), first))
    }

    /// A value that never changes.
    pub fn fixed(name: &'static str, value: T) -> Self {
        Reloadable::with(name, Vec::new(), Vec::new(), None, value)
    }

    fn with(
        name: &'static str,
        files: Vec<PathBuf>,
        stamps: Vec<Stamp>,
        load: Option<Load<T>>,
        value: T,
    ) -> Self {
        Reloadable(Arc::new(Inner {
            name,
            files,
            load,
            current: watch::Sender::new(Arc::new(value)),
            read: Mutex::new(stamps),
            reloaded: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// The current value.
    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.0.current.borrow())
    }

    /// Notifies about each new value.
    pub fn subscribe(&self) -> watch::Receiver<Arc<T>> {
        self.0.current.subscribe()
    }

    /// A handle for a [`Watcher`](super::Watcher).
    pub fn as_reload(&self) -> Arc<dyn Reload> {
        Arc::new(self.clone())
    }

    async fn replace(&self) -> Result<(), LoadError> {
        let span = tracing::info_span!("reload", what = self.0.name);
        self.read_again().instrument(span).await
    }

    async fn read_again(&self) -> Result<(), LoadError> {
        let Some(load) = &self.0.load else {
            return Ok(());
        };
        let mut read = self.0.read.lock().await;
        *read = stamps_of(&self.0.files);
        match load(Some(self.current())).await {
            Ok(value) => {
                self.0.current.send_replace(Arc::new(value));
                self.0.reloaded.fetch_add(1, Ordering::Relaxed);
                tracing::info!(what = self.0.name, "reloaded");
                Ok(())
            }
            Err(error) => {
                self.0.refused.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    what = self.0.name,
                    error = %Chain(&*error),
                    "failed to reload; the previous version stays in use"
                );
                Err(error)
            }
        }
    }
}

impl<T: Send + Sync + 'static> Reload for Reloadable<T> {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn files(&self) -> &[PathBuf] {
        &self.0.files
    }

    fn is_stale(&self) -> bool {
        match self.0.read.try_lock() {
            Ok(read) => *read != stamps_of(&self.0.files),
            // It is being read right now; the caller will ask again.
            Err(_) => false,
        }
    }

    fn reload(&self) -> BoxFuture<'_, Result<(), LoadError>> {
        Box::pin(self.replace())
    }

    fn counts(&self) -> ReloadCounts {
        ReloadCounts {
            reloaded: self.0.reloaded.load(Ordering::Relaxed),
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }
}

/// Reloads all of them, as on SIGHUP. An invalid one does not affect the
/// others; it has been logged.
pub async fn reload_all(sources: &[Arc<dyn Reload>]) -> usize {
    let mut refused = 0;
    for source in sources {
        refused += usize::from(source.reload().await.is_err());
    }
    refused
}

impl<T> Clone for Reloadable<T> {
    fn clone(&self) -> Self {
        Reloadable(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Reloadable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<&Path> = self.0.files.iter().map(PathBuf::as_path).collect();
        f.debug_struct("Reloadable")
            .field("name", &self.0.name)
            .field("files", &files)
            .finish_non_exhaustive()
    }
}

/// Distinguishes versions of a file; `None` while the file does not exist.
type Stamp = Option<(PathBuf, u64, Option<SystemTime>)>;

fn stamps_of(files: &[PathBuf]) -> Vec<Stamp> {
    files.iter().map(|file| stamp_of(file)).collect()
}

fn stamp_of(file: &Path) -> Stamp {
    let real = fs::canonicalize(file).ok()?;
    let metadata = fs::metadata(&real).ok()?;
    Some((real, metadata.len(), metadata.modified().ok()))
}

/// An error with its causes, on one line.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_broken_version_is_refused_and_counted_and_the_old_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("figure");
        std::fs::write(&path, "1").unwrap();
        let file = path.clone();
        let figure: Reloadable<u32> = Reloadable::load("figure", vec![path.clone()], move |_| {
            let text = std::fs::read_to_string(&file);
            Box::pin(async move { Ok(text?.parse()?) })
        })
        .await
        .unwrap();
        let taken = figure.current();

        std::fs::write(&path, "2").unwrap();
        figure.reload().await.unwrap();
        std::fs::write(&path, "broken").unwrap();
        figure.reload().await.unwrap_err();
        assert_eq!((*taken, *figure.current()), (1, 2));
        let counts = figure.counts();
        assert_eq!((counts.reloaded, counts.refused), (1, 1));
    }
}
