//! A server with access control over a stand-in for the way up.

use claude_grpc::{
    access::{
        Access, AccessConfig, Cause, ClientEntry, Clients, ClientsFile, Clock, SignatureConfig,
    },
    claude::{answer::Message, event::StreamEvent},
    proto::v1::{self, claude_service_client::ClaudeServiceClient},
    secrets::Reloading,
    server::{Drain, Server, ServerConfig, Tls},
    service::{Service, ServiceConfig},
    upstream::{
        Body, BoxStack, Call, Client, EventStream, Payload, Reply, Transport, UpstreamError,
    },
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

pub const GENERATE: &str = "/claude.v1.ClaudeService/Generate";

/// The time at which every test begins.
pub const START: u64 = 1_800_000_000;

/// A clock that stands still until it is set.
#[derive(Clone)]
pub struct Hands(Arc<AtomicU64>);

impl Hands {
    pub fn new() -> Self {
        Hands(Arc::new(AtomicU64::new(START)))
    }

    pub fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }

    pub fn clock(&self) -> Clock {
        let hands = self.clone();
        Clock::new(move || hands.time())
    }

    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// What stands where the API is: answers, and counts the calls.
#[derive(Clone, Default)]
pub struct Api {
    calls: Arc<AtomicU64>,
}

impl Api {
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn stack(&self) -> BoxStack {
        let api = self.clone();
        BoxStack::new(tower::service_fn(move |call: Call| {
            let api = api.clone();
            async move { Ok::<_, UpstreamError>(api.answer(&call)) }
        }))
    }

    fn answer(&self, call: &Call) -> Reply {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let body = match &call.payload {
            Payload::Messages {
                transport: Transport::Events,
                ..
            } => Body::Events(EventStream::new(futures::stream::iter([
                Ok(StreamEvent::MessageStart(Box::new(message()))),
                Ok(StreamEvent::MessageStop),
            ]))),
            _ => Body::Message(Box::new(message())),
        };
        Reply {
            request_id: None,
            body,
        }
    }
}

fn message() -> Message {
    let json = r#"{"id": "msg_1", "model": "claude-sonnet-5-5",
        "content": [{"type": "text", "text": "Hello."}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 20}}"#;
    serde_json::from_str(json).unwrap()
}

/// A running server.
pub struct Running {
    pub address: SocketAddr,
    pub api: Api,
    pub access: Access,
    pub hands: Hands,
    pub tls: Option<Tls>,
    drain: Drain,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.drain.cut();
    }
}

/// How a server is set up; changed before it starts.
pub struct Setup {
    pub clients: ClientsFile,
    pub server: ServerConfig,
    pub signatures: SignatureConfig,
}

impl Setup {
    /// With these clients, as the TOML of a clients file.
    pub fn new(clients: &str) -> Self {
        Setup {
            clients: ClientsFile::parse(clients).unwrap(),
            server: ServerConfig {
                listen: SocketAddr::from(([127, 0, 0, 1], 0)),
                max_message_bytes: 100_000,
                ..ServerConfig::default()
            },
            signatures: AccessConfig::default().signatures,
        }
    }

    /// With these clients.
    pub fn of(clients: Vec<ClientEntry>) -> Self {
        let mut setup = Setup::new("");
        setup.clients = ClientsFile { clients };
        setup
    }

    pub async fn start(self) -> Running {
        let clients = Reloading::fixed("clients", Clients::new(self.clients).unwrap());
        let hands = Hands::new();
        let access = Access::new(clients, &self.signatures, hands.clock());
        let api = Api::default();
        let upstream = Client::new(api.stack(), Duration::from_secs(600));
        let service = Service::new(upstream, ServiceConfig::default());
        let tls = Tls::load(&self.server.tls, false).await.unwrap();
        let server = Server::bind(self.server, service).await.unwrap();
        let server = server.guarded(Some(access.clone())).secured(tls.clone());
        let (address, drain) = (server.local_addr().unwrap(), server.drain());
        tokio::spawn(server.run());
        Running {
            address,
            api,
            access,
            hands,
            tls,
            drain,
        }
    }
}

impl Running {
    pub async fn channel(&self) -> Channel {
        let url = format!("http://{}", self.address);
        Channel::from_shared(url).unwrap().connect().await.unwrap()
    }

    /// Generates with one header.
    pub async fn generate(&self, header: &'static str, value: &str) -> Result<(), Status> {
        let mut request = tonic::Request::new(prompt());
        if !header.is_empty() {
            let value = value.parse().expect("a header");
            request.metadata_mut().insert(header, value);
        }
        let mut client = ClaudeServiceClient::new(self.channel().await);
        client.generate(request).await.map(|_| ())
    }

    pub fn refusals(&self, cause: Cause) -> u64 {
        self.access.refusals().of(cause)
    }
}

pub fn prompt() -> v1::GenerateRequest {
    v1::GenerateRequest {
        messages: vec![v1::Message {
            role: v1::Role::User.into(),
            text: "Hello?".to_owned(),
            ..v1::Message::default()
        }],
        ..v1::GenerateRequest::default()
    }
}

/// The one shape of a refusal, whatever was wrong.
pub fn assert_unauthenticated(status: &Status) {
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert_eq!(status.message(), "valid credentials are needed");
    let details = status.get_error_details();
    let info = details.error_info().expect("ErrorInfo");
    assert_eq!(info.reason, "UNAUTHENTICATED");
    assert!(info.metadata.is_empty());
}
