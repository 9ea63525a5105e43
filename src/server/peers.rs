//! What one peer may hold before anybody knows who it is.
//!
//! A peer is an IPv4 address, or a network of 64 bits in IPv6, since that is what
//! one host gets. Without these limits, one peer could use up those that all
//! callers share.

use super::{reading_queue::NextTurn, sparse_log::SparseLog};
use crate::call::PeerNetwork;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// The peers with open connections. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Peers(Arc<Shared>);

/// The limits of one peer.
#[derive(Debug, Clone, Copy)]
pub struct PeerLimits {
    /// Maximum number of open connections.
    pub max_connections: usize,
    /// Maximum number of calls that are not past authentication.
    pub max_pending_calls: usize,
    /// The configuration key that sets `max_connections`, for the log.
    pub key: &'static str,
    /// The one that sets the maximum number of connections of all peers.
    pub key_of_all: &'static str,
}

#[derive(Debug)]
struct Shared {
    limits: PeerLimits,
    open: Mutex<HashMap<IpAddr, Arc<Peer>>>,
    connections: AtomicUsize,
    refused: SparseLog,
    without_room: SparseLog,
    overdue: SparseLog,
    failed_handshakes: SparseLog,
    refused_calls: Arc<SparseLog>,
}

/// A peer: the calls of it that are nobody else's.
#[derive(Debug)]
pub struct Peer {
    address: IpAddr,
    /// Changed under the lock of all peers only.
    connections: AtomicUsize,
    calls: AtomicUsize,
    watches: AtomicUsize,
    pending_calls: AtomicUsize,
    max_pending_calls: usize,
    next_turn: NextTurn,
    refused_calls: Arc<SparseLog>,
}

/// The address that a call comes from: in the extensions of each request. Behind a
/// proxy, it is that of the proxy.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub IpAddr);

/// Kept while a connection is open.
#[derive(Debug)]
pub struct PeerConnection {
    peers: Peers,
    client: IpAddr,
    /// Identifies the peer: the address, or a network.
    address: IpAddr,
    peer: Arc<Peer>,
}

/// Kept while a call is not past authentication.
#[derive(Debug)]
pub struct PendingCall(Arc<Peer>);

/// A running call that is counted as its peer's, until it is dropped.
#[derive(Debug)]
pub struct PeerCall(Arc<Peer>);

/// A watch of health that is counted as its peer's, until it is dropped.
#[derive(Debug)]
pub struct PeerWatch(Arc<Peer>);

impl Peers {
    /// No peers yet; each has these limits.
    pub fn new(limits: PeerLimits) -> Self {
        Peers(Arc::new(Shared {
            limits,
            open: Mutex::default(),
            connections: AtomicUsize::new(0),
            refused: SparseLog::default(),
            without_room: SparseLog::default(),
            overdue: SparseLog::default(),
            failed_handshakes: SparseLog::default(),
            refused_calls: Arc::default(),
        }))
    }

    /// Admits a connection from an address, unless its peer has too many.
    pub fn admit(&self, address: IpAddr) -> Option<PeerConnection> {
        let client = address.to_canonical();
        let address = peer_of(client);
        let mut open = self.0.open.lock();
        let peer = open.entry(address).or_insert_with(|| {
            Arc::new(Peer {
                address,
                connections: AtomicUsize::new(0),
                calls: AtomicUsize::new(0),
                watches: AtomicUsize::new(0),
                pending_calls: AtomicUsize::new(0),
                max_pending_calls: self.0.limits.max_pending_calls,
                next_turn: NextTurn::default(),
                refused_calls: Arc::clone(&self.0.refused_calls),
            })
        });
        if peer.connections() >= self.0.limits.max_connections {
            drop(open);
            self.refuse(client);
            return None;
        }
        let peer = Arc::clone(peer);
        peer.connections.fetch_add(1, Relaxed);
        drop(open);
        self.0.connections.fetch_add(1, Relaxed);
        Some(PeerConnection {
            peers: self.clone(),
            client,
            address,
            peer,
        })
    }

    fn refuse(&self, address: IpAddr) {
        let limits = &self.0.limits;
        self.0.refused.event(|refused| {
            tracing::warn!(
                peer = %address,
                refused,
                limit = limits.max_connections,
                "refused a connection: the peer has the maximum number of connections ({})",
                limits.key
            );
        });
    }

    /// Number of open connections.
    pub fn connections(&self) -> usize {
        self.0.connections.load(Relaxed)
    }

    /// Number of connections that were refused, closed for others, and overdue, with
    /// their causes.
    pub fn closed(&self) -> [(&'static str, u64); 3] {
        [
            ("peer_limit", self.0.refused.count()),
            ("limit", self.0.without_room.count()),
            ("handshake_timeout", self.0.overdue.count()),
        ]
    }
}

impl PeerConnection {
    /// The peer at the other end.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// The address at the other end.
    pub fn address(&self) -> PeerAddress {
        PeerAddress(self.client)
    }

    /// Counts the connection as one for which another one makes room, or which is closed
    /// since none can.
    pub fn found_no_room(&self, makes_room: bool) {
        self.peers.0.without_room.event(|closed| {
            tracing::warn!(
                peer = %self.client,
                closed,
                "{}: the maximum number of connections is open ({})",
                if makes_room {
                    "closed the oldest idle connection for a new one"
                } else {
                    "refused a connection"
                },
                self.peers.0.limits.key_of_all
            );
        });
    }

    /// Counts the connection as closed since its handshake or the head of a
    /// request took too long.
    pub fn count_overdue(&self) {
        self.peers.0.overdue.event(|overdue| {
            tracing::warn!(
                peer = %self.client,
                overdue,
                "closed a connection: its handshake or the head of a request took too long \
                 (server.handshake_timeout)"
            );
        });
    }

    /// Logs that the TLS handshake failed, for example since the certificate of
    /// the client is not valid.
    pub fn handshake_failed(&self, error: &io::Error) {
        self.peers.0.failed_handshakes.event(|failed| {
            tracing::warn!(peer = %self.client, failed, %error, "a TLS handshake failed");
        });
    }
}

impl Drop for PeerConnection {
    fn drop(&mut self) {
        let shared = &self.peers.0;
        shared.connections.fetch_sub(1, Relaxed);
        let mut open = shared.open.lock();
        if self.peer.connections.fetch_sub(1, Relaxed) == 1 {
            open.remove(&self.address);
        }
    }
}

impl Peer {
    /// The peer, as a holder of what calls hold.
    pub fn network(&self) -> PeerNetwork {
        PeerNetwork(self.address)
    }

    /// Number of open connections.
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// When one of its connections reads next.
    pub fn next_turn(&self) -> &NextTurn {
        &self.next_turn
    }

    /// Counts a call that is not past authentication, unless the peer has too
    /// many.
    pub fn pending_call(self: &Arc<Self>) -> Option<PendingCall> {
        let pending = PendingCall(Arc::clone(self));
        let before = self.pending_calls.fetch_add(1, Relaxed);
        if before < self.max_pending_calls {
            return Some(pending);
        }
        self.refused_calls.event(|refused| {
            tracing::warn!(
                peer = %self.address,
                refused,
                limit = self.max_pending_calls,
                "rejected a call: the peer has the maximum number of calls that are not past \
                 authentication (server.max_pending_calls_per_peer)"
            );
        });
        None
    }
}

impl Peer {
    /// Counts a running call of nobody who is known, unless the peer runs more than
    /// `share` of them.
    pub fn call(self: &Arc<Self>, share: usize) -> Option<PeerCall> {
        let call = PeerCall(Arc::clone(self));
        let before = self.calls.fetch_add(1, Relaxed);
        (before <= share).then_some(call)
    }

    /// Counts a watch of health, unless the peer has more than `share` of them.
    pub fn watch(self: &Arc<Self>, share: usize) -> Option<PeerWatch> {
        let watch = PeerWatch(Arc::clone(self));
        let before = self.watches.fetch_add(1, Relaxed);
        (before <= share).then_some(watch)
    }
}

#[cfg(test)]
impl Peer {
    /// A peer with a connection.
    pub fn for_tests() -> Arc<Peer> {
        let peers = Peers::new(PeerLimits {
            max_connections: 1,
            max_pending_calls: 1,
            key: "",
            key_of_all: "",
        });
        let connection = peers.admit(Ipv6Addr::LOCALHOST.into()).unwrap();
        Arc::clone(connection.peer())
    }
}

impl Drop for PeerCall {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Relaxed);
    }
}

impl Drop for PeerWatch {
    fn drop(&mut self) {
        self.0.watches.fetch_sub(1, Relaxed);
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        self.0.pending_calls.fetch_sub(1, Relaxed);
    }
}

fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(per_peer: usize) -> Peers {
        Peers::new(PeerLimits {
            max_connections: per_peer,
            max_pending_calls: per_peer,
            key: "server.max_connections_per_peer",
            key_of_all: "server.max_connections",
        })
    }

    #[test]
    fn each_peer_has_its_own_limit() {
        let peers = peers(2);
        let admit = |address: &str| peers.admit(address.parse().unwrap());
        let first = (admit("192.0.2.1"), admit("::ffff:192.0.2.1"));
        assert!(first.0.is_some() && first.1.is_some());
        assert!(admit("192.0.2.1").is_none());
        assert!(admit("192.0.2.2").is_some());
        assert_eq!((peers.connections(), peers.closed()[0].1), (2, 1));
        drop(first);
        assert!(admit("192.0.2.1").is_some());
        assert!(peers.0.open.lock().is_empty());
    }

    #[test]
    fn a_network_of_64_bits_is_one_peer() {
        let peers = peers(1);
        let admit = |address: &str| peers.admit(address.parse().unwrap());
        let _first = admit("2001:db8::1").unwrap();
        assert!(admit("2001:db8::ffff:2").is_none());
        assert!(admit("2001:db8:0:1::1").is_some());
    }

    #[test]
    fn calls_before_authentication_are_limited_over_all_connections() {
        let peers = peers(2);
        let address = "192.0.2.1".parse().unwrap();
        let connections = [peers.admit(address).unwrap(), peers.admit(address).unwrap()];
        let [first, second] = connections.each_ref().map(|it| it.peer().pending_call());
        assert!(second.is_some() && connections[0].peer().pending_call().is_none());
        drop(first);
        assert!(connections[0].peer().pending_call().is_some());
    }
}
