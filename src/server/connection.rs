//! One connection, from its first byte to its last.

use super::{config::ServerConfig, drain::Drain, stack::Inbound, tls::Tls};
use crate::access::PeerNames;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use rand::Rng;
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::sleep,
};
use tower::{ServiceExt, util::BoxCloneSyncService};

/// How long a new connection may stay silent.
const FIRST_BYTE: Duration = Duration::from_secs(10);

/// How long a connection may take to send the last statuses after an abort.
const FLUSH: Duration = Duration::from_secs(1);

/// Maximum number of streams that the caller opened and reset before they were
/// accepted; more close the connection (rapid reset, CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;

/// Maximum number of streams that the caller made the server reset; more close
/// the connection (CVE-2025-8671).
const MAX_LOCAL_RESETS: usize = 1024;

/// Maximum size of the headers of one request, in bytes.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// How connections are served.
#[derive(Clone)]
pub struct Connections {
    builder: Arc<Builder<TokioExecutor>>,
    max_age: Duration,
    /// How long calls may continue once a connection has reached its maximum
    /// age.
    grace: Duration,
    tls: Option<Tls>,
    drain: Drain,
}

impl Connections {
    /// Connections with the configured limits; without `tls`, in plaintext.
    pub fn new(config: &ServerConfig, tls: Option<Tls>, drain: Drain) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.max_concurrent_streams)
            .keep_alive_interval(config.keepalive_interval)
            .keep_alive_timeout(config.keepalive_timeout)
            .max_header_list_size(MAX_HEADER_BYTES)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(MAX_LOCAL_RESETS);
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(FIRST_BYTE);
        if !config.grpc_web {
            builder = builder.http2_only();
        }
        Connections {
            builder: Arc::new(builder),
            max_age: config.max_connection_age,
            grace: config.max_deadline,
            tls,
            drain,
        }
    }

    /// Serves one connection until it closes, reaches its maximum age or is
    /// aborted. When this ends, the connection and everything on it is closed.
    pub async fn serve(self, stream: TcpStream, stack: Inbound) {
        // A caller that connects and sends nothing would occupy a connection
        // until it reaches its maximum age.
        let first = tokio::time::timeout(FIRST_BYTE, stream.peek(&mut [0; 1])).await;
        if !matches!(first, Ok(Ok(1))) {
            return;
        }
        // A connection without this option still works.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.serve_http(stream, stack).await;
        };
        let accepted = tokio::select! {
            accepted = tls.accept(stream) => accepted,
            () = self.drain.until_aborted() => return,
        };
        // A failed handshake concerns only the caller, which gets a TLS alert.
        let Ok((stream, names)) = accepted else {
            return;
        };
        match names {
            Some(names) => self.serve_http(stream, naming(stack, names)).await,
            None => self.serve_http(stream, stack).await,
        }
    }

    async fn serve_http<I>(self, io: I, stack: Inbound)
    where
        I: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let service = TowerToHyperService::new(stack);
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(io), service));
        tokio::select! {
            // A broken connection concerns only its calls.
            _ = connection.as_mut() => return,
            () = sleep(jittered(self.max_age)) => {}
            () = self.drain.begun() => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            _ = connection.as_mut() => return,
            () = sleep(self.grace) => {}
            () = self.drain.until_aborted() => {}
        }
        let _ = tokio::time::timeout(FLUSH, connection).await;
    }
}

/// The same stack; its requests carry the names of the connection's
/// certificate.
fn naming(stack: Inbound, names: PeerNames) -> Inbound {
    BoxCloneSyncService::new(stack.map_request(move |mut request: http::Request<_>| {
        request.extensions_mut().insert(names.clone());
        request
    }))
}

/// Plus or minus a tenth (gRFC A9), so that connections that began together do
/// not end together.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(rand::rng().random_range(0.9..=1.1))
}
