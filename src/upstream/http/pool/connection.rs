//! One connection, as the pool knows it.

use tokio::time::Instant;

/// Identifies a connection of the pool.
pub type ConnectionId = u64;

/// A connection. `L` is the link over which streams are opened.
#[derive(Debug)]
pub struct PooledConnection<L> {
    /// Its identity in the pool.
    pub id: ConnectionId,
    /// `None` once it takes no new streams.
    pub link: Option<L>,
    /// Streams that the peer allows; `None` before its SETTINGS.
    pub limit: Option<usize>,
    /// Streams in flight.
    pub in_flight: usize,
    /// Streams since it was opened, without those that the peer did not process.
    pub served: usize,
    /// Responses that have come on it.
    pub answered: usize,
    /// Streams that were expected of a connection when the peer drained this one.
    pub expected: Option<usize>,
    /// It broke, and a stream has reported that.
    pub is_broken: bool,
    /// This side closes it.
    pub is_retired: bool,
    /// It has ended.
    pub is_closed: bool,
    /// When it was opened.
    pub opened_at: Instant,
    /// When its last stream ended.
    pub idle_since: Instant,
}

impl<L> PooledConnection<L> {
    /// Streams that may be opened now, of at most `most` at a time. Before the
    /// peer's SETTINGS it is one, so that the first call costs no further round
    /// trip, and no stream is opened that the peer would refuse.
    pub fn free(&self, most: usize) -> usize {
        let allowed = self.limit.unwrap_or(1).min(most);
        match self.link {
            Some(_) => allowed.saturating_sub(self.in_flight),
            None => 0,
        }
    }

    /// Whether it takes new streams.
    pub fn is_open(&self) -> bool {
        self.link.is_some()
    }

    /// Whether it takes new streams and has none.
    pub fn is_idle(&self) -> bool {
        self.is_open() && self.in_flight == 0
    }

    /// Takes no new streams, so that it is closed with its last one.
    pub fn retire(&mut self) -> Option<L> {
        self.is_retired = true;
        self.link.take()
    }
}
