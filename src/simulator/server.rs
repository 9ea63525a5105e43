//! The listener and its connections.

use super::{
    config::SimulatorConfig,
    connection::ConnectionControl,
    fixtures, routes,
    state::{Handle, SimulatorState},
    tls,
};
use crate::listener::listen;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use std::{
    error::Error, io, net::SocketAddr, num::NonZeroU32, pin::pin, sync::Arc, time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// Bytes of an answer that a connection buffers for a slow reader: few, so that
/// back pressure is felt.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Pause after a failed accept, mostly for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A stand-in for the Claude API, bound to its port.
pub struct Simulator {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    state: Arc<SimulatorState>,
}

impl Simulator {
    /// Binds the port. Connections wait until [`run`](Self::run).
    ///
    /// # Errors
    /// When the configuration is invalid or a file that it names cannot be loaded
    /// (`InvalidInput`), or the address cannot be bound.
    pub async fn bind(config: SimulatorConfig) -> io::Result<Simulator> {
        config.check().map_err(invalid)?;
        let tls = tls::acceptor(&config.tls).map_err(invalid)?;
        let listener = listen(config.listen)?;
        let fixtures_file = config.fixtures_file.clone();
        let mut state = SimulatorState::new(config);
        if let Some(file) = fixtures_file {
            fixtures::install(&file, &mut state).map_err(invalid)?;
        }
        let state = Arc::new(state);
        Ok(Simulator {
            listener,
            tls,
            state,
        })
    }

    /// The bound address, with the port that the system chose for port 0.
    ///
    /// # Errors
    /// When the operating system does not report it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The URL by which clients on this machine reach it.
    ///
    /// # Errors
    /// When the operating system does not report the address.
    pub fn base_url(&self) -> io::Result<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.local_addr()?))
    }

    /// A handle that scripts and observes this simulator.
    pub fn handle(&self) -> Handle {
        Handle {
            state: Arc::clone(&self.state),
        }
    }

    /// Serves until the future is dropped, which closes every connection.
    pub async fn run(self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (tls, state) = (self.tls.clone(), Arc::clone(&self.state));
                        connections.spawn(serve(stream, tls, state));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, state: Arc<SimulatorState>) {
    let _connected = state.connected();
    // Without this, small events would wait for each other's acknowledgement.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve_http(stream, state).await,
        // A failed handshake concerns only the client.
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                serve_http(stream, state).await;
            }
        }
    }
}

/// HTTP/1.1 or HTTP/2, as the client begins.
async fn serve_http<I>(io: I, state: Arc<SimulatorState>)
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let config = state.config.connections.clone();
    let connection = Arc::new(ConnectionControl::new(&config));
    let service = service_fn(|request| {
        connection.count();
        routes::answer(Arc::clone(&state), Arc::clone(&connection), request)
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().max_buf_size(SEND_BUFFER_BYTES);
    let max_streams = NonZeroU32::new(config.max_concurrent_streams).map(NonZeroU32::get);
    server
        .http2()
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_concurrent_streams(max_streams);
    let mut served = pin!(server.serve_connection(TokioIo::new(io), service));
    // How a connection ends is in the counts; there is nothing else to report.
    tokio::select! {
        _ = served.as_mut() => return,
        () = connection.until_cut() => return,
        () = connection.until_drained(config.max_age) => {}
    }
    served.as_mut().graceful_shutdown();
    tokio::select! {
        _ = served => {}
        () = connection.until_cut() => {}
    }
}

fn invalid(error: impl Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
