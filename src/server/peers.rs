//! What one peer may hold before anybody knows who it is.
//!
//! A peer is an IPv4 address, or a network of 64 bits in IPv6, since that is what
//! one host gets. Without these limits, one peer could use up those that all
//! callers share.

use super::config::ServerConfig;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Minimum time between two log lines about refused connections.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The peers with open connections. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Peers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max_connections: usize,
    max_pending_calls: usize,
    open: Mutex<HashMap<IpAddr, Entry>>,
    connections: AtomicUsize,
    refused: AtomicU64,
    overdue: AtomicU64,
    last_log: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Entry {
    connections: usize,
    peer: Arc<Peer>,
}

/// A peer: the calls of it that are nobody else's.
#[derive(Debug)]
pub struct Peer {
    calls: AtomicUsize,
    pending_calls: AtomicUsize,
    max_pending_calls: usize,
}

/// Kept while a connection is open.
#[derive(Debug)]
pub struct PeerConnection {
    peers: Peers,
    address: IpAddr,
    peer: Arc<Peer>,
}

/// Kept while a call is not past authentication.
#[derive(Debug)]
pub struct PendingCall(Arc<Peer>);

/// A running call that is counted as its peer's, until it is dropped.
#[derive(Debug)]
pub struct PeerCall(Arc<Peer>);

impl Peers {
    /// No peers yet, with the configured limits.
    pub fn new(config: &ServerConfig) -> Self {
        Peers(Arc::new(Shared {
            max_connections: config.connections_per_peer(),
            max_pending_calls: config.max_pending_calls_per_peer,
            open: Mutex::default(),
            connections: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            overdue: AtomicU64::new(0),
            last_log: Mutex::default(),
        }))
    }

    /// Admits a connection from an address, unless its peer has too many.
    pub fn admit(&self, address: IpAddr) -> Option<PeerConnection> {
        let address = peer_of(address);
        let mut open = self.0.open.lock();
        let entry = open.entry(address).or_insert_with(|| Entry {
            connections: 0,
            peer: Arc::new(Peer {
                calls: AtomicUsize::new(0),
                pending_calls: AtomicUsize::new(0),
                max_pending_calls: self.0.max_pending_calls,
            }),
        });
        if entry.connections >= self.0.max_connections {
            drop(open);
            self.refuse(address);
            return None;
        }
        entry.connections += 1;
        let peer = Arc::clone(&entry.peer);
        drop(open);
        self.0.connections.fetch_add(1, Relaxed);
        Some(PeerConnection {
            peers: self.clone(),
            address,
            peer,
        })
    }

    fn refuse(&self, peer: IpAddr) {
        let refused = self.0.refused.fetch_add(1, Relaxed) + 1;
        let mut last_log = self.0.last_log.lock();
        if last_log.is_some_and(|last| last.elapsed() < LOG_INTERVAL) {
            return;
        }
        *last_log = Some(Instant::now());
        drop(last_log);
        tracing::warn!(
            %peer,
            refused,
            limit = self.0.max_connections,
            "refused a connection: the peer has the maximum number of connections \
             (server.max_connections_per_peer)"
        );
    }

    /// Counts a connection that was closed since its handshake or the head of a
    /// request took too long.
    pub fn count_overdue(&self) {
        self.0.overdue.fetch_add(1, Relaxed);
    }

    /// Number of open connections.
    pub fn connections(&self) -> usize {
        self.0.connections.load(Relaxed)
    }

    /// Number of refused and of overdue connections, with their causes.
    pub fn closed(&self) -> [(&'static str, u64); 2] {
        [
            ("peer_limit", self.0.refused.load(Relaxed)),
            ("handshake_timeout", self.0.overdue.load(Relaxed)),
        ]
    }
}

impl PeerConnection {
    /// The peer at the other end.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }
}

impl Drop for PeerConnection {
    fn drop(&mut self) {
        let shared = &self.peers.0;
        shared.connections.fetch_sub(1, Relaxed);
        let mut open = shared.open.lock();
        if let Some(entry) = open.get_mut(&self.address) {
            entry.connections -= 1;
            if entry.connections == 0 {
                open.remove(&self.address);
            }
        }
    }
}

impl Peer {
    /// Counts a call that is not past authentication, unless the peer has too
    /// many.
    pub fn pending_call(self: &Arc<Self>) -> Option<PendingCall> {
        let pending = PendingCall(Arc::clone(self));
        let before = self.pending_calls.fetch_add(1, Relaxed);
        (before < self.max_pending_calls).then_some(pending)
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
}

impl Drop for PeerCall {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Relaxed);
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
        Peers::new(&ServerConfig {
            max_connections_per_peer: Some(per_peer),
            max_pending_calls_per_peer: per_peer,
            ..ServerConfig::default()
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
