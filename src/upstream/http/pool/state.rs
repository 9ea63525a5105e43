//! What the pool knows of its connections and of who waits, and what it decides.
//! No I/O and no clock of its own: everything here is a function of its
//! arguments.

use super::{
    connection::{ConnectionId, PooledConnection},
    counts::{PoolCounts, PoolLimits},
};
use std::{cmp::Reverse, collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// How many streams a peer takes on a connection, as long as it was never
/// asked: the least that RFC 9113 (6.5.2) recommends to peers.
const EXPECTED_STREAMS: usize = 100;

/// The first delay after a connection that was of no use; it doubles up to
/// [`LONGEST_DELAY`].
const FIRST_DELAY: Duration = Duration::from_millis(50);

/// The longest delay between connections that are of no use.
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// A connection that the peer drains within this time, before any response, was
/// of no use. After this time, failures are forgotten.
const FRUITLESS_WITHIN: Duration = Duration::from_secs(10);

/// Identifies a waiter of the pool.
pub type Ticket = u64;

/// What the pool knows. `W` notifies a waiter.
#[derive(Debug)]
pub struct PoolState<L, W> {
    limits: PoolLimits,
    connections: Vec<PooledConnection<L>>,
    waiters: VecDeque<(Ticket, W)>,
    connecting: usize,
    /// Streams that this peer allowed on the last connection.
    learned: Option<usize>,
    /// How many streams to expect of a connection, and to open on one at a time,
    /// after one that the peer drained before it had processed as many as it
    /// allows. It grows with the responses that come on one connection.
    lowered: Option<usize>,
    /// Connections in a row that were of no use, and when the last one failed.
    fruitless: (u32, Instant),
    last_id: u64,
}

impl<L: Clone, W> PoolState<L, W> {
    /// Without any connection.
    pub fn new(limits: PoolLimits, now: Instant) -> Self {
        PoolState {
            limits,
            connections: Vec::new(),
            waiters: VecDeque::new(),
            connecting: 0,
            learned: None,
            lowered: None,
            fruitless: (0, now),
            last_id: 0,
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn find(&mut self, id: ConnectionId) -> Option<&mut PooledConnection<L>> {
        self.connections.iter_mut().find(|it| it.id == id)
    }

    // Streams.

    /// Takes a stream if one is free and nobody else waits for it: on the connection
    /// with the fewest in flight. Among idle ones it is the one that was used
    /// last, so that those that are not needed reach their idle timeout.
    ///
    /// Who has a lower ticket than those who wait goes before them.
    pub fn take(&mut self, ticket: Ticket) -> Option<(ConnectionId, L)> {
        let first = self.waiters.front().map(|(first, _)| *first);
        match first.is_none_or(|first| ticket < first) {
            true => self.lease(),
            false => None,
        }
    }

    /// The next waiter and its stream, if both exist.
    pub fn next_grant(&mut self) -> Option<(W, ConnectionId, L)> {
        if self.waiters.is_empty() {
            return None;
        }
        let (id, link) = self.lease()?;
        let (_, waiter) = self.waiters.pop_front()?;
        Some((waiter, id, link))
    }

    fn lease(&mut self) -> Option<(ConnectionId, L)> {
        let most = self.lowered.unwrap_or(usize::MAX);
        let free = self.connections.iter_mut().filter(|it| it.free(most) > 0);
        let best = free.min_by_key(|it| (it.in_flight, Reverse(it.idle_since)))?;
        let link = best.link.clone()?;
        best.in_flight += 1;
        best.served += 1;
        Some((best.id, link))
    }

    /// A stream ended.
    pub fn release(&mut self, id: ConnectionId, now: Instant) {
        if let Some(connection) = self.find(id) {
            connection.in_flight = connection.in_flight.saturating_sub(1);
            connection.idle_since = now;
            if connection.is_closed {
                self.forget_closed(now);
            }
        }
    }

    /// The peer answered on a connection: it is of use.
    pub fn answered(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.find(id) else {
            return;
        };
        connection.answered += 1;
        let answered = connection.answered;
        if answered == 1 {
            self.fruitless = (0, now);
        }
        if self.lowered.is_some_and(|lowered| lowered < answered) {
            let is_all = self.learned.is_some_and(|learned| learned <= answered);
            self.lowered = (!is_all).then_some(answered);
        }
    }

    /// A connection broke under a stream. Whether it is the first one to say so,
    /// and the link of the connection: it takes no new streams, even before its
    /// end is noticed.
    pub fn broke(&mut self, id: ConnectionId) -> (bool, Option<L>) {
        match self.find(id) {
            Some(connection) => {
                let is_known = std::mem::replace(&mut connection.is_broken, true);
                (!is_known, connection.link.take())
            }
            None => (true, None),
        }
    }

    // Waiters.

    /// Identifies someone who wants a stream; later ones have higher tickets.
    pub fn ticket(&mut self) -> Ticket {
        self.next_id()
    }

    /// Adds a waiter, behind those with lower tickets.
    pub fn enqueue(&mut self, ticket: Ticket, waiter: W) {
        let at = self.waiters.partition_point(|(one, _)| *one < ticket);
        self.waiters.insert(at, (ticket, waiter));
    }

    /// Removes a waiter that gave up. Returns it, unless it was served.
    pub fn leave(&mut self, ticket: Ticket) -> Option<W> {
        let at = self.waiters.iter().position(|(one, _)| *one == ticket)?;
        self.waiters.remove(at).map(|(_, waiter)| waiter)
    }

    /// Removes all waiters.
    pub fn dismiss_all(&mut self) -> Vec<W> {
        self.waiters.drain(..).map(|(_, waiter)| waiter).collect()
    }

    /// Whether a connection that is being opened will have a stream for this
    /// waiter, by all that is known of the peer.
    pub fn is_expected(&self, ticket: Ticket, now: Instant) -> bool {
        let at = self.waiters.iter().position(|(one, _)| *one == ticket);
        self.failures(now) == 0 && at.is_some_and(|at| at < self.expected_streams())
    }

    /// Streams that connections are expected to take once they are open and the
    /// peer has sent its SETTINGS.
    fn expected_streams(&self) -> usize {
        let each = self.expected_of_one();
        let unsettled = self.connections.iter();
        unsettled
            .filter(|it| it.is_open() && it.limit.is_none())
            .map(|it| each.saturating_sub(it.in_flight))
            .fold(self.connecting.saturating_mul(each), usize::saturating_add)
    }

    fn expected_of_one(&self) -> usize {
        let allowed = self.learned.unwrap_or(EXPECTED_STREAMS);
        allowed.min(self.lowered.unwrap_or(allowed)).max(1)
    }

    // Connections.

    /// Whether another connection must be opened for those who wait, and after
    /// which delay. It then counts as connecting.
    pub fn open_another(&mut self, now: Instant) -> Option<Duration> {
        let open = self.connections.iter().filter(|it| it.is_open()).count();
        let failures = self.failures(now);
        let is_needed = self.waiters.len() > self.expected_streams();
        let has_room = open + self.connecting < self.limits.connections;
        // One at a time while connections turn out to be of no use.
        let may_try = failures == 0 || self.connecting == 0;
        if !(is_needed && has_room && may_try) {
            return None;
        }
        self.connecting += 1;
        Some(match failures.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => {
                let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(doublings));
                delay.min(LONGEST_DELAY)
            }
        })
    }

    /// A connection is open.
    pub fn opened(&mut self, link: L, now: Instant) -> ConnectionId {
        self.connecting -= 1;
        let id = self.next_id();
        self.connections.push(PooledConnection {
            id,
            link: Some(link),
            limit: None,
            in_flight: 0,
            served: 0,
            answered: 0,
            expected: None,
            is_broken: false,
            is_retired: false,
            is_closed: false,
            opened_at: now,
            idle_since: now,
        });
        id
    }

    /// A connection could not be opened. Returns the waiters that have nothing
    /// else to wait for.
    pub fn open_failed(&mut self, now: Instant) -> Vec<W> {
        self.connecting -= 1;
        if self.connections.iter().any(PooledConnection::is_open) {
            self.fail(now);
            return Vec::new();
        }
        match self.connecting {
            0 => self.dismiss_all(),
            _ => Vec::new(),
        }
    }

    /// The peer speaks another protocol on a connection that was opened.
    pub fn opened_otherwise(&mut self) {
        self.connecting -= 1;
    }

    /// The peer allows this many streams on a connection.
    pub fn set_limit(&mut self, id: ConnectionId, limit: usize, now: Instant) {
        let Some(connection) = self.find(id) else {
            return;
        };
        let is_first = connection.limit.replace(limit).is_none();
        self.learned = Some(limit);
        if limit == 0 && is_first {
            self.fail(now);
        }
    }

    /// The peer wants no new streams on a connection.
    pub fn drain(&mut self, id: ConnectionId) -> Option<L> {
        let expected = self.expected_of_one();
        let connection = self.find(id)?;
        let link = connection.link.take();
        if link.is_some() {
            connection.expected = Some(expected);
        }
        let (served, expected) = (connection.served, connection.expected);
        if let Some(expected) = expected.filter(|expected| served < *expected) {
            // In steps: a single restart of the peer says little.
            let lowered = served.max(expected / 4).max(1);
            self.lowered = Some(self.lowered.map_or(lowered, |it| it.min(lowered)));
        }
        link
    }

    /// The peer drains a connection, and did not process one of its streams.
    pub fn unprocessed(&mut self, id: ConnectionId) -> Option<L> {
        let connection = self.find(id)?;
        connection.served = connection.served.saturating_sub(1);
        self.drain(id)
    }

    /// A connection has ended. It is forgotten with its last stream, whose
    /// response may have arrived before the end.
    pub fn closed(&mut self, id: ConnectionId, now: Instant) -> Option<L> {
        let connection = self.find(id)?;
        connection.is_closed = true;
        let link = connection.link.take();
        self.forget_closed(now);
        link
    }

    fn forget_closed(&mut self, now: Instant) {
        let is_over = |it: &PooledConnection<L>| it.is_closed && it.in_flight == 0;
        while let Some(at) = self.connections.iter().position(is_over) {
            let ended = self.connections.swap_remove(at);
            let age = now.saturating_duration_since(ended.opened_at);
            if ended.answered == 0 && !ended.is_retired && age < FRUITLESS_WITHIN {
                self.fail(now);
            }
        }
    }

    /// A connection to close: more are idle than may be, or more than one takes
    /// nothing. That one is kept, since its limit may grow.
    pub fn retire_surplus(&mut self) -> Option<L> {
        let is_closed = |it: &PooledConnection<L>| it.is_idle() && it.limit == Some(0);
        let is_surplus: fn(&PooledConnection<L>) -> bool =
            if self.connections.iter().filter(|it| is_closed(it)).count() > 1 {
                is_closed
            } else if self.waiters.is_empty() && self.idle() > self.limits.idle {
                PooledConnection::is_idle
            } else {
                return None;
            };
        let surplus = self.connections.iter_mut().filter(|it| is_surplus(it));
        surplus.min_by_key(|it| it.idle_since)?.retire()
    }

    fn idle(&self) -> usize {
        self.connections.iter().filter(|it| it.is_idle()).count()
    }

    /// Closes a connection that is idle for too long. `Err` is when to ask
    /// again; `Ok(None)`, that it takes no streams any more.
    pub fn retire_idle(&mut self, id: ConnectionId, now: Instant) -> Result<Option<L>, Instant> {
        let timeout = self.limits.idle_timeout;
        let Some(connection) = self.find(id).filter(|it| it.is_open()) else {
            return Ok(None);
        };
        let expires = match connection.is_idle() {
            true => connection.idle_since + timeout,
            // Not idle: it has all of the time before it.
            false => now + timeout.max(Duration::from_secs(1)),
        };
        match expires <= now {
            true => Ok(connection.retire()),
            false => Err(expires),
        }
    }

    /// Whether the peer has sent its SETTINGS on a connection, and whether the
    /// connection has streams.
    pub fn usage(&mut self, id: ConnectionId) -> Option<(bool, bool)> {
        let connection = self.find(id)?;
        Some((connection.limit.is_some(), connection.in_flight > 0))
    }

    fn fail(&mut self, now: Instant) {
        self.fruitless = (self.failures(now).saturating_add(1), now);
    }

    fn failures(&self, now: Instant) -> u32 {
        let (count, last) = self.fruitless;
        match now.saturating_duration_since(last) < FRUITLESS_WITHIN {
            true => count,
            false => 0,
        }
    }

    /// The connections and streams, by state.
    pub fn counts(&self) -> PoolCounts {
        let mut counts = PoolCounts {
            connecting: self.connecting,
            waiting: self.waiters.len(),
            ..PoolCounts::default()
        };
        for connection in &self.connections {
            counts.in_flight += connection.in_flight;
            if !connection.is_open() {
                counts.draining += 1;
                continue;
            }
            match connection.in_flight {
                0 => counts.idle += 1,
                _ => counts.active += 1,
            }
            counts.capacity += connection.limit.unwrap_or(1).min(self.limits.connections);
        }
        counts
    }
}
