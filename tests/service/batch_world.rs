//! A service with batches, which can be stopped and started again.

use crate::support::{HttpClient, PATIENCE, ask, http_client, soon};
use claude_grpc::{
    batches::{Batches, BatchesConfig},
    proto::v1::{
        self, BatchState, batch_item::Request as Item, batch_service_client::BatchServiceClient,
        stream_batch_results_response::Result as ItemResult,
    },
    secrets::Keyring,
    server::{Server, ServerConfig},
    service::{Rpcs, ServiceConfig},
    simulator::{Handle, Simulator, SimulatorConfig},
    upstream::{Key, Keys, Upstream, UpstreamConfig},
};
use secrecy::SecretString;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::Status;

pub type Grpc = BatchServiceClient<HttpClient>;

/// A simulator, and a service that can be stopped and started again.
pub struct BatchWorld {
    pub grpc: Grpc,
    pub simulator: Handle,
    pub config: BatchesConfig,
    pub upstream: UpstreamConfig,
    pub service_config: ServiceConfig,
    pub keys: Vec<&'static str>,
    pub service: Vec<JoinHandle<()>>,
    pub simulating: JoinHandle<()>,
    _dir: TempDir,
}

impl BatchWorld {
    pub async fn start() -> BatchWorld {
        BatchWorld::with(Duration::from_millis(100)).await
    }

    /// With a simulator that takes this long for a batch.
    pub async fn with(duration: Duration) -> BatchWorld {
        let mut simulated = SimulatorConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            record: true,
            ..SimulatorConfig::default()
        };
        simulated.batches.duration = duration;
        let simulator = Simulator::bind(simulated).await.unwrap();
        let mut upstream = UpstreamConfig {
            base_url: simulator.base_url().unwrap(),
            ..UpstreamConfig::default()
        };
        upstream.retry.initial_backoff = Duration::from_millis(10);
        upstream.retry.max_backoff = Duration::from_millis(20);
        let dir = tempfile::tempdir().unwrap();
        let key_file = dir.path().join("key");
        Keyring::create(&key_file).unwrap();
        let mut world = BatchWorld {
            grpc: nowhere(),
            simulator: simulator.handle(),
            config: BatchesConfig {
                state_file: Some(dir.path().join("state")),
                key_file: Some(key_file),
                poll_interval: Duration::from_millis(50),
                search_after: Duration::from_secs(1),
                ..BatchesConfig::default()
            },
            upstream,
            service_config: ServiceConfig::default(),
            keys: vec!["sk-one", "sk-two", "sk-three"],
            service: Vec::new(),
            simulating: tokio::spawn(simulator.run()),
            _dir: dir,
        };
        world.run_service().await;
        world
    }

    pub async fn run_service(&mut self) {
        let keys = self
            .keys
            .iter()
            .map(|secret| Key::new(secret, &SecretString::from(*secret)).unwrap());
        let upstream = Upstream::new(&self.upstream, Keys::new(keys)).unwrap();
        let batches = Batches::open(&self.config, &upstream, None, None).unwrap();
        let rpcs = Rpcs::new(upstream.client, self.service_config.clone());
        let rpcs = rpcs.with_batches(batches.clone());
        let server = ServerConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            ..ServerConfig::default()
        };
        let server = Server::bind(server, rpcs).await.unwrap();
        let origin = format!("http://{}", server.local_addr().unwrap());
        self.grpc = BatchServiceClient::with_origin(http_client(), origin.parse().unwrap());
        self.service.push(tokio::spawn(server.run()));
        if let Some(batches) = batches {
            self.service.push(tokio::spawn(async move {
                batches.work().await;
            }));
        }
    }

    /// Ends all of the service at once, as a crash does, and starts it again.
    pub async fn restart(&mut self) {
        for task in self.service.drain(..) {
            task.abort();
            let _ = task.await;
        }
        // Its connections end with those of the caller, and the file is locked until then.
        self.grpc = nowhere();
        let began = std::time::Instant::now();
        while let Err(error) = redb_is_free(&self.config) {
            assert!(began.elapsed() < PATIENCE, "{error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.run_service().await;
    }

    pub async fn submit(&mut self, request: v1::SubmitBatchRequest) -> Result<v1::Batch, Status> {
        let submitted = soon(self.grpc.submit_batch(request)).await?;
        Ok(submitted.into_inner().batch.unwrap())
    }

    pub async fn get(&mut self, id: &str) -> Result<v1::Batch, Status> {
        let request = v1::GetBatchRequest { id: id.to_owned() };
        Ok(soon(self.grpc.get_batch(request))
            .await?
            .into_inner()
            .batch
            .unwrap())
    }

    /// The batch when it is in this state.
    pub async fn until(&mut self, id: &str, state: BatchState) -> v1::Batch {
        let began = std::time::Instant::now();
        loop {
            let batch = self.get(id).await.unwrap();
            if batch.state() == state {
                return batch;
            }
            assert!(began.elapsed() < PATIENCE, "{batch:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn results(&mut self, id: &str) -> Result<BTreeMap<String, ItemResult>, Status> {
        let request = v1::StreamBatchResultsRequest { id: id.to_owned() };
        let mut stream = soon(self.grpc.stream_batch_results(request))
            .await?
            .into_inner();
        let mut results = BTreeMap::new();
        while let Some(result) = soon(stream.message()).await? {
            let before = results.insert(result.id.clone(), result.result.unwrap());
            assert!(before.is_none(), "{} came twice", result.id);
        }
        Ok(results)
    }

    /// How often the API was asked to create a batch.
    pub fn created(&self) -> usize {
        let requests = self.simulator.requests();
        let created = requests
            .iter()
            .filter(|it| it.method == "POST" && it.path == "/v1/messages/batches");
        created.count()
    }
}

impl Drop for BatchWorld {
    fn drop(&mut self) {
        self.service.iter().for_each(JoinHandle::abort);
        self.simulating.abort();
    }
}

/// A client without a connection.
fn nowhere() -> Grpc {
    BatchServiceClient::with_origin(http_client(), "http://127.0.0.1:1".parse().unwrap())
}

fn redb_is_free(config: &BatchesConfig) -> Result<(), redb::DatabaseError> {
    redb::Database::open(config.state_file.as_ref().unwrap()).map(drop)
}

pub fn item(id: &str, request: Item) -> v1::BatchItem {
    v1::BatchItem {
        id: id.to_owned(),
        request: Some(request),
    }
}

pub fn generated(id: &str) -> v1::BatchItem {
    item(id, Item::Generate(ask("Hello")))
}

pub fn batch(items: Vec<v1::BatchItem>) -> v1::SubmitBatchRequest {
    v1::SubmitBatchRequest {
        items,
        request_id: String::new(),
    }
}
