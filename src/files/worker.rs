//! What happens while nobody calls: what was noted is written, what has ended is
//! forgotten, and files that have ended are deleted at the API.

use super::{FileError, Files, Owned, Ownership};
use crate::{
    call::{Deadline, Priority},
    upstream::CallOptions,
};
use futures::{StreamExt, stream};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::{interval, sleep};

/// How soon notes are written: all of this time together.
const WRITE_AFTER: Duration = Duration::from_millis(50);

/// How often what has ended is looked for.
const INTERVAL: Duration = Duration::from_secs(60);

/// How long a call to the API may take that no caller waits for.
const LONGEST_CALL: Duration = Duration::from_secs(60);

/// How many files are deleted at the same time.
const PARALLEL: usize = 4;

/// How much that has ended is looked after in one round.
const MOST: usize = 1000;

impl Ownership {
    /// Writes what is noted, and forgets what has ended, again and again.
    pub async fn work(&self) -> Infallible {
        let mut rounds = interval(INTERVAL);
        loop {
            tokio::select! {
                () = self.registry.changed() => sleep(WRITE_AFTER).await,
                _ = rounds.tick() => self.sweep(),
            }
            if let Err(error) = self.registry.flush().await {
                tracing::error!(%error, "failed to write what belongs to whom at the Claude API, trying again");
                self.registry.can_retry().await;
            }
        }
    }

    /// Forgets what has ended by itself. Files are left to [`Files`], if they are on.
    fn sweep(&self) {
        let now = self.clock.since_1970().as_secs();
        self.registry.sweep(now, MOST);
    }
}

impl Files {
    /// Looks for files that have ended, again and again.
    pub async fn work(&self) -> Infallible {
        loop {
            self.sweep().await;
            sleep(INTERVAL).await;
        }
    }

    /// Deletes the files that have ended.
    pub async fn sweep(&self) {
        let ended = self.shared.registry.ended_files(self.now(), MOST).await;
        let ended = ended.unwrap_or_else(|error| {
            tracing::warn!(%error, "failed to look for files that have ended, trying again");
            Vec::new()
        });
        let ends = stream::iter(ended).map(|file| async move { self.end(&file).await });
        let outcomes: Vec<_> = ends.buffer_unordered(PARALLEL).collect().await;
        let failures: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
        if let Some(error) = failures.first() {
            let files = failures.len();
            tracing::warn!(files, %error, "failed to delete files at the Claude API that have ended, trying again");
        }
    }

    async fn end(&self, owned: &Arc<Owned>) -> Result<(), FileError> {
        let options = CallOptions {
            priority: Priority::Batch,
            tenant: Some(Arc::from(owned.tenant.as_str())),
            ..CallOptions::new(Deadline::after(LONGEST_CALL))
        };
        let options = self.options(owned, options);
        let deleted = self.shared.client.delete_file(&owned.id, options).await;
        let is_given_up = self.now() >= owned.given_up();
        match deleted {
            Err(failed) if failed.is_not_found() && self.has_key_of(owned) => {}
            Err(failed) if !is_given_up => return Err(failed.into()),
            _ => {}
        }
        self.shared.registry.forget(owned);
        Ok(())
    }
}
