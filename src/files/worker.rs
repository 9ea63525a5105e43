//! What happens to files while nobody calls: what has ended is forgotten, and deleted at
//! the API if it does not end there by itself.

use super::{FileError, Files, Owned};
use crate::{
    call::{Deadline, Priority},
    upstream::CallOptions,
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::sleep;

/// How often what has ended is looked for.
const INTERVAL: Duration = Duration::from_secs(60);

/// How long a call to the API may take that no caller waits for.
const LONGEST_CALL: Duration = Duration::from_secs(60);

/// After this time, a file that cannot be deleted at the API is left there.
const GIVE_UP: Duration = Duration::from_secs(24 * 60 * 60);

impl Files {
    /// Looks for what has ended, again and again.
    pub async fn work(&self) -> Infallible {
        loop {
            self.sweep().await;
            sleep(INTERVAL).await;
        }
    }

    /// Forgets what has ended.
    pub async fn sweep(&self) {
        for owned in self.shared.registry.ended_at(self.now()) {
            if let Err(error) = self.end(&owned).await {
                tracing::warn!(kind = owned.kind.name(), id = owned.id, %error, "failed to delete what has ended at the Claude API");
            }
        }
    }

    async fn end(&self, owned: &Owned) -> Result<(), FileError> {
        let is_given_up = self.now() >= owned.expires + GIVE_UP.as_secs();
        if !owned.ends_by_itself && !is_given_up {
            let options = CallOptions {
                priority: Priority::Batch,
                tenant: Some(Arc::from(owned.tenant.as_str())),
                ..CallOptions::new(Deadline::after(LONGEST_CALL))
            };
            let options = self.options(owned, options);
            match self.shared.client.delete_file(&owned.id, options).await {
                Err(failed) if !failed.is_not_found() => return Err(failed.into()),
                _ => {}
            }
        }
        Ok(self.shared.registry.forget(owned).await?)
    }
}
