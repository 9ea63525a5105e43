//! The open connections, of which an idle one makes room for a new one when there are
//! too many.
//!
//! Otherwise a few peers could keep everybody else waiting with connections on which
//! nothing happens. The peer with the most connections loses its oldest one, so that a
//! peer with few, such as a scraper or a probe, always finds room.

use super::peers::Peer;
use parking_lot::Mutex;
use slab::Slab;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::sync::Notify;

/// The open connections of a listener.
#[derive(Debug, Default)]
pub struct OpenConnections(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    connections: Slab<Arc<Connection>>,
    /// Number of connections so far.
    accepted: u64,
}

#[derive(Debug)]
struct Connection {
    number: u64,
    peer: Arc<Peer>,
    requests: OpenRequests,
    close: Notify,
}

/// The number of open requests of a connection. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct OpenRequests(Arc<AtomicUsize>);

/// Kept while a request is open.
#[derive(Debug)]
pub struct OpenRequest(OpenRequests);

/// An open connection, until it is dropped.
#[derive(Debug)]
pub struct ConnectionEntry {
    all: Arc<Mutex<Open>>,
    key: usize,
    connection: Arc<Connection>,
}

impl OpenConnections {
    /// Adds a connection of a peer.
    pub fn add(&self, peer: &Arc<Peer>) -> ConnectionEntry {
        let mut open = self.0.lock();
        open.accepted += 1;
        let connection = Arc::new(Connection {
            number: open.accepted,
            peer: Arc::clone(peer),
            requests: OpenRequests::default(),
            close: Notify::new(),
        });
        ConnectionEntry {
            all: Arc::clone(&self.0),
            key: open.connections.insert(Arc::clone(&connection)),
            connection,
        }
    }

    /// Closes an idle connection for one of `peer`, which is counted already. Returns
    /// whether there was one whose peer has as many.
    pub fn make_room(&self, peer: &Arc<Peer>) -> bool {
        let open = self.0.lock();
        let connections = open.connections.iter().map(|(_, connection)| connection);
        let idle = connections.filter(|it| it.requests.count() == 0);
        let of_most = idle.max_by_key(|it| (it.peer.connections(), u64::MAX - it.number));
        match of_most {
            Some(oldest) if oldest.peer.connections() + 1 >= peer.connections() => {
                oldest.close.notify_one();
                true
            }
            _ => false,
        }
    }
}

impl ConnectionEntry {
    /// Waits until the connection must make room.
    pub async fn must_close(&self) {
        self.connection.close.notified().await;
    }

    /// Its requests: while there are some, it need not make room.
    pub fn requests(&self) -> &OpenRequests {
        &self.connection.requests
    }
}

impl Drop for ConnectionEntry {
    fn drop(&mut self) {
        self.all.lock().connections.remove(self.key);
    }
}

impl OpenRequests {
    /// Counts a request.
    pub fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Counts a request as ended.
    pub fn remove(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// Number of open requests.
    pub fn count(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// Counts a request until it is dropped.
    pub fn begin(&self) -> OpenRequest {
        self.add();
        OpenRequest(self.clone())
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{PeerLimits, Peers, peers::PeerConnection};
    use futures::FutureExt;

    struct Listener {
        peers: Peers,
        open: OpenConnections,
    }

    impl Listener {
        fn new() -> Listener {
            Listener {
                peers: Peers::new(PeerLimits {
                    max_connections: 100,
                    max_pending_calls: 100,
                    key: "",
                    key_of_all: "",
                }),
                open: OpenConnections::default(),
            }
        }

        fn admit(&self, address: &str) -> PeerConnection {
            self.peers.admit(address.parse().unwrap()).unwrap()
        }

        fn open(&self, address: &str) -> (PeerConnection, ConnectionEntry) {
            let peer = self.admit(address);
            let open = self.open.add(peer.peer());
            (peer, open)
        }

        /// Whether there is room for one more of this peer.
        fn has_room(&self, address: &str) -> bool {
            self.open.make_room(self.admit(address).peer())
        }
    }

    fn closes(connection: &(PeerConnection, ConnectionEntry)) -> bool {
        connection.1.must_close().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_idle_one_of_the_peer_with_the_most_makes_room() {
        let listener = Listener::new();
        let few = [listener.open("192.0.2.1")];
        let many: Vec<_> = (0..3).map(|_| listener.open("192.0.2.2")).collect();
        let busy = many[0].1.requests().begin();
        assert!(listener.has_room("192.0.2.1"));
        assert!(closes(&many[1]));
        let others = [&few[0], &many[0], &many[2]];
        assert!(!others.into_iter().any(closes));
        drop(busy);
        assert!(listener.has_room("192.0.2.1"));
        assert!(closes(&many[0]));
    }

    #[test]
    fn a_peer_takes_no_room_from_one_with_fewer() {
        let listener = Listener::new();
        let few = listener.open("192.0.2.1");
        let many: Vec<_> = (0..3).map(|_| listener.open("192.0.2.2")).collect();
        let busy: Vec<_> = many.iter().map(|it| it.1.requests().begin()).collect();
        assert!(!listener.has_room("192.0.2.2"));
        assert!(!closes(&few));
        drop(busy);
        // It can have its own.
        assert!(listener.has_room("192.0.2.2"));
        assert!(closes(&many[0]));
    }

    #[test]
    fn what_is_closed_makes_no_room() {
        let listener = Listener::new();
        drop(listener.open("192.0.2.1"));
        assert!(!listener.has_room("192.0.2.2"));
    }
}
