//! A server with access control over a stand-in for the way up.

use claude_grpc::{
    access::{
        self, Access, AccessConfig, ClientEntry, Clients, ClientsFile, Clock, NewClient,
        RejectReason, SignatureConfig,
        limits::{LimitsConfig, UsageStore},
    },
    claude::{
        answer::{AnswerBlock, Message, Usage},
        event::{Delta, MessageDelta, StreamEvent},
        extra::Extra,
        models::ModelPage,
    },
    proto::v1::{self, claude_service_client::ClaudeServiceClient},
    response_cache::{ResponseCache, ResponseCacheConfig},
    secrets::Reloadable,
    server::{Drain, Server, ServerConfig, Tls},
    service::{Rpcs, ServiceConfig},
    store::Store,
    upstream::{
        Body, BoxStack, Call, Client, EventStream, Payload, Reply, Transport, UpstreamError,
        charging,
    },
};
use futures::StreamExt;
use secrecy::ExposeSecret;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::task::JoinHandle;
use tonic::{
    Code, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_types::StatusExt;

pub const GENERATE: &str = "/claude.v1.ClaudeService/Generate";

/// A client that shows a key with each call.
pub type Keyed = ClaudeServiceClient<InterceptedService<Channel, WithKey>>;

/// Puts a key into the metadata.
#[derive(Clone)]
pub struct WithKey(MetadataValue<Ascii>);

impl WithKey {
    pub fn new(key: &str) -> Self {
        WithKey(key.parse().unwrap())
    }
}

impl Interceptor for WithKey {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        request.metadata_mut().insert("x-api-key", self.0.clone());
        Ok(request)
    }
}

/// A client that shows a key with each call.
pub fn keyed(channel: Channel, key: &str) -> Keyed {
    ClaudeServiceClient::with_interceptor(channel, WithKey::new(key))
}

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
    stalls: Arc<AtomicBool>,
    rejects: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
    usage: Arc<Mutex<Option<Usage>>>,
}

impl Api {
    /// From now on, streams stand still after their first text.
    pub fn stall(&self, stalls: bool) {
        self.stalls.store(stalls, Ordering::SeqCst);
    }

    /// From now on, calls find the circuit breaker open.
    pub fn reject(&self, rejects: bool) {
        self.rejects.store(rejects, Ordering::SeqCst);
    }

    /// From now on, calls get no answer.
    pub fn hang(&self) {
        self.hangs.store(true, Ordering::SeqCst);
    }

    /// From now on, whole answers report this usage.
    pub fn reports(&self, usage: Usage) {
        *self.usage.lock().unwrap() = Some(usage);
    }

    fn message(&self) -> Message {
        let usage = self.usage.lock().unwrap().clone();
        let usual = message();
        Message {
            usage: usage.unwrap_or_else(|| usual.usage.clone()),
            ..usual
        }
    }

    fn events(&self) -> EventStream {
        let begin = [
            StreamEvent::MessageStart(Box::new(Message {
                usage: usage(10, 1),
                ..message()
            })),
            StreamEvent::BlockStart {
                index: 0,
                block: AnswerBlock::Text {
                    text: String::new(),
                    citations: Vec::new(),
                    extra: Extra::default(),
                },
            },
            StreamEvent::BlockDelta {
                index: 0,
                delta: Delta::Text("forty bytes, taken for fourteen tokens..".to_owned()),
            },
        ];
        let end = [
            StreamEvent::BlockStop { index: 0 },
            StreamEvent::MessageDelta(Box::new(MessageDelta {
                usage: usage(10, 20),
                ..MessageDelta::default()
            })),
            StreamEvent::MessageStop,
        ];
        let begin = futures::stream::iter(begin.map(Ok));
        if self.stalls.load(Ordering::SeqCst) {
            return EventStream::new(begin.chain(futures::stream::pending()));
        }
        EventStream::new(begin.chain(futures::stream::iter(end.map(Ok))))
    }

    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn stack(&self) -> BoxStack {
        let api = self.clone();
        BoxStack::new(tower::service_fn(move |call: Call| {
            let api = api.clone();
            async move {
                if api.rejects.load(Ordering::SeqCst) {
                    let retry_after = Duration::from_secs(7);
                    return Err(UpstreamError::CircuitOpen { retry_after });
                }
                let answer = api.answer(&call);
                if api.hangs.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                Ok(answer)
            }
        }))
    }

    fn answer(&self, call: &Call) -> Reply {
        self.calls.fetch_add(1, Ordering::SeqCst);
        call.attempts.begin();
        let body = match &call.payload {
            Payload::Messages {
                transport: Transport::Events,
                ..
            } => Body::Events(self.events()),
            Payload::Models(_) => Body::Models(catalogue()),
            _ => Body::Message(Box::new(self.message())),
        };
        Reply {
            request_id: None,
            host: "claude".into(),
            key: None,
            body,
        }
    }
}

fn catalogue() -> ModelPage {
    let json = r#"{"data": [
        {"id": "claude-haiku-5-5", "display_name": "Haiku", "created_at": "2026-10-01T00:00:00Z"},
        {"id": "claude-opus-5-5", "display_name": "Opus", "created_at": "2026-10-01T00:00:00Z"}
    ], "has_more": false}"#;
    ModelPage::read(json.as_bytes()).unwrap()
}

fn message() -> Message {
    let json = r#"{"id": "msg_1", "model": "claude-sonnet-5-5",
        "content": [{"type": "text", "text": "Hello."}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 20}}"#;
    Message::read(json.as_bytes()).unwrap()
}

pub fn usage(input: u64, output: u64) -> Usage {
    Usage {
        input_tokens: Some(input),
        output_tokens: Some(output),
        ..Usage::default()
    }
}

/// A running server.
pub struct Running {
    pub address: SocketAddr,
    pub api: Api,
    pub access: Access,
    pub hands: Hands,
    pub tls: Option<Tls>,
    drain: Drain,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.drain.abort();
    }
}

/// How a server is set up; changed before it starts.
pub struct Setup {
    pub clients: ClientsFile,
    pub server: ServerConfig,
    pub signatures: SignatureConfig,
    pub limits: LimitsConfig,
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
            limits: LimitsConfig::default(),
        }
    }

    /// With these clients.
    pub fn of(clients: Vec<ClientEntry>) -> Self {
        let mut setup = Setup::new("");
        setup.clients = ClientsFile { clients };
        setup
    }

    pub async fn start(self) -> Running {
        let clients = Reloadable::fixed("clients", Clients::new(self.clients).unwrap());
        let hands = Hands::new();
        let longest_call = self.server.max_deadline;
        let limits = &self.limits;
        let store = Store::open(&limits.store, &limits.redis, limits.store_failure_mode).unwrap();
        if let Some(store) = &store {
            store.attempted().await;
        }
        let usage_store = UsageStore::with_store(limits, store, longest_call, hands.clock());
        let usage_store = usage_store.unwrap();
        let access = Access::new(clients, &self.signatures, usage_store, hands.clock());
        let api = Api::default();
        let stack = charging(api.stack(), &access);
        let upstream = Client::new(stack);
        let responses = ResponseCache::open(&ResponseCacheConfig::default(), None);
        let service = Rpcs::new(upstream, ServiceConfig::default());
        let service = service.with_responses(responses.unwrap());
        let tls = Tls::load(&self.server.tls, self.server.grpc_web)
            .await
            .unwrap();
        let server = Server::bind(self.server, service).await.unwrap();
        let server = server
            .with_access(Some(access.clone()))
            .with_tls(tls.clone());
        let (address, drain) = (server.local_addr().unwrap(), server.drain());
        let task = tokio::spawn(server.run());
        Running {
            address,
            api,
            access,
            hands,
            tls,
            drain,
            task,
        }
    }
}

impl Running {
    /// Stops the server, and waits until nothing of it is left.
    pub async fn stop(mut self) {
        self.drain.abort();
        let _ = (&mut self.task).await;
    }

    /// Aborts the calls in flight, as at the end of a drain.
    pub fn abort_calls(&self) {
        self.drain.abort();
    }

    pub async fn channel(&self) -> Channel {
        let url = format!("http://{}", self.address);
        Channel::from_shared(url).unwrap().connect().await.unwrap()
    }

    /// A client that shows a key with each call.
    pub async fn client(&self, key: &str) -> Keyed {
        keyed(self.channel().await, key)
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

    pub fn refusals(&self, cause: RejectReason) -> u64 {
        self.access.refusals().of(cause)
    }
}

pub fn prompt() -> v1::GenerateRequest {
    prompt_of("Hello?")
}

/// A request with this text.
pub fn prompt_of(text: &str) -> v1::GenerateRequest {
    v1::GenerateRequest {
        messages: vec![v1::Message {
            role: v1::Role::User.into(),
            text: text.to_owned(),
            ..v1::Message::default()
        }],
        ..v1::GenerateRequest::default()
    }
}

/// The one shape of a refusal, whatever was wrong.
pub fn assert_unauthenticated(status: &Status) {
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert_eq!(status.message(), "valid credentials are required");
    let details = status.get_error_details();
    let info = details.error_info().expect("ErrorInfo");
    assert_eq!(info.reason, "UNAUTHENTICATED");
    assert!(info.metadata.is_empty());
}

/// One client with a key, and with these limits as TOML.
pub fn limited(limits: &str) -> (Setup, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clients.toml");
    let new = NewClient {
        name: "a".to_owned(),
        limits: toml::from_str(limits).unwrap(),
        ..NewClient::default()
    };
    let added = access::add(&path, None, new).unwrap();
    let clients = access::list(&path, None).unwrap();
    let key = added.secret.expose_secret().to_owned();
    (Setup::of(clients), key)
}

/// The refusal of a limit: its name, and when to try again.
pub fn limit_of(status: &Status) -> (String, Duration) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "CLIENT_LIMIT_REACHED");
    let violation = &details.quota_failure().unwrap().violations[0];
    assert_eq!(violation.quota_dimensions["client"], "a");
    assert!(!violation.quota_metric.is_empty());
    let after = details.retry_info().unwrap().retry_delay.unwrap();
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap();
    assert_eq!(pushback.to_str().unwrap(), after.as_millis().to_string());
    (violation.quota_id.clone(), after)
}
