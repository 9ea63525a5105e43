//! A service on a simulator, both in this process.

use claude_grpc::{
    proto::v1::claude_service_client::ClaudeServiceClient,
    server::{Drain, Server, ServerConfig},
    service::{Rpcs, ServiceConfig},
    simulator::{Handle, Simulator, SimulatorConfig},
    upstream::{Key, Keys, Upstream, UpstreamConfig},
};
use secrecy::SecretString;
use std::net::SocketAddr;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

/// How the service reaches the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 in plaintext.
    Http1,
    /// HTTP/2 over TLS.
    Http2,
}

impl Protocol {
    pub const ALL: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

    pub fn name(self) -> &'static str {
        match self {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2 over TLS",
        }
    }
}

pub type Client = ClaudeServiceClient<Channel>;

/// A running service and its simulator.
pub struct Rig {
    pub simulator: Handle,
    pub upstream: Upstream,
    pub drain: Drain,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Rig {
    pub async fn start(
        protocol: Protocol,
        mut upstream: UpstreamConfig,
        mut simulator: SimulatorConfig,
    ) -> Rig {
        simulator.listen = any_port();
        let certificates = tempfile::tempdir().expect("a folder");
        if protocol == Protocol::Http2 {
            let ca_file = certificates.path().join("ca.crt");
            simulator.tls.generated_ca_file = Some(ca_file.clone());
            upstream.ca_file = Some(ca_file);
        }
        let simulator = Simulator::bind(simulator).await.expect("a free port");
        upstream.base_url = simulator.base_url().expect("its address");
        let handle = simulator.handle();
        let key = Key::new("key-1", &SecretString::from("sk-load-test")).expect("a key");
        let upstream = Upstream::new(&upstream, Keys::new([key])).expect("a valid address");
        let service = Rpcs::new(upstream.client.clone(), ServiceConfig::default());
        let config = ServerConfig {
            listen: any_port(),
            ..ServerConfig::default()
        };
        let server = Server::bind(config, service).await.expect("a free port");
        let address = server.local_addr().expect("its address");
        let drain = server.drain();
        let mut tasks = JoinSet::new();
        tasks.spawn(simulator.run());
        tasks.spawn(server.run());
        Rig {
            simulator: handle,
            upstream,
            drain,
            address,
            _tasks: tasks,
        }
    }

    /// A client over some connections, as many callers would have.
    pub async fn client(&self) -> Client {
        client(self.address).await
    }
}

pub async fn client(address: SocketAddr) -> Client {
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .expect("an address")
        // Some callers read slowly (see docs/limitations.md).
        .initial_stream_window_size(65_535)
        .connect()
        .await
        .expect("a connection");
    ClaudeServiceClient::new(channel)
}

pub fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
