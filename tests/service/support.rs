//! One service on one simulator, each on a port of its own.

use claude_grpc::{
    memory::MessageBudget,
    models::{Day, PriceTable},
    proto::v1::{self, claude_service_client::ClaudeServiceClient},
    response_cache::{ResponseCache, ResponseCacheConfig},
    server::{Drain, Server, ServerConfig, Tls},
    service::{Rpcs, ServiceConfig},
    simulator::{Handle, Simulator, SimulatorConfig},
    upstream::{Key, Keys, Upstream, UpstreamConfig},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use secrecy::SecretString;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::{net::TcpSocket, task::JoinHandle};
use tonic::{Request, Status};
use tonic_types::StatusExt;

/// A client that leaves it to the server to keep a deadline; tonic's own channel
/// ends calls itself, as CANCELLED.
pub type Grpc = ClaudeServiceClient<HttpClient>;
pub type HttpClient = Client<HttpConnector, tonic::body::Body>;

/// No test waits longer than this for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How the service reaches the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 in plaintext.
    Http1,
    /// HTTP/2 over TLS.
    Http2,
}

pub const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// What a test may change before the start.
pub struct Setup {
    pub server: ServerConfig,
    pub service: ServiceConfig,
    pub upstream: UpstreamConfig,
    pub simulator: SimulatorConfig,
    pub keys: Vec<&'static str>,
}

/// A running service.
pub struct World {
    pub grpc: Grpc,
    pub address: SocketAddr,
    pub simulator: Handle,
    pub upstream: Upstream,
    pub messages: MessageBudget,
    pub drain: Drain,
    pub server: JoinHandle<()>,
    simulating: JoinHandle<()>,
}

impl Default for Setup {
    fn default() -> Self {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut upstream = UpstreamConfig::default();
        // The figures are tested for themselves; here nobody should wait.
        upstream.retry.initial_backoff = Duration::from_millis(10);
        upstream.retry.max_backoff = Duration::from_millis(20);
        Setup {
            server: ServerConfig {
                listen: any_port,
                ..ServerConfig::default()
            },
            service: ServiceConfig::default(),
            upstream,
            simulator: SimulatorConfig {
                listen: any_port,
                record: true,
                ..SimulatorConfig::default()
            },
            keys: vec!["sk-test-key"],
        }
    }
}

impl World {
    pub async fn start() -> World {
        World::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Setup)) -> World {
        World::over(Protocol::Http1, change).await
    }

    /// A service that reaches its API in this way.
    pub async fn over(protocol: Protocol, change: impl FnOnce(&mut Setup)) -> World {
        let mut setup = Setup::default();
        change(&mut setup);
        let certificates = tempfile::tempdir().unwrap();
        if protocol == Protocol::Http2 {
            let ca_file = certificates.path().join("ca.crt");
            setup.simulator.tls.generated_ca_file = Some(ca_file.clone());
            setup.upstream.ca_file = Some(ca_file);
        }
        let simulator = Simulator::bind(setup.simulator).await.unwrap();
        setup.upstream.base_url = simulator.base_url().unwrap();
        let handle = simulator.handle();
        let simulating = tokio::spawn(simulator.run());
        let keys = setup.keys.iter().enumerate().map(|(index, secret)| {
            let name = format!("key-{}", index + 1);
            Key::new(&name, &SecretString::from(*secret)).unwrap()
        });
        let upstream = Upstream::new(&setup.upstream, Keys::new(keys)).unwrap();
        let prices = PriceTable::new(&[], Day::today());
        let responses = ResponseCache::open(&ResponseCacheConfig::default(), None);
        let service = Rpcs::new(upstream.client.clone(), setup.service)
            .with_prices(prices)
            .with_responses(responses.unwrap());
        let tls = Tls::load(&setup.server.tls, setup.server.grpc_web);
        let tls = tls.await.unwrap();
        let server = Server::bind(setup.server, service).await.unwrap();
        let server = server.with_tls(tls);
        let address = server.local_addr().unwrap();
        let (messages, drain) = (server.messages(), server.drain());
        let server = tokio::spawn(server.run());
        World {
            grpc: connect(address),
            address,
            simulator: handle,
            upstream,
            messages,
            drain,
            server,
            simulating,
        }
    }

    /// Bodies of the requests that reached the simulator, as JSON.
    pub fn bodies(&self) -> Vec<serde_json::Value> {
        let requests = self.simulator.requests();
        requests
            .iter()
            .map(|request| serde_json::from_slice(&request.body).unwrap())
            .collect()
    }

    /// Requests that reached the simulator.
    pub fn attempts(&self) -> u64 {
        self.simulator.counts().requests
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
        self.simulating.abort();
    }
}

/// A connection of its own to a service.
pub fn connect(address: SocketAddr) -> Grpc {
    connect_from(Ipv4Addr::LOCALHOST, address)
}

/// A connection of its own to a service, from an address of the loopback network:
/// each is a peer.
pub fn connect_from(peer: Ipv4Addr, address: SocketAddr) -> Grpc {
    let client = http_client_from(peer);
    let origin = format!("http://{address}").parse().unwrap();
    ClaudeServiceClient::with_origin(client, origin).max_decoding_message_size(usize::MAX)
}

/// A client of HTTP/2 with connections of its own.
pub fn http_client() -> HttpClient {
    http_client_from(Ipv4Addr::LOCALHOST)
}

fn http_client_from(peer: Ipv4Addr) -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_local_address(Some(peer.into()));
    // As every gRPC stub does: else each call waits for a delayed ACK.
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .http2_only(true)
        // A reader that stops must not make h2 take the small frames that pile
        // up for an attack (see docs/limitations.md).
        .http2_initial_stream_window_size(64 * 1024)
        .build(connector)
}

/// An address at which nobody listens. The port stays taken: no other test gets it, and
/// no connection comes from it.
pub fn dead_address() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.local_addr().unwrap();
    std::mem::forget(socket);
    address
}

/// A conversation of one user message.
pub fn ask(text: &str) -> v1::GenerateRequest {
    v1::GenerateRequest {
        messages: vec![user(text)],
        max_tokens: Some(256),
        ..v1::GenerateRequest::default()
    }
}

pub fn user(text: &str) -> v1::Message {
    message(v1::Role::User, text)
}

pub fn message(role: v1::Role, text: &str) -> v1::Message {
    v1::Message {
        role: role.into(),
        text: text.to_owned(),
        content: Vec::new(),
        ..v1::Message::default()
    }
}

pub fn streamed(request: v1::GenerateRequest) -> v1::GenerateStreamRequest {
    v1::GenerateStreamRequest {
        request: Some(request),
    }
}

/// A request with a deadline, as a caller's stub sends it.
pub fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

/// `reason` of the `ErrorInfo` that every error carries.
pub fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"))
        .reason
}

/// The fields that a refused request is told are wrong.
pub fn wrong_fields(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request();
    let bad = bad.unwrap_or_else(|| panic!("no BadRequest in {status:?}"));
    bad.field_violations
        .into_iter()
        .map(|it| it.field)
        .collect()
}

pub fn pushback(status: &Status) -> Option<&str> {
    status
        .metadata()
        .get("grpc-retry-pushback-ms")?
        .to_str()
        .ok()
}

/// Waits, but not for ever.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it did not happen in time")
}
