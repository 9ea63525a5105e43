//! Signals: SIGTERM and SIGINT drain the service, SIGHUP reloads its files.

use super::exit::{Exit, Failure};
use crate::{
    secrets::{Reload, reload_all},
    server::Drain,
};
use std::{convert::Infallible, sync::Arc};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signal handlers of a running service.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    reloads: Vec<Arc<dyn Reload>>,
}

impl Signals {
    /// Installs the handlers: from now on none of these signals kills the
    /// process.
    ///
    /// # Errors
    /// [`Exit::Failed`] when the operating system rejects a handler.
    pub fn take() -> Result<Self, Failure> {
        let take = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(
                    Exit::Failed,
                    format!("failed to install a signal handler: {error}"),
                )
            })
        };
        Ok(Signals {
            terminate: take(SignalKind::terminate())?,
            interrupt: take(SignalKind::interrupt())?,
            hang_up: take(SignalKind::hangup())?,
            reloads: Vec::new(),
        })
    }

    /// Waits for SIGTERM or SIGINT, reloading on each SIGHUP meanwhile.
    pub async fn stop(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => self.reload(),
            }
        }
    }

    /// Begins the drain on the first signal, and aborts the calls in flight on
    /// the second. Never returns: the server does, once it has drained.
    pub async fn drain(mut self, drain: Drain) -> Infallible {
        self.stop().await;
        drain.begin();
        self.stop().await;
        tracing::warn!("received a second signal, aborting in-flight calls");
        drain.abort();
        std::future::pending().await
    }

    /// Sets what SIGHUP reloads.
    #[must_use]
    pub fn reloading(self, reloads: Vec<Arc<dyn Reload>>) -> Self {
        Signals { reloads, ..self }
    }

    /// Starts a reload, without waiting for it: another signal may arrive
    /// meanwhile.
    fn reload(&self) {
        if self.reloads.is_empty() {
            tracing::info!("SIGHUP: nothing to reload");
            return;
        }
        tracing::info!("SIGHUP: reloading");
        let reloads = self.reloads.clone();
        tokio::spawn(async move { reload_all(&reloads).await });
    }
}
