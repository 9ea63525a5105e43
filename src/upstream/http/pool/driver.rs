//! Drives one HTTP/2 connection until it ends, and reports what the peer says
//! about it.

use super::byte_stream::ByteStream;
use crate::upstream::ConnectFailure;
use bytes::Bytes;
use futures::FutureExt;
use h2::{
    Ping, PingPong,
    client::{Builder, Connection, SendRequest},
};
use std::{
    convert::Infallible,
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

/// How often a connection with streams is pinged.
pub const PING_INTERVAL: Duration = Duration::from_secs(30);

/// A connection that does not answer a ping within this time is dead.
pub const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How much the API may send ahead of a slow reader on a stream. With 2 MiB, one
/// reader that stops lets more small DATA frames pile up than h2 (0.4.16 and
/// later) accepts, and it closes the connection for all streams.
const STREAM_WINDOW: u32 = 64 * 1024;

/// h2 accepts small frames up to half of this, for all streams together: enough
/// for two hundred readers that stop.
const CONNECTION_WINDOW: u32 = 32 * 1024 * 1024;

/// Maximum size of the headers of a response, in bytes.
const MAX_HEADERS: u32 = 1024 * 1024;

/// Maximum number of streams that are reset because of faults of the peer, as
/// `hyper` has it.
const MAX_FAULTS: usize = 1024;

/// The number of streams that h2 returns before the peer's SETTINGS: no peer can
/// send it.
const UNSETTLED: usize = usize::MAX - 1;

/// What the peer says about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionNews {
    /// It allows this many streams at a time.
    Limit(usize),
    /// It wants no new streams: GOAWAY, or the connection broke.
    Draining,
}

/// What the pool knows about a connection, for its pings.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionUse {
    /// Whether the peer has sent its SETTINGS.
    pub is_settled: bool,
    /// Whether there are streams.
    pub has_streams: bool,
}

/// An HTTP/2 connection that is open, and must be driven.
pub struct OpenConnection {
    connection: Connection<ByteStream, Bytes>,
    probe: SendRequest<Bytes>,
    kept: oneshot::Receiver<Infallible>,
}

/// Opens streams on a connection, which is kept open as long as this exists.
#[derive(Debug)]
pub struct Link {
    sender: SendRequest<Bytes>,
    /// Dropped with the link.
    _kept: oneshot::Sender<Infallible>,
}

impl Link {
    /// Opens a stream.
    pub fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }
}

/// Begins to speak HTTP/2 on a connection.
///
/// # Errors
/// When the connection broke.
pub async fn handshake(io: ByteStream) -> Result<(Link, OpenConnection), ConnectFailure> {
    let (sender, connection) = Builder::new()
        .initial_max_send_streams(UNSETTLED)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADERS)
        .max_local_error_reset_streams(Some(MAX_FAULTS))
        .enable_push(false)
        .handshake(io)
        .await
        .map_err(|_| ConnectFailure::Protocol)?;
    let (keep, kept) = oneshot::channel();
    let probe = sender.clone();
    let link = Link {
        sender,
        _kept: keep,
    };
    Ok((
        link,
        OpenConnection {
            connection,
            probe,
            kept,
        },
    ))
}

// === impl OpenConnection ===

impl OpenConnection {
    /// Drives the connection until it has ended: by the peer, because it is
    /// dead, or with its last stream once the [`Link`] is dropped.
    ///
    /// `usage` returns what the pool knows about it; `settle_within` is how long
    /// the peer may take for its SETTINGS.
    pub async fn drive(
        self,
        settle_within: Duration,
        usage: impl Fn() -> Option<ConnectionUse>,
        mut report: impl FnMut(ConnectionNews),
    ) {
        let OpenConnection {
            mut connection,
            probe,
            mut kept,
        } = self;
        let Some(pings) = connection.ping_pong() else {
            return;
        };
        let mut death = pin!(death(pings, settle_within, usage));
        // As long as it exists, h2 does not end the connection for lack of
        // streams.
        let mut probe = Some(probe);
        let mut limit = UNSETTLED;
        poll_fn(move |cx| {
            if death.poll_unpin(cx).is_ready() {
                return Poll::Ready(());
            }
            if probe.is_some() && kept.poll_unpin(cx).is_ready() {
                probe = None;
            }
            if Pin::new(&mut connection).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let Some(sender) = &mut probe else {
                return Poll::Pending;
            };
            // Without a stream of its own it is ready, or the peer sent GOAWAY.
            if let Poll::Ready(Err(_)) = sender.poll_ready(cx) {
                probe = None;
                report(ConnectionNews::Draining);
                return Poll::Pending;
            }
            let allowed = connection.max_concurrent_send_streams();
            if allowed != limit {
                limit = allowed;
                report(ConnectionNews::Limit(allowed));
            }
            Poll::Pending
        })
        .await;
    }
}

/// Ends when the peer is dead: it sends no SETTINGS, or answers no ping.
async fn death(
    mut pings: PingPong,
    settle_within: Duration,
    usage: impl Fn() -> Option<ConnectionUse>,
) {
    sleep(settle_within).await;
    if usage().is_some_and(|usage| !usage.is_settled) {
        return;
    }
    loop {
        sleep(PING_INTERVAL).await;
        if !usage().is_some_and(|usage| usage.has_streams) {
            continue;
        }
        let pong = timeout(PING_TIMEOUT, pings.ping(Ping::opaque())).await;
        if !matches!(pong, Ok(Ok(_))) {
            return;
        }
    }
}
