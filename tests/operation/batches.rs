//! Batches in a process that is killed: nothing is lost, nothing is sent twice, and the
//! budgets of clients say what was used. And each tenant has its own.

use crate::process::Process;
use claude_grpc::{
    access::{self, ClientLimits, NewClient},
    models::{Day, PriceTable, Tokens},
    proto::v1::{
        self, BatchState, batch_item::Request as Item, batch_service_client::BatchServiceClient,
    },
    secrets::Keyring,
    simulator::{Behaviour, Handle, Simulator, SimulatorConfig},
};
use rand::Rng;
use secrecy::ExposeSecret;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant, SystemTime},
};
use tempfile::TempDir;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_types::StatusExt;

/// No test waits longer than this for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

const MODEL: &str = "claude-sonnet-5-5";

/// The output that each item asks for, in tokens.
const MAX_TOKENS: i32 = 10_000;

pub type Grpc = BatchServiceClient<InterceptedService<Channel, ClientKey>>;

#[derive(Clone)]
pub struct ClientKey(MetadataValue<Ascii>);

impl Interceptor for ClientKey {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("x-api-key", self.0.clone());
        Ok(request)
    }
}

/// The simulator, and a folder with all that the service needs.
pub struct World {
    api: String,
    pub simulator: Handle,
    pub toml: String,
    folder: TempDir,
}

impl World {
    async fn start() -> World {
        let limits = "budget_file = '{at}/budgets'";
        World::with(
            limits,
            "state_file = '{at}/batches'",
            Duration::from_millis(300),
        )
        .await
    }

    /// With these keys of `limits` and `batches`, in which `{at}` is the folder, and a
    /// simulator that takes this long for a batch.
    pub async fn with(limits: &str, batches: &str, duration: Duration) -> World {
        let mut config = SimulatorConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            record: true,
            ..SimulatorConfig::default()
        };
        config.batches.duration = duration;
        let simulator = Simulator::bind(config).await.unwrap();
        let api = simulator.base_url().unwrap();
        let handle = simulator.handle();
        tokio::spawn(simulator.run());
        let folder = tempfile::tempdir().unwrap();
        Keyring::create(&folder.path().join("batches.key")).unwrap();
        let at = folder.path().display();
        let toml = format!(
            "[upstream]
            base_url = '{api}'
            [access]
            clients_file = '{at}/clients.toml'
            [batches]
            key_file = '{at}/batches.key'
            poll_interval = '100ms'
            search_after = '1s'
            {batches}
            [limits]
            {limits}\n"
        );
        let toml = toml.replace("{at}", &at.to_string());
        World {
            api,
            simulator: handle,
            toml,
            folder,
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Adds a client; returns its key.
    pub fn client(&self, name: &str, limits: ClientLimits) -> String {
        self.client_of(NewClient {
            name: name.to_owned(),
            limits,
            ..NewClient::default()
        })
    }

    /// Adds a client; returns its key.
    pub fn client_of(&self, client: NewClient) -> String {
        let added = access::add(&self.path().join("clients.toml"), None, client).unwrap();
        added.secret.expose_secret().to_owned()
    }

    async fn process(&self) -> Process {
        self.process_in(self.path()).await
    }

    /// A process with a folder of its own.
    pub async fn process_in(&self, folder: &Path) -> Process {
        let variables = [("ANTHROPIC_API_KEY", "sk-of-batches")];
        Process::start(folder, &variables, &self.toml).await
    }

    /// How many batches the API has.
    pub async fn created(&self) -> usize {
        let request = reqwest::Client::new()
            .get(format!("{}/v1/messages/batches?limit=1000", self.api))
            .header("authorization", "Bearer sk-of-batches")
            .header("anthropic-version", "2026-10-21");
        let page = request.send().await.unwrap().bytes().await.unwrap();
        let page: Value = serde_json::from_slice(&page).unwrap();
        page["data"].as_array().unwrap().len()
    }
}

pub fn connect(process: &Process, key: &str) -> Grpc {
    let channel = format!("http://{}", process.address).parse::<tonic::transport::Endpoint>();
    let channel = channel.unwrap().connect_lazy();
    BatchServiceClient::with_interceptor(channel, ClientKey(key.parse().unwrap()))
}

pub fn batch(request_id: &str) -> v1::SubmitBatchRequest {
    let message = v1::Message {
        role: v1::Role::User.into(),
        text: "Hello".to_owned(),
        ..v1::Message::default()
    };
    let request = v1::GenerateRequest {
        model: MODEL.to_owned(),
        messages: vec![message],
        max_tokens: Some(MAX_TOKENS),
        ..v1::GenerateRequest::default()
    };
    v1::SubmitBatchRequest {
        request_id: request_id.to_owned(),
        items: vec![v1::BatchItem {
            id: request_id.to_owned(),
            request: Some(Item::Generate(request)),
        }],
    }
}

pub async fn submit(grpc: &mut Grpc, request_id: &str) -> Result<v1::Batch, Status> {
    let submitted = grpc.submit_batch(batch(request_id)).await?;
    Ok(submitted.into_inner().batch.unwrap())
}

async fn ended(grpc: &mut Grpc, id: &str) -> v1::Batch {
    let began = Instant::now();
    loop {
        let request = v1::GetBatchRequest { id: id.to_owned() };
        let batch = grpc.get_batch(request).await.unwrap().into_inner();
        let batch = batch.batch.unwrap();
        if batch.state() == BatchState::Ended {
            return batch;
        }
        assert!(began.elapsed() < PATIENCE, "{batch:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A budget for one batch, and not for two.
pub fn budget_for_one() -> ClientLimits {
    let tokens = Tokens {
        output: MAX_TOKENS as u64,
        ..Tokens::default()
    };
    let today = Day::of(SystemTime::now());
    let price = PriceTable::new(&[], today).cost(MODEL, &tokens, || today);
    ClientLimits {
        dollars_per_day: Some(price.unwrap() as f64 / 1e9 * 0.75),
        ..ClientLimits::default()
    }
}

pub fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.unwrap_or_else(|| panic!("{status:?}")).reason
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_batches_is_lost_or_sent_twice_over_kills() {
    let world = World::start().await;
    let key = world.client("pipeline", ClientLimits::default());
    let mut request_ids = BTreeSet::new();
    for round in 0..10 {
        let process = world.process().await;
        let mut grpc = connect(&process, &key);
        let submitting = async {
            for number in 0.. {
                let request_id = format!("{round}-{number}");
                request_ids.insert(request_id.clone());
                // It fails when the process is killed in the middle of it.
                if submit(&mut grpc, &request_id).await.is_err() {
                    break;
                }
            }
        };
        let moment = Duration::from_micros(rand::rng().random_range(5_000..150_000));
        let _ = tokio::time::timeout(moment, submitting).await;
        drop(process);
    }

    let process = world.process().await;
    let mut grpc = connect(&process, &key);
    let mut ids = BTreeSet::new();
    for request_id in &request_ids {
        let batch = submit(&mut grpc, request_id).await.unwrap();
        ids.insert(batch.id.clone());
        ended(&mut grpc, &batch.id).await;
        let results = v1::StreamBatchResultsRequest { id: batch.id };
        let mut results = grpc
            .stream_batch_results(results)
            .await
            .unwrap()
            .into_inner();
        let result = results.message().await.unwrap().unwrap();
        assert_eq!(&result.id, request_id);
        assert!(results.message().await.unwrap().is_none());
    }
    assert_eq!(ids.len(), request_ids.len());
    assert_eq!(
        world.created().await,
        request_ids.len(),
        "sent twice, or not at all"
    );
    println!("{} batches, 10 kills", ids.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_a_submission_whose_caller_is_gone() {
    let world = World::start().await;
    let key = world.client("pipeline", ClientLimits::default());
    let mut process = world.process().await;
    let delay = Duration::from_millis(50);
    world.simulator.next([Behaviour::SlowBody { delay }]);
    let mut grpc = connect(&process, &key);
    let submission = tokio::spawn(async move { submit(&mut grpc, "r").await });
    world.simulator.until(|counts| counts.requests == 1).await;
    submission.abort();
    process.signal("TERM");
    process.ended().await;

    let process = world.process().await;
    let mut grpc = connect(&process, &key);
    let listed = grpc.list_batches(v1::ListBatchesRequest::default());
    let listed = listed.await.unwrap().into_inner().batches;
    assert_eq!(listed.len(), 1);
    assert_ne!(
        listed[0].state(),
        BatchState::Submitting,
        "the answer was lost"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_reserved_at_half_the_price_until_it_has_ended() {
    let world = World::start().await;
    let key = world.client("pipeline", budget_for_one());
    let process = world.process().await;
    let mut grpc = connect(&process, &key);
    let first = submit(&mut grpc, "first").await.unwrap();
    let status = submit(&mut grpc, "second").await.unwrap_err();
    assert_eq!(reason(&status), "CLIENT_LIMIT_REACHED");
    drop(process);

    // The reservation survives the kill, and so does its settlement.
    let process = world.process().await;
    let mut grpc = connect(&process, &key);
    ended(&mut grpc, &first.id).await;
    let began = Instant::now();
    while let Err(status) = submit(&mut grpc, "second").await {
        assert_eq!(reason(&status), "CLIENT_LIMIT_REACHED");
        assert!(began.elapsed() < PATIENCE, "never settled");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_batch_of_another_tenant_is_unknown() {
    let world = World::start().await;
    let keys = ["one", "two"].map(|name| world.client(name, ClientLimits::default()));
    let process = world.process().await;
    let [mut one, mut two] = keys.map(|key| connect(&process, &key));
    let id = submit(&mut one, "r").await.unwrap().id;
    ended(&mut one, &id).await;

    let get = v1::GetBatchRequest { id: id.clone() };
    let cancel = v1::CancelBatchRequest { id: id.clone() };
    let delete = v1::DeleteBatchRequest { id: id.clone() };
    let results = v1::StreamBatchResultsRequest { id: id.clone() };
    let refused = [
        two.get_batch(get).await.unwrap_err(),
        two.cancel_batch(cancel).await.unwrap_err(),
        two.delete_batch(delete).await.unwrap_err(),
        two.stream_batch_results(results).await.unwrap_err(),
    ];
    for status in refused {
        assert_eq!(reason(&status), "BATCH_UNKNOWN");
    }
    let listed = two
        .list_batches(v1::ListBatchesRequest::default())
        .await
        .unwrap();
    assert_eq!(listed.into_inner().batches, []);
    // The same request id is another batch.
    assert_ne!(submit(&mut two, "r").await.unwrap().id, id);
    ended(&mut one, &id).await;
}
