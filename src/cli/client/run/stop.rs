//! How a signal stops a run: the first one lets calls finish, the second one does not.

use super::progress::say;
use crate::cli::exit::{Exit, Failure};
use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Stops a run after SIGINT or SIGTERM.
#[derive(Debug, Clone, Default)]
pub struct RunStop {
    /// No call is made any more.
    pub begun: CancellationToken,
    /// Calls are not awaited any more.
    pub now: CancellationToken,
}

// === impl RunStop ===

impl RunStop {
    /// Handles the signals until the runtime ends.
    ///
    /// # Errors
    /// When the operating system rejects a handler.
    pub fn on_signals() -> Result<Self, Failure> {
        let take = |kind| {
            signal(kind).map_err(|error: io::Error| {
                let reason = format!("failed to install a signal handler: {error}");
                Failure::new(Exit::Failed, reason)
            })
        };
        let mut interrupt = take(SignalKind::interrupt())?;
        let mut terminate = take(SignalKind::terminate())?;
        let stop = RunStop::default();
        let on_signal = stop.clone();
        tokio::spawn(async move {
            for next in [&on_signal.begun, &on_signal.now] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                next.cancel();
                if !on_signal.now.is_cancelled() {
                    say("stopping: calls in flight finish, unless a second signal comes");
                }
            }
        });
        Ok(stop)
    }
}
