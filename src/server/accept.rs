//! Accepts connections within limits: of all of them, and of each peer.

use super::peers::{PeerConnection, Peers};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

/// Delay before the next accept, for example when the system is out of file
/// descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// A listening socket with limits of its connections.
#[derive(Debug)]
pub struct LimitedListener {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    peers: Peers,
}

/// An accepted connection. Counts until both fields are dropped.
#[derive(Debug)]
pub struct NewConnection {
    /// The bytes from and to the peer.
    pub stream: TcpStream,
    /// Kept while the connection is open.
    pub place: ConnectionPlace,
}

/// The place of an open connection within the limits.
#[derive(Debug)]
pub struct ConnectionPlace {
    /// The peer at the other end.
    pub peer: PeerConnection,
    _permit: OwnedSemaphorePermit,
}

impl LimitedListener {
    /// Accepts up to this number of connections at a time, and of each peer what
    /// `peers` admits.
    pub fn new(listener: TcpListener, max_connections: usize, peers: Peers) -> Self {
        LimitedListener {
            listener,
            permits: Arc::new(Semaphore::new(max_connections)),
            peers,
        }
    }

    /// The address that is listened on.
    ///
    /// # Errors
    /// When the system does not return it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection. Beyond the limit of all, connections wait in the
    /// kernel's queue; beyond that of their peer they are closed.
    pub async fn accept(&self) -> NewConnection {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    if let Some(peer) = self.peers.admit(address.ip()) {
                        let place = ConnectionPlace {
                            peer,
                            _permit: permit,
                        };
                        return NewConnection { stream, place };
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }
}
