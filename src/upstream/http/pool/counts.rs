//! How many connections and streams there may be, and how many there are.

use std::{iter::Sum, time::Duration};

/// How many connections the pool may have.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Maximum number of connections that take new streams.
    pub connections: usize,
    /// Maximum number of those without a stream.
    pub idle: usize,
    /// Time after which a connection without a stream is closed.
    pub idle_timeout: Duration,
}

/// The connections and streams of the pool, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Connections that are being opened.
    pub connecting: usize,
    /// Connections with streams, that take more as far as the peer allows.
    pub active: usize,
    /// Connections without a stream.
    pub idle: usize,
    /// Connections that end with their last stream: the peer wants no new ones,
    /// or they are being closed.
    pub draining: usize,
    /// Streams in flight.
    pub in_flight: usize,
    /// Attempts that wait for a stream or a connection.
    pub waiting: usize,
    /// Streams that the peer allows on the open connections. A connection
    /// without a limit counts as `PoolLimits::connections`.
    pub capacity: usize,
}

impl Sum for PoolCounts {
    fn sum<I: Iterator<Item = PoolCounts>>(counts: I) -> Self {
        counts.fold(PoolCounts::default(), |sum, one| PoolCounts {
            connecting: sum.connecting + one.connecting,
            active: sum.active + one.active,
            idle: sum.idle + one.idle,
            draining: sum.draining + one.draining,
            in_flight: sum.in_flight + one.in_flight,
            waiting: sum.waiting + one.waiting,
            capacity: sum.capacity + one.capacity,
        })
    }
}
