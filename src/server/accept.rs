//! Accepts connections within limits: of all of them, and of each peer.

use super::{
    open_connections::{ConnectionEntry, OpenConnections, OpenRequests},
    peers::{PeerConnection, Peers},
};
use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};
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
    open: OpenConnections,
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
    open: ConnectionEntry,
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
            open: OpenConnections::default(),
        }
    }

    /// The address that is listened on.
    ///
    /// # Errors
    /// When the system does not return it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection. Beyond the limit of all, an idle one of a peer with as
    /// many makes room for it; if there is none, or beyond the limit of its peer, it is
    /// closed.
    pub async fn accept(&self) -> NewConnection {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    if let Some(place) = self.place(address).await {
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

    async fn place(&self, address: SocketAddr) -> Option<ConnectionPlace> {
        let peer = self.peers.admit(address.ip())?;
        let permits = Arc::clone(&self.permits);
        let permit = match Arc::clone(&permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let makes_room = self.open.make_room(peer.peer());
                peer.found_no_room(makes_room);
                if !makes_room {
                    return None;
                }
                // It ends as soon as its task runs.
                let permit = permits.acquire_owned().await;
                permit.expect("the semaphore is never closed")
            }
        };
        Some(ConnectionPlace {
            open: self.open.add(peer.peer()),
            peer,
            _permit: permit,
        })
    }
}

impl ConnectionPlace {
    /// Runs what serves the connection to its end, or until it must make room for
    /// another one.
    pub async fn run(&self, serving: impl Future<Output = ()>) {
        tokio::select! {
            () = serving => {}
            () = self.open.must_close() => {}
        }
    }

    /// The requests on the connection: while there are some, it need not make room.
    pub fn requests(&self) -> &OpenRequests {
        self.open.requests()
    }
}
