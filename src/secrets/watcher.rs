//! Watches files for changes.

use super::{Reload, private_file::directory};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, event::AccessKind,
};
use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};
use tokio::{sync::Notify, task::AbortHandle, time::sleep};

/// Delay after the first event: a certificate is usually replaced together with
/// its key.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// Polling interval without events: network file systems send none, and a
/// directory that is replaced itself sends no more.
const WITHOUT_EVENTS: Duration = Duration::from_secs(5);

/// Reloads what has changed, until dropped.
///
/// Directories are watched, not files: editors and Kubernetes replace a file by
/// renaming another one (or `..data`, a symbolic link) over it.
pub struct Watcher {
    _events: Option<RecommendedWatcher>,
    task: AbortHandle,
}

impl Watcher {
    /// Watches the files of these sources. Must be called within a runtime.
    pub fn start(sources: Vec<Arc<dyn Reload>>) -> Watcher {
        let changed = Arc::new(Notify::new());
        let events = match watch_directories(&sources, Arc::clone(&changed)) {
            Ok(events) => Some(events),
            Err(error) => {
                // For example, the system is out of inotify watches. Polling
                // continues.
                tracing::warn!(%error, "failed to watch the file system; polling every 5 s");
                None
            }
        };
        let task = tokio::spawn(reload_on_change(sources, changed)).abort_handle();
        Watcher {
            _events: events,
            task,
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn watch_directories(
    sources: &[Arc<dyn Reload>],
    changed: Arc<Notify>,
) -> notify::Result<RecommendedWatcher> {
    let files = sources.iter().flat_map(|source| source.files());
    let directories: BTreeSet<&Path> = files.map(|file| directory(file)).collect();
    let mut events = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // Reads of this process are not changes.
        let only_read = event.is_ok_and(|event| {
            matches!(
                event.kind,
                EventKind::Access(AccessKind::Open(_) | AccessKind::Read)
            )
        });
        if !only_read {
            changed.notify_one();
        }
    })?;
    for directory in directories {
        events.watch(directory, RecursiveMode::NonRecursive)?;
    }
    Ok(events)
}

async fn reload_on_change(sources: Vec<Arc<dyn Reload>>, changed: Arc<Notify>) {
    loop {
        tokio::select! {
            () = changed.notified() => sleep(DEBOUNCE).await,
            () = sleep(WITHOUT_EVENTS) => {}
        }
        for source in &sources {
            if source.is_stale() {
                // An invalid version has been logged and counted; it is tried
                // again when it changes.
                let _ = source.reload().await;
            }
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::secrets::Reloadable;
    use std::{fs, os::unix::fs::symlink, path::PathBuf};

    async fn text(path: PathBuf) -> Reloadable<String> {
        Reloadable::load("text", vec![path.clone()], move |_| {
            let text = fs::read_to_string(&path);
            Box::pin(async move {
                let text = text?;
                if text == "broken" {
                    return Err("it is broken".into());
                }
                Ok(text)
            })
        })
        .await
        .unwrap()
    }

    async fn becomes(value: &Reloadable<String>, expected: &str) {
        let mut changes = value.subscribe();
        let seen = changes.wait_for(|value| value.as_str() == expected);
        tokio::time::timeout(Duration::from_secs(10), seen)
            .await
            .expect("the change is seen")
            .unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_written_or_replaced_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "one").unwrap();
        let value = text(path.clone()).await;
        let _watcher = Watcher::start(vec![value.as_reload()]);
        fs::write(&path, "second").unwrap();
        becomes(&value, "second").await;
        fs::write(dir.path().join("new"), "third!").unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        becomes(&value, "third!").await;
    }

    /// As the kubelet does it: the file is a link to `..data/secret`, `..data`
    /// is a link to a directory, replaced by a rename.
    #[tokio::test]
    async fn the_symlink_swap_of_kubernetes_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (version, content) in [
            ("..1", "one"),
            ("..2", "two"),
            ("..3", "broken"),
            ("..4", "four"),
        ] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("secret"), content).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/secret", at("secret")).unwrap();
        let swap = |to: &str| {
            symlink(to, at("..data_tmp")).unwrap();
            fs::rename(at("..data_tmp"), at("..data")).unwrap();
        };

        let value = text(at("secret")).await;
        let _watcher = Watcher::start(vec![value.as_reload()]);
        swap("..2");
        becomes(&value, "two").await;
        swap("..3");
        while value.counts().refused == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(value.current().as_str(), "two");
        swap("..4");
        becomes(&value, "four").await;
    }
}
