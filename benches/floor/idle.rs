//! When a process has nothing left to do.

use std::{
    fs,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// How far apart it looks.
const INTERVAL: Duration = Duration::from_millis(1);

/// A process is idle when it was seen asleep in succession this often.
const LOOKS: usize = 2;

/// Waits for a process, once one is named.
#[derive(Clone, Default)]
pub struct Idle(Arc<OnceLock<u32>>);

impl Idle {
    /// Names the process.
    pub fn watch(&self, process: u32) {
        let _ = self.0.set(process);
    }

    /// Returns when all threads of the process sleep, or at once when no
    /// process is named.
    pub async fn wait(&self) {
        let Some(process) = self.0.get() else {
            return;
        };
        let mut asleep = 0;
        while asleep < LOOKS {
            tokio::time::sleep(INTERVAL).await;
            asleep = if sleeps(*process) { asleep + 1 } else { 0 };
        }
    }
}

fn sleeps(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it still runs");
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The state follows the name, which stands in brackets.
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('S'))
    })
}
