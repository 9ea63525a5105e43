//! One connection, from its first byte to its last.

use super::{
    accept::ConnectionPlace,
    config::ServerConfig,
    drain::Drain,
    ended_tasks::EndedTasks,
    metadata_limit,
    open_streams::OpenStreams,
    peers::{Peer, PeerAddress, PeerConnection},
    reading_queue::ReadingQueue,
    reading_turns::ReadingTurns,
    request_body::RequestBody,
    request_deadline::RequestDeadline,
    stack::{ConnectionStack, Inbound},
    tls::Tls,
};
use crate::{access::PeerNames, call::ItemsInFlight, proto};
use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use rand::Rng;
use std::{error::Error, future::poll_fn, io, pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tower::{ServiceExt, util::Oneshot};

/// How long a connection may take to send the last statuses after an abort.
const FLUSH: Duration = Duration::from_secs(1);

/// Maximum number of streams that the caller opened and reset before they were
/// accepted; more close the connection (rapid reset, CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 10;

/// Maximum number of streams that the caller made the server reset; more close
/// the connection (CVE-2025-8671).
const MAX_LOCAL_RESETS: usize = 1024;

/// Maximum size of the head of a request, in bytes, that the HTTP library reads:
/// eight times what `LimitMetadata` accepts. A larger head gets HTTP 431, and one of
/// more than four times this size closes the connection.
const MAX_HEAD_BYTES: u32 = 128 * 1024;

/// What a caller may send of a stream before it is read, in bytes. A document is not read
/// while its parts are at work.
const STREAM_WINDOW: u32 = 128 * 1024;

/// What a caller may send on a connection before it is read, in bytes: room for sixteen
/// documents that are not read, the default of `service.documents.max_documents`, and 1 MiB
/// for all other calls, which would wait for the documents otherwise.
const CONNECTION_WINDOW: u32 = 16 * STREAM_WINDOW + 1024 * 1024;

/// How connections are served.
#[derive(Clone)]
pub struct Connections {
    config: Arc<ServerConfig>,
    tls: Option<Tls>,
    drain: Drain,
    queue: ReadingQueue,
}

impl Connections {
    /// Connections with the configured limits; without `tls`, in plaintext.
    pub fn new(config: &ServerConfig, tls: Option<Tls>, drain: Drain) -> Self {
        Connections {
            config: Arc::new(config.clone()),
            tls,
            drain,
            queue: ReadingQueue::default(),
        }
    }

    /// Serves one connection until it closes, reaches its maximum age or is
    /// aborted. When this ends, the connection and everything on it is closed.
    pub async fn serve(self, stream: TcpStream, place: &ConnectionPlace, stack: ConnectionStack) {
        let peer = &place.peer;
        let handshake = timeout(self.config.handshake_timeout, self.handshake(stream, peer));
        let accepted = tokio::select! {
            accepted = handshake => accepted,
            () = self.drain.until_aborted() => return,
        };
        match accepted {
            Err(_elapsed) => peer.count_overdue(),
            // A failed handshake concerns only the caller, which gets a TLS
            // alert.
            Ok(None) => {}
            Ok(Some(Accepted::Plain(io))) => self.serve_http(io, None, place, stack).await,
            Ok(Some(Accepted::Tls(io, names))) => {
                self.serve_http(*io, names, place, stack).await;
            }
        }
    }

    async fn handshake(&self, stream: TcpStream, peer: &PeerConnection) -> Option<Accepted> {
        // Nothing is allocated for a caller that connects and sends nothing.
        if stream.peek(&mut [0; 1]).await.ok()? == 0 {
            return None;
        }
        // A connection without this option still works.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return Some(Accepted::Plain(stream));
        };
        match tls.accept(stream).await {
            Ok((stream, names)) => Some(Accepted::Tls(Box::new(stream), names)),
            Err(error) => {
                peer.handshake_failed(&error);
                None
            }
        }
    }

    async fn serve_http<I>(
        &self,
        io: I,
        names: Option<PeerNames>,
        place: &ConnectionPlace,
        stack: ConnectionStack,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (config, peer) = (&self.config, &place.peer);
        let open = place.requests().clone();
        let streams = OpenStreams::new(open, self.queue.clone(), stack.ended_tasks.clone());
        let turns = ReadingTurns::new(self.queue.clone(), Arc::clone(peer.peer()));
        let builder = builder(config, streams.clone());
        let service = ConnectionService {
            stack: stack.stack,
            streams: streams.clone(),
            turns: turns.clone(),
            peer: Arc::clone(peer.peer()),
            address: peer.address(),
            names,
            body_timeout: config.body_timeout,
        };
        let io = RequestDeadline::new(io, turns.clone(), config.handshake_timeout);
        let io = TokioIo::new(io);
        let mut connection = pin!(builder.serve_connection(io, service));
        tokio::select! {
            // A broken connection concerns only its calls.
            ended = turns.run(connection.as_mut()) => return ended_with(peer, ended.err()),
            () = must_end(&stack.ended_tasks) => return,
            () = sleep(jittered(config.max_connection_age)) => {}
            () = streams.idle(config.max_connection_idle) => {}
            () = self.should_close(&streams, stack.draining) => {}
        }
        connection.as_mut().graceful_shutdown();
        // How long calls may continue.
        let grace = config.max_deadline;
        tokio::select! {
            ended = turns.run(connection.as_mut()) => return ended_with(peer, ended.err()),
            () = must_end(&stack.ended_tasks) => return,
            () = sleep(grace) => {}
            () = self.drain.until_aborted() => {}
        }
        let _ = timeout(FLUSH, turns.run(connection)).await;
    }

    /// Waits until the drain asks the connection to close. A new one without
    /// a call still serves its first: a client that gets GOAWAY before fails that
    /// call with a status of its own.
    async fn should_close(&self, streams: &OpenStreams, draining: bool) {
        if draining {
            return self.drain.until_aborted().await;
        }
        self.drain.begun().await;
        let _ = timeout(self.config.handshake_timeout, streams.first_request()).await;
    }
}

/// Waits until the current task must end: with HTTP/1.1, that of the connection sends
/// the responses.
fn must_end(ended_tasks: &EndedTasks) -> impl Future<Output = ()> {
    poll_fn(|_| match ended_tasks.has_current() {
        true => Poll::Ready(()),
        // What ends the task wakes it.
        false => Poll::Pending,
    })
}

fn ended_with(peer: &PeerConnection, error: Option<Box<dyn Error + Send + Sync>>) {
    if error.is_some_and(|error| is_overdue(&*error)) {
        peer.count_overdue();
    }
}

/// A connection after its handshake.
enum Accepted {
    Plain(TcpStream),
    Tls(
        Box<tokio_rustls::server::TlsStream<TcpStream>>,
        Option<PeerNames>,
    ),
}

fn builder(config: &ServerConfig, streams: OpenStreams) -> Builder<OpenStreams> {
    let mut builder = Builder::new(streams);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(config.max_concurrent_streams)
        .keep_alive_interval(config.keepalive_interval)
        .keep_alive_timeout(config.keepalive_timeout)
        .max_header_list_size(MAX_HEAD_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.handshake_timeout);
    if config.grpc_web {
        builder
    } else {
        builder.http2_only()
    }
}

/// Whether a part of a request was overdue.
fn is_overdue(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        let http = error.downcast_ref::<hyper::Error>();
        if io.is_some_and(|it| it.kind() == io::ErrorKind::TimedOut)
            || http.is_some_and(hyper::Error::is_timeout)
        {
            return true;
        }
        next = error.source();
    }
    false
}

/// The stack as the requests of one connection find it.
#[derive(Clone)]
struct ConnectionService {
    stack: Inbound,
    streams: OpenStreams,
    turns: ReadingTurns,
    peer: Arc<Peer>,
    address: PeerAddress,
    names: Option<PeerNames>,
    body_timeout: Duration,
}

impl hyper::service::Service<Request<Incoming>> for ConnectionService {
    type Response = http::Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future = Oneshot<Inbound, Request<RequestBody>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.streams.count_request(request.version());
        request.extensions_mut().insert(self.address);
        if metadata_limit::shrink(&mut request) {
            self.turns.shorten();
        }
        if let Some(names) = &self.names {
            request.extensions_mut().insert(names.clone());
        }
        request.extensions_mut().insert(Arc::clone(&self.peer));
        // Other calls are pending from their beginning to their end, see
        // `LimitPublicCalls`.
        let is_call = proto::method(request.uri().path()).is_some();
        let pending = is_call.then(|| Arc::clone(&self.peer));
        let timeout = self.body_timeout;
        let mut in_flight = None;
        if proto::method(request.uri().path()) == Some(proto::PROCESS_ITEMS) {
            let items = ItemsInFlight::default();
            request.extensions_mut().insert(items.clone());
            in_flight = Some(items);
        }
        let request = request.map(|body| {
            let body = RequestBody::new(body, timeout, pending);
            body.with_items(in_flight)
        });
        self.stack.clone().oneshot(request)
    }
}

/// Plus or minus a tenth (gRFC A9), so that connections that began together do
/// not end together.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(rand::rng().random_range(0.9..=1.1))
}
