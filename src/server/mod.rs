//! The way in: connections, what a request passes on its way to the service,
//! health, and the drain.

mod admission;
mod authenticate;
mod body;
mod call_limits;
mod config;
mod connection;
mod drain;
mod error_details;
mod health;
mod reflection;
mod router;
mod stack;
mod timeout;
mod tls;
mod web;

pub use config::{ServerConfig, TlsConfig};
pub use drain::Drain;
pub use tls::{Tls, TlsError};

use crate::{access::Access, service::Rpcs, telemetry::Telemetry};
use connection::Connections;
use health::HealthServices;
use stack::InboundStacks;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::sleep,
};
use tokio_util::task::TaskTracker;
use tonic_health::ServingStatus;
use tracing::Instrument;

/// How long callers get to see that their connection is to close. Calls that
/// they send before are still answered.
const GOAWAY_GRACE: Duration = Duration::from_secs(1);

/// How long to wait when the system has no file descriptor left.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    config: ServerConfig,
    service: Rpcs,
    access: Option<Access>,
    tls: Option<Tls>,
    drain: Drain,
    telemetry: Telemetry,
}

impl Server {
    /// Listens on the configured address. Callers wait until [`Server::run`].
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(config: ServerConfig, service: Rpcs) -> io::Result<Server> {
        let listener = TcpListener::bind(config.listen).await?;
        Ok(Server::new(listener, config, service))
    }

    /// Takes a socket that listens already, in place of the configured
    /// address. It has to be non-blocking.
    ///
    /// # Errors
    /// When the runtime cannot watch it.
    pub fn from_listener(
        listener: std::net::TcpListener,
        config: ServerConfig,
        service: Rpcs,
    ) -> io::Result<Server> {
        let listener = TcpListener::from_std(listener)?;
        Ok(Server::new(listener, config, service))
    }

    fn new(listener: TcpListener, config: ServerConfig, service: Rpcs) -> Server {
        Server {
            listener,
            config,
            service,
            access: None,
            tls: None,
            drain: Drain::default(),
            telemetry: Telemetry::default(),
        }
    }

    /// Calls are observed.
    #[must_use]
    pub fn with_telemetry(self, telemetry: Telemetry) -> Self {
        Server { telemetry, ..self }
    }

    /// Lets in only whom `access` lets in.
    #[must_use]
    pub fn with_access(self, access: Option<Access>) -> Server {
        Server { access, ..self }
    }

    /// Serves TLS; without it, plain text.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Server {
        Server { tls, ..self }
    }

    /// The address listened on, with the port that the system chose for 0.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The handle that shuts the server down.
    pub fn drain(&self) -> Drain {
        self.drain.clone()
    }

    /// Serves until drained: until the calls that ran when the drain began are
    /// done, or were cut after the configured time.
    pub async fn run(self) {
        let health = HealthServices::new().await;
        let acceptor = Acceptor {
            stacks: InboundStacks::build(
                &self.config,
                &self.service,
                self.access,
                &health,
                &self.drain,
                &self.telemetry,
            ),
            connections: Connections::new(&self.config, self.tls, self.drain.clone()),
            permits: Arc::new(Semaphore::new(self.config.max_connections)),
            listener: self.listener,
        };
        let serving = TaskTracker::new();
        health.set_status(ServingStatus::Serving).await;
        tokio::select! {
            () = acceptor.accept(&acceptor.stacks.serving, &serving) => {}
            () = self.drain.begun() => {}
        }
        let drain = Draining {
            acceptor: &acceptor,
            drain: &self.drain,
            longest: self.config.drain_timeout,
        };
        let drained = drain.run(serving, health);
        drained.instrument(tracing::info_span!("drain")).await;
    }
}

/// The end of a server.
struct Draining<'a> {
    acceptor: &'a Acceptor,
    drain: &'a Drain,
    /// Longest time until what still runs is cut.
    longest: Duration,
}

impl Draining<'_> {
    async fn run(self, serving: TaskTracker, health: HealthServices) {
        let acceptor = self.acceptor;
        tracing::info!(calls = self.drain.running(), "draining");
        health.set_status(ServingStatus::NotServing).await;
        serving.close();
        // The port stays open: a health check has to get its answer.
        let checking = TaskTracker::new();
        tokio::select! {
            () = acceptor.accept(&acceptor.stacks.draining, &checking) => {}
            () = serving.wait() => {}
            () = async { sleep(GOAWAY_GRACE).await; self.drain.idle().await } => {}
            () = sleep(self.longest) => {
                tracing::warn!(calls = self.drain.running(), "drain timeout reached, aborting in-flight calls");
            }
            () = self.drain.until_cut() => {}
        }

        self.drain.cut();
        checking.close();
        tokio::join!(serving.wait(), checking.wait());
        tracing::info!("drained");
    }
}

/// Takes connections.
struct Acceptor {
    listener: TcpListener,
    stacks: InboundStacks,
    connections: Connections,
    permits: Arc<Semaphore>,
}

impl Acceptor {
    /// Takes connections until dropped. Beyond the limit they wait in the
    /// kernel's queue.
    async fn accept(&self, stack: &stack::Inbound, tracker: &TaskTracker) {
        loop {
            let permit = Arc::clone(&self.permits)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            let stream = self.next_stream().await;
            let served = self.connections.clone().serve(stream, stack.clone());
            tracker.spawn(async move {
                served.await;
                drop(permit);
            });
        }
    }

    async fn next_stream(&self) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _peer)) => return stream,
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }
}
