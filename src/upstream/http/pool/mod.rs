//! The connections to an HTTPS API that speaks HTTP/2.
//!
//! `reqwest` has one HTTP/2 connection for each host, and shows neither how many
//! streams the peer allows on it nor who waits for one. More calls than that
//! wait inside it, where waiting looks like a silent API. This pool
//! spreads them over several connections, and waits for a stream where waiting
//! has a bound and a name.
//!
//! It is on `h2` and not on `hyper`, whose connection is driven by a task of its
//! own: it reports neither new SETTINGS nor GOAWAY before the next request, and
//! keeps a stream open that the caller has dropped until its request is sent.
//! Here a stream that is reserved is a stream of the peer, exactly.
//!
//! - A reserved stream is on the connection with the fewest in flight.
//! - Another connection is opened when more attempts wait than the open ones and
//!   those being opened will take, by the limit that the peer stated last.
//! - A connection that drains, broke or answers no ping gets no further streams.
//! - Who waits is served in order. Giving up leaves nothing behind.

mod byte_stream;
mod connect;
mod connection;
mod counts;
mod driver;
mod resend;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod tunnel;

pub use connect::{Connector, Dial, Dialed, TCP_KEEPALIVE, TCP_KEEPALIVE_PROBES};
pub use counts::{PoolCounts, PoolLimits};
pub use resend::Resends;
pub use stream::{Http2Body, StreamError, StreamSlot};

use crate::upstream::ConnectFailure;
use connection::ConnectionId;
use driver::{ConnectionNews, ConnectionUse, Link, OpenConnection, handshake};
use parking_lot::{Mutex, MutexGuard};
use state::{PoolState, Ticket};
use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};
use stream::StreamOwner;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until, timeout},
};

/// For how long a peer that speaks only HTTP/1.1 is not asked again.
const HTTP1_REMEMBERED: Duration = Duration::from_secs(600);

/// The connections to one peer. Cloning is cheap; all clones share them.
#[derive(Clone)]
pub struct ConnectionPool(Arc<Shared>);

struct Shared {
    dial: Arc<dyn Dial>,
    connect_timeout: Duration,
    state: Mutex<Inner>,
}

struct Inner {
    pool: PoolState<Arc<Link>, GrantSender>,
    http1_until: Option<Instant>,
}

/// Sends a waiter its stream.
type GrantSender = oneshot::Sender<Result<Grant, ConnectFailure>>;

/// What an attempt gets.
pub enum Grant {
    /// A stream.
    Stream(StreamSlot),
    /// Nothing: the peer speaks only HTTP/1.1.
    Http1,
}

/// A stream, or the right to the one that comes with a connection being opened.
pub struct Reservation {
    reserved: Reserved,
    ticket: Ticket,
}

enum Reserved {
    Granted(Result<Grant, ConnectFailure>),
    Waiting(Waiter),
}

/// Why an attempt has no stream.
#[derive(Debug, Clone)]
pub enum PoolError {
    /// No connection could be opened.
    Connect(ConnectFailure),
    /// All streams were in use for too long.
    NoStream,
}

/// A place in the queue. Dropping it leaves the queue.
struct Waiter {
    shared: Arc<Shared>,
    ticket: Ticket,
    granted: oneshot::Receiver<Result<Grant, ConnectFailure>>,
}

// === impl ConnectionPool ===

impl ConnectionPool {
    /// A pool without connections yet. A connection must be open, with the
    /// peer's SETTINGS, within `connect_timeout`.
    pub fn new(dial: Arc<dyn Dial>, limits: PoolLimits, connect_timeout: Duration) -> Self {
        ConnectionPool(Arc::new(Shared {
            dial,
            connect_timeout,
            state: Mutex::new(Inner {
                pool: PoolState::new(limits, Instant::now()),
                http1_until: None,
            }),
        }))
    }

    /// Waits for a stream while all connections are in use, at most `longest`;
    /// first come, first served. It does not wait for a connection that is being
    /// opened: that is part of the attempt.
    ///
    /// # Errors
    /// [`PoolError::NoStream`] when there was none in this time.
    pub async fn reserve(&self, longest: Duration) -> Result<Reservation, PoolError> {
        let ticket = self.0.lock().pool.ticket();
        self.reserve_with(ticket, longest).await
    }

    /// As [`reserve`](Self::reserve), with the place in the queue of an earlier
    /// reservation.
    ///
    /// # Errors
    /// [`PoolError::NoStream`] when there was none in this time.
    pub async fn reserve_with(
        &self,
        ticket: Ticket,
        longest: Duration,
    ) -> Result<Reservation, PoolError> {
        let shared = &self.0;
        let reservation = |reserved| Reservation { reserved, ticket };
        let mut waiter = match shared.take_or_wait(ticket) {
            Ok(grant) => return Ok(reservation(Reserved::Granted(Ok(grant)))),
            Err(waiter) => waiter,
        };
        shared.advance();
        if waiter.is_expected() {
            return Ok(reservation(Reserved::Waiting(waiter)));
        }
        match timeout(longest, &mut waiter.granted).await {
            Ok(granted) => {
                let granted = granted.map_err(|_| PoolError::NoStream)?;
                Ok(reservation(Reserved::Granted(granted)))
            }
            Err(_) if waiter.is_expected() => Ok(reservation(Reserved::Waiting(waiter))),
            Err(_) => Err(PoolError::NoStream),
        }
    }

    /// The peer may speak HTTP/2 after all.
    pub fn forget_http1(&self) {
        self.0.lock().http1_until = None;
    }

    /// The connections and streams, by state.
    pub fn counts(&self) -> PoolCounts {
        self.0.lock().pool.counts()
    }
}

impl fmt::Debug for ConnectionPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConnectionPool")
            .field(&self.counts())
            .finish()
    }
}

// === impl Reservation ===

impl Reservation {
    /// Its place in the queue.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Waits until the connection that was expected is open.
    ///
    /// It may turn out to take fewer streams than expected. The attempt then
    /// waits for `longest` in addition to the time for a connection.
    ///
    /// # Errors
    /// When the connection cannot be opened, or has no stream in that time.
    pub async fn granted(self, longest: Duration) -> Result<Grant, PoolError> {
        let granted = match self.reserved {
            Reserved::Granted(granted) => granted,
            Reserved::Waiting(mut waiter) => {
                let longest = waiter.shared.connect_timeout + longest;
                match timeout(longest, &mut waiter.granted).await {
                    Ok(Ok(granted)) => granted,
                    _ => return Err(PoolError::NoStream),
                }
            }
        };
        granted.map_err(PoolError::Connect)
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reservation")
    }
}

// === impl Waiter ===

impl Waiter {
    fn is_expected(&self) -> bool {
        let inner = self.shared.lock();
        inner.pool.is_expected(self.ticket, Instant::now())
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.shared.lock().pool.leave(self.ticket);
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock()
    }

    fn slot(self: &Arc<Self>, id: ConnectionId, link: Arc<Link>) -> StreamSlot {
        let owner: Arc<dyn StreamOwner> = self.clone();
        StreamSlot::new(owner, id, link)
    }

    fn take_or_wait(self: &Arc<Self>, ticket: Ticket) -> Result<Grant, Waiter> {
        let mut inner = self.lock();
        if let Some((id, link)) = inner.pool.take(ticket) {
            return Ok(Grant::Stream(self.slot(id, link)));
        }
        if inner
            .http1_until
            .is_some_and(|until| Instant::now() < until)
        {
            return Ok(Grant::Http1);
        }
        let (sender, granted) = oneshot::channel();
        inner.pool.enqueue(ticket, sender);
        Err(Waiter {
            shared: Arc::clone(self),
            ticket,
            granted,
        })
    }

    /// Serves the waiters as far as possible, and closes surplus connections.
    ///
    /// A waiter that is gone drops its stream, which comes back here: nothing is
    /// notified or dropped under the lock.
    fn advance(self: &Arc<Self>) {
        loop {
            let grant = self.lock().pool.next_grant();
            let Some((sender, id, link)) = grant else {
                break;
            };
            let _ = sender.send(Ok(Grant::Stream(self.slot(id, link))));
        }
        loop {
            let delay = self.lock().pool.open_another(Instant::now());
            let Some(delay) = delay else { break };
            tokio::spawn(open(Arc::downgrade(self), Arc::clone(&self.dial), delay));
        }
        loop {
            let surplus = self.lock().pool.retire_surplus();
            if surplus.is_none() {
                break;
            }
        }
    }

    /// Registers a connection and drives it to its end. It is closed when the
    /// pool is dropped.
    async fn run(pool: Weak<Self>, link: Link, connection: OpenConnection) {
        let Some(shared) = pool.upgrade() else {
            return;
        };
        let settle_within = shared.connect_timeout;
        let id = shared.lock().pool.opened(Arc::new(link), Instant::now());
        shared.advance();
        drop(shared);
        let driven = connection.drive(
            settle_within,
            || pool.upgrade()?.usage(id),
            |news| {
                if let Some(shared) = pool.upgrade() {
                    shared.learn(id, news);
                }
            },
        );
        tokio::select! {
            () = driven => {}
            never = close_when_idle(&pool, id) => match never {},
        }
        if let Some(shared) = pool.upgrade() {
            let link = shared.lock().pool.closed(id, Instant::now());
            drop(link);
            shared.advance();
        }
    }

    fn usage(&self, id: ConnectionId) -> Option<ConnectionUse> {
        let (is_settled, has_streams) = self.lock().pool.usage(id)?;
        Some(ConnectionUse {
            is_settled,
            has_streams,
        })
    }

    fn learn(self: &Arc<Self>, id: ConnectionId, news: ConnectionNews) {
        match news {
            ConnectionNews::Limit(limit) => {
                self.lock().pool.set_limit(id, limit, Instant::now());
            }
            ConnectionNews::Draining => {
                let link = self.lock().pool.drain(id);
                drop(link);
            }
        }
        self.advance();
    }

    fn open_failed(self: &Arc<Self>, failure: ConnectFailure) {
        tracing::debug!(error = %failure, "failed to open a connection to the Claude API");
        let waiters = self.lock().pool.open_failed(Instant::now());
        for sender in waiters {
            let _ = sender.send(Err(failure));
        }
        self.advance();
    }

    fn speaks_http1(self: &Arc<Self>) {
        let waiters = {
            let mut inner = self.lock();
            inner.pool.opened_otherwise();
            inner.http1_until = Some(Instant::now() + HTTP1_REMEMBERED);
            inner.pool.dismiss_all()
        };
        for sender in waiters {
            let _ = sender.send(Ok(Grant::Http1));
        }
    }
}

impl StreamOwner for Shared {
    fn answered(&self, id: ConnectionId) {
        self.lock().pool.answered(id, Instant::now());
    }

    fn unprocessed(&self, id: ConnectionId) {
        let link = self.lock().pool.unprocessed(id);
        drop(link);
    }

    fn broke(&self, id: ConnectionId) -> bool {
        let (is_first, link) = self.lock().pool.broke(id);
        drop(link);
        is_first
    }

    fn release(self: Arc<Self>, id: ConnectionId) {
        self.lock().pool.release(id, Instant::now());
        self.advance();
    }
}

/// Opens a connection for a pool, as long as the pool exists.
async fn open(pool: Weak<Shared>, dial: Arc<dyn Dial>, delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
    let opened = match dial.dial().await {
        Ok(Dialed::Http2(io)) => handshake(io).await,
        Ok(Dialed::Http1) => {
            if let Some(shared) = pool.upgrade() {
                shared.speaks_http1();
            }
            return;
        }
        Err(error) => Err(error),
    };
    match opened {
        Ok((link, connection)) => Shared::run(pool, link, connection).await,
        Err(error) => {
            if let Some(shared) = pool.upgrade() {
                shared.open_failed(error);
            }
        }
    }
}

/// Closes a connection once it is idle for too long: its driver ends then.
async fn close_when_idle(pool: &Weak<Shared>, id: ConnectionId) -> std::convert::Infallible {
    loop {
        let checked = match pool.upgrade() {
            Some(shared) => shared.lock().pool.retire_idle(id, Instant::now()),
            None => Ok(None),
        };
        match checked {
            Ok(link) => {
                drop(link);
                return std::future::pending().await;
            }
            Err(expires) => sleep_until(expires).await,
        }
    }
}
