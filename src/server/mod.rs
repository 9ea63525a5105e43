//! The server: connections, the inbound stack, health, and the drain.

mod accept;
mod admission;
mod authenticate;
mod body;
mod call_limits;
mod config;
mod connection;
mod drain;
mod ended_tasks;
mod error_details;
mod health;
mod held;
mod last_byte;
mod messages;
mod metadata_limit;
mod only_grpc;
mod open_connections;
mod open_streams;
mod outgoing;
mod peers;
mod public_calls;
mod reading_queue;
mod reading_turns;
mod reflection;
mod request_body;
mod request_deadline;
mod request_frames;
mod router;
mod services;
mod signed_calls;
mod sparse_log;
mod stack;
mod tenant_calls;
mod timeout;
mod tls;
mod unread;
mod web;
mod whole_heads;

pub use accept::{ConnectionPlace, LimitedListener, NewConnection};
pub use config::{ServerConfig, TlsConfig};
pub use drain::Drain;
pub use open_connections::{OpenRequest, OpenRequests};
pub use peers::{PeerLimits, Peers};
pub use tls::{Tls, TlsError};

use crate::{
    access::Access,
    listener::listen,
    memory::MessageBudget,
    service::Rpcs,
    telemetry::{
        Telemetry,
        metrics::Family,
        names::{attribute as a, metric as m},
    },
};
use connection::Connections;
use health::HealthServices;
use stack::{ConnectionStack, InboundStacks};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, time::sleep};
use tokio_util::task::TaskTracker;
use tonic_health::ServingStatus;
use tracing::Instrument;

/// How long callers have to notice that their connection is closing. Calls that
/// they send before are still served.
const GOAWAY_GRACE: Duration = Duration::from_secs(1);

/// A server with a listening socket.
pub struct Server {
    listener: TcpListener,
    config: ServerConfig,
    service: Rpcs,
    access: Option<Access>,
    tls: Option<Tls>,
    drain: Drain,
    messages: MessageBudget,
    telemetry: Telemetry,
}

impl Server {
    /// Listens on the configured address. Connections are accepted by
    /// [`Server::run`].
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(config: ServerConfig, service: Rpcs) -> io::Result<Server> {
        let listener = listen(config.listen)?;
        Ok(Server::new(listener, config, service))
    }

    /// Uses a listening socket in place of the configured address. It must be
    /// non-blocking.
    ///
    /// # Errors
    /// When the runtime cannot register it.
    pub fn from_listener(
        listener: std::net::TcpListener,
        config: ServerConfig,
        service: Rpcs,
    ) -> io::Result<Server> {
        let listener = TcpListener::from_std(listener)?;
        Ok(Server::new(listener, config, service))
    }

    fn new(listener: TcpListener, config: ServerConfig, service: Rpcs) -> Server {
        let messages = MessageBudget::new(config.bytes_in_flight(), config.bytes_timeout);
        let drain = Drain::default();
        Server {
            listener,
            service: service
                .with_memory(messages.clone())
                .with_drain(drain.begun_token()),
            messages,
            config,
            access: None,
            tls: None,
            drain,
            telemetry: Telemetry::default(),
        }
    }

    /// Records calls with this telemetry.
    #[must_use]
    pub fn with_telemetry(self, telemetry: Telemetry) -> Self {
        Server { telemetry, ..self }
    }

    /// Authenticates callers with `access`; without it, accepts every call.
    #[must_use]
    pub fn with_access(self, access: Option<Access>) -> Server {
        Server { access, ..self }
    }

    /// Serves TLS; without it, plaintext.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Server {
        Server { tls, ..self }
    }

    /// The bound address, with the port that the system chose for 0.
    ///
    /// # Errors
    /// When the system does not return the address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The handle that shuts the server down.
    pub fn drain(&self) -> Drain {
        self.drain.clone()
    }

    /// The memory of messages, for its state.
    pub fn messages(&self) -> MessageBudget {
        self.messages.clone()
    }

    /// Serves until drained: until the calls in flight at the beginning of the
    /// drain have finished, or were aborted after the drain timeout.
    pub async fn run(self) {
        let health = HealthServices::new().await;
        let peers = Peers::new(PeerLimits {
            max_connections: self.config.connections_per_peer(),
            max_pending_calls: self.config.max_pending_calls_per_peer,
            key: "server.max_connections_per_peer",
            key_of_all: "server.max_connections",
        });
        add_gauges(&peers, &self.telemetry);
        let acceptor = Acceptor {
            stacks: InboundStacks::build(
                &self.config,
                &self.service,
                self.access,
                &health,
                &self.drain,
                &self.messages,
                &self.telemetry,
            ),
            connections: Connections::new(&self.config, self.tls, self.drain.clone()),
            listener: LimitedListener::new(self.listener, self.config.max_connections, peers),
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

/// Adds the connections to the metrics.
fn add_gauges(peers: &Peers, telemetry: &Telemetry) {
    let Some(metrics) = telemetry.metrics() else {
        return;
    };
    let peers = peers.clone();
    metrics.add_source(Box::new(move |families| {
        let mut closed = Family::new(&m::CONNECTIONS_CLOSED);
        for (cause, count) in peers.closed() {
            closed.number(&[(a::CAUSE, cause)], count as f64);
        }
        let open = Family::single(&m::CONNECTIONS, peers.connections() as f64);
        families.extend([open, closed]);
    }));
}

/// The shutdown of a server.
struct Draining<'a> {
    acceptor: &'a Acceptor,
    drain: &'a Drain,
    /// Drain timeout, after which the remaining calls are aborted.
    longest: Duration,
}

impl Draining<'_> {
    async fn run(self, serving: TaskTracker, health: HealthServices) {
        let acceptor = self.acceptor;
        tracing::info!(calls = self.drain.running(), "draining");
        health.set_status(ServingStatus::NotServing).await;
        serving.close();
        // The port stays open: health checks must be answered.
        let checking = TaskTracker::new();
        tokio::select! {
            () = acceptor.accept(&acceptor.stacks.draining, &checking) => {}
            () = serving.wait() => {}
            () = async { sleep(GOAWAY_GRACE).await; self.drain.idle().await } => {}
            () = sleep(self.longest) => {
                tracing::warn!(calls = self.drain.running(), "drain timeout reached, aborting in-flight calls");
            }
            () = self.drain.until_aborted() => {}
        }

        self.drain.abort();
        checking.close();
        tokio::join!(serving.wait(), checking.wait());
        tracing::info!("drained");
    }
}

/// Accepts connections, and serves each.
struct Acceptor {
    listener: LimitedListener,
    stacks: InboundStacks,
    connections: Connections,
}

impl Acceptor {
    /// Accepts connections until dropped.
    async fn accept(&self, stack: &ConnectionStack, tracker: &TaskTracker) {
        loop {
            let NewConnection { stream, place } = self.listener.accept().await;
            let connections = self.connections.clone();
            let stack = stack.clone();
            tracker.spawn(async move {
                let serving = connections.serve(stream, &place, stack);
                place.run(serving).await;
            });
        }
    }
}
