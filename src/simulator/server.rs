//! The listener and its connections.

use super::{
    config::SimulatorConfig,
    routes,
    state::{Handle, SimulatorState},
};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Bytes of an answer that a connection buffers for a slow reader: few, so that
/// back pressure is felt.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Pause after a failed accept, mostly for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A stand-in for the Claude API, bound to its port.
#[derive(Debug)]
pub struct Simulator {
    listener: TcpListener,
    state: Arc<SimulatorState>,
}

impl Simulator {
    /// Binds the port. Connections wait until [`run`](Self::run).
    ///
    /// # Errors
    /// When the configuration is invalid (`InvalidInput`), or the address cannot
    /// be bound.
    pub async fn bind(config: SimulatorConfig) -> io::Result<Simulator> {
        config
            .check()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let listener = TcpListener::bind(config.listen).await?;
        let state = Arc::new(SimulatorState::new(config));
        Ok(Simulator { listener, state })
    }

    /// The bound address, with the port that the system chose for port 0.
    ///
    /// # Errors
    /// When the operating system does not report it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
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
                        connections.spawn(serve(stream, Arc::clone(&self.state)));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// HTTP/1.1 or HTTP/2 with prior knowledge, as the client begins.
async fn serve(stream: TcpStream, state: Arc<SimulatorState>) {
    let _connected = state.connected();
    // Without this, small events would wait for each other's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| routes::answer(Arc::clone(&state), request));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().max_buf_size(SEND_BUFFER_BYTES);
    server
        .http2()
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_concurrent_streams(None);
    // How a connection ends is in the counts; there is nothing else to report.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}
