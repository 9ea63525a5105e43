//! The signals that a service is told by.

use super::exit::{Exit, Failure};
use crate::{
    secrets::{Reload, reload_all},
    server::Drain,
};
use std::{convert::Infallible, sync::Arc};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals of a running service.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    reloads: Vec<Arc<dyn Reload>>,
}

impl Signals {
    /// Takes the signals from the system: from now on none of them ends the
    /// process by itself.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn take() -> Result<Self, Failure> {
        let take = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Exit::Failed, format!("no signals can be taken: {error}"))
            })
        };
        Ok(Signals {
            terminate: take(SignalKind::terminate())?,
            interrupt: take(SignalKind::interrupt())?,
            hang_up: take(SignalKind::hangup())?,
            reloads: Vec::new(),
        })
    }

    /// Waits for SIGTERM or SIGINT.
    pub async fn stop(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => self.reload(),
            }
        }
    }

    /// The first signal begins the drain, a second one cuts it short. Never
    /// ends: the server does, once it has drained.
    pub async fn drain(mut self, drain: Drain) -> Infallible {
        self.stop().await;
        drain.begin();
        self.stop().await;
        tracing::warn!("told to stop a second time: cutting what still runs");
        drain.cut();
        std::future::pending().await
    }

    /// What SIGHUP reads again.
    #[must_use]
    pub fn reloading(self, reloads: Vec<Arc<dyn Reload>>) -> Self {
        Signals { reloads, ..self }
    }

    /// SIGHUP. It does not wait: another signal may come meanwhile.
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
