//! How one connection ends: at its age, after a number of requests, or when a
//! request asks for it.

use super::config::ConnectionsConfig;
use std::{
    future::pending,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Shared by a connection and the requests on it, each of which can end it.
#[derive(Debug)]
pub(super) struct ConnectionControl {
    max_requests: Option<NonZeroU32>,
    requests: AtomicU32,
    drain: CancellationToken,
    cut: CancellationToken,
}

impl ConnectionControl {
    /// The control of a new connection.
    pub(super) fn new(config: &ConnectionsConfig) -> Self {
        ConnectionControl {
            max_requests: NonZeroU32::new(config.max_requests),
            requests: AtomicU32::new(0),
            drain: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Counts a request; the last one that the connection accepts drains it.
    pub(super) fn count(&self) {
        let requests = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if self.max_requests.is_some_and(|most| requests >= most.get()) {
            self.drain();
        }
    }

    /// Closes the connection once the requests that it has accepted are
    /// answered: with GOAWAY, or `connection: close` in HTTP/1.1.
    pub(super) fn drain(&self) {
        self.drain.cancel();
    }

    /// Closes the connection at once, with everything on it.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }

    /// Waits until the connection is cut.
    pub(super) async fn until_cut(&self) {
        self.cut.cancelled().await;
    }

    /// Waits until the connection is drained, by a request or for its age.
    pub(super) async fn until_drained(&self, max_age: Duration) {
        let aged = async {
            match max_age {
                Duration::ZERO => pending().await,
                max_age => tokio::time::sleep(max_age).await,
            }
        };
        tokio::select! {
            () = self.drain.cancelled() => {}
            () = aged => {}
        }
    }
}
