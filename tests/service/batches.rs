//! BatchService: many requests at half the price, whatever interrupts them.

use crate::{
    sample_texts,
    support::{HttpClient, PATIENCE, ask, http_client, reason, soon, wrong_fields},
};
use claude_grpc::{
    batches::{Batches, BatchesConfig},
    proto::v1::{
        self, BatchState, batch_item::Request as Item, batch_service_client::BatchServiceClient,
        stream_batch_results_response::Result as ItemResult,
    },
    secrets::Keyring,
    server::{Server, ServerConfig},
    service::{Rpcs, ServiceConfig},
    simulator::{Behaviour, Handle, Simulator, SimulatorConfig},
    upstream::{Key, Keys, Upstream, UpstreamConfig},
};
use secrecy::SecretString;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

type Grpc = BatchServiceClient<HttpClient>;

/// A simulator, and a service that can be stopped and started again.
struct World {
    grpc: Grpc,
    simulator: Handle,
    config: BatchesConfig,
    upstream: UpstreamConfig,
    keys: Vec<&'static str>,
    service: Vec<JoinHandle<()>>,
    simulating: JoinHandle<()>,
    _dir: TempDir,
}

impl World {
    async fn start() -> World {
        World::with(Duration::from_millis(100)).await
    }

    /// With a simulator that takes this long for a batch.
    async fn with(duration: Duration) -> World {
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
        let mut world = World {
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
            keys: vec!["sk-one", "sk-two", "sk-three"],
            service: Vec::new(),
            simulating: tokio::spawn(simulator.run()),
            _dir: dir,
        };
        world.run_service().await;
        world
    }

    async fn run_service(&mut self) {
        let keys = self
            .keys
            .iter()
            .map(|secret| Key::new(secret, &SecretString::from(*secret)).unwrap());
        let upstream = Upstream::new(&self.upstream, Keys::new(keys)).unwrap();
        let batches = Batches::open(&self.config, &upstream, None).unwrap();
        let rpcs = Rpcs::new(upstream.client, ServiceConfig::default());
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
    async fn restart(&mut self) {
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

    async fn submit(&mut self, request: v1::SubmitBatchRequest) -> Result<v1::Batch, Status> {
        let submitted = soon(self.grpc.submit_batch(request)).await?;
        Ok(submitted.into_inner().batch.unwrap())
    }

    async fn get(&mut self, id: &str) -> Result<v1::Batch, Status> {
        let request = v1::GetBatchRequest { id: id.to_owned() };
        Ok(soon(self.grpc.get_batch(request))
            .await?
            .into_inner()
            .batch
            .unwrap())
    }

    /// The batch when it is in this state.
    async fn until(&mut self, id: &str, state: BatchState) -> v1::Batch {
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

    async fn results(&mut self, id: &str) -> Result<BTreeMap<String, ItemResult>, Status> {
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

    /// How many batches the API was asked to create, and how often it accepted.
    fn created(&self) -> usize {
        let requests = self.simulator.requests();
        let created = requests
            .iter()
            .filter(|it| it.method == "POST" && it.path == "/v1/messages/batches");
        created.count()
    }
}

impl Drop for World {
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

fn item(id: &str, request: Item) -> v1::BatchItem {
    v1::BatchItem {
        id: id.to_owned(),
        request: Some(request),
    }
}

fn generated(id: &str) -> v1::BatchItem {
    item(id, Item::Generate(ask("Hello")))
}

fn batch(items: Vec<v1::BatchItem>) -> v1::SubmitBatchRequest {
    v1::SubmitBatchRequest {
        items,
        request_id: String::new(),
    }
}

fn summarize(text: &str) -> Item {
    Item::Summarize(v1::SummarizeRequest {
        text: text.to_owned(),
        ..v1::SummarizeRequest::default()
    })
}

fn classify(text: &str) -> Item {
    let labels = ["weather", "sports"].map(|name| v1::Label {
        name: name.to_owned(),
        ..v1::Label::default()
    });
    Item::Classify(v1::ClassifyRequest {
        text: text.to_owned(),
        labels: labels.to_vec(),
        ..v1::ClassifyRequest::default()
    })
}

#[tokio::test]
async fn each_item_gets_the_response_of_its_rpc() {
    let mut world = World::start().await;
    let items = vec![
        generated("a question"),
        item("a text", summarize(sample_texts::INCIDENT_REPORT)),
        item("labels", classify("The weather is fine: sun and no rain.")),
    ];
    let submitted = world.submit(batch(items)).await.unwrap();
    assert_eq!(submitted.state(), BatchState::InProgress);
    assert_eq!(submitted.counts.unwrap().processing, 3);
    let ended = world.until(&submitted.id, BatchState::Ended).await;
    assert_eq!(ended.counts.unwrap().succeeded, 3);
    assert!(ended.end_time.is_some());
    let kept = ended.expire_time.unwrap().seconds - ended.create_time.unwrap().seconds;
    assert_eq!(kept, 29 * 24 * 60 * 60);

    let results = world.results(&submitted.id).await.unwrap();
    assert_eq!(results.len(), 3);
    let ItemResult::Generate(answer) = &results["a question"] else {
        panic!("{results:?}");
    };
    assert_eq!(answer.stop_reason(), v1::StopReason::EndTurn);
    let ItemResult::Summarize(summary) = &results["a text"] else {
        panic!("{results:?}");
    };
    assert!(!summary.summary.is_empty() && summary.length_ratio > 0.0);
    let ItemResult::Classify(chosen) = &results["labels"] else {
        panic!("{results:?}");
    };
    assert_eq!(chosen.labels, ["weather"]);
    assert_eq!(chosen.confidences.len(), 2);
}

#[tokio::test]
async fn one_item_that_is_wrong_is_named_and_nothing_is_submitted() {
    let mut world = World::start().await;
    let items = vec![
        generated("a"),
        item("b", Item::Generate(v1::GenerateRequest::default())),
        generated("a"),
        item("", summarize(" ")),
        v1::BatchItem {
            id: "e".to_owned(),
            request: None,
        },
    ];
    let status = world.submit(batch(items)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        wrong_fields(&status),
        [
            "items[1].generate.messages",
            "items[2].id",
            "items[3].id",
            "items[3].summarize.text",
            "items[4].request"
        ]
    );
    let status = world.submit(batch(Vec::new())).await.unwrap_err();
    assert_eq!(wrong_fields(&status), ["items"]);
    assert_eq!(world.created(), 0);
}

#[tokio::test]
async fn a_request_id_stands_for_one_batch() {
    let mut world = World::start().await;
    let request = |id: &str| v1::SubmitBatchRequest {
        request_id: "monday".to_owned(),
        items: vec![generated(id)],
    };
    let first = world.submit(request("a")).await.unwrap();
    let second = world.submit(request("b")).await.unwrap();
    assert_eq!(first.id, second.id);
    assert_eq!(first.request_id, "monday");
    world.restart().await;
    assert_eq!(world.submit(request("c")).await.unwrap().id, first.id);
    assert_eq!(world.created(), 1);
}

#[tokio::test]
async fn what_a_canceled_batch_has_not_begun_is_named() {
    let mut world = World::with(Duration::from_secs(3600)).await;
    let items = (0..20).map(|it| generated(&it.to_string())).collect();
    let submitted = world.submit(batch(items)).await.unwrap();
    let status = world.results(&submitted.id).await.unwrap_err();
    assert_eq!(reason(&status), "BATCH_NOT_ENDED");
    let delete = v1::DeleteBatchRequest {
        id: submitted.id.clone(),
    };
    let status = soon(world.grpc.delete_batch(delete.clone()))
        .await
        .unwrap_err();
    assert_eq!(reason(&status), "BATCH_NOT_ENDED");

    let cancel = v1::CancelBatchRequest {
        id: submitted.id.clone(),
    };
    soon(world.grpc.cancel_batch(cancel)).await.unwrap();
    world.until(&submitted.id, BatchState::Ended).await;
    let results = world.results(&submitted.id).await.unwrap();
    assert_eq!(results.len(), 20);
    let canceled = results.values().filter(|result| {
        matches!(result, ItemResult::Error(error) if error.reason == "BATCH_ITEM_CANCELED"
            && error.code == Code::Cancelled as i32)
    });
    assert!(canceled.count() > 0);

    soon(world.grpc.delete_batch(delete)).await.unwrap();
    let status = world.get(&submitted.id).await.unwrap_err();
    assert_eq!(reason(&status), "BATCH_UNKNOWN");
}

#[tokio::test]
async fn batches_are_listed_newest_first() {
    let mut world = World::start().await;
    let mut ids = Vec::new();
    for id in ["a", "b", "c"] {
        ids.push(world.submit(batch(vec![generated(id)])).await.unwrap().id);
    }
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListBatchesRequest {
            page_size: 2,
            page_token,
        };
        let page = soon(world.grpc.list_batches(request))
            .await
            .unwrap()
            .into_inner();
        listed.extend(page.batches.into_iter().map(|it| it.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    ids.sort();
    listed.sort();
    assert_eq!(listed, ids);
}

#[tokio::test]
async fn a_batch_survives_a_restart() {
    let mut world = World::with(Duration::from_millis(500)).await;
    let submitted = world
        .submit(batch(vec![generated("a"), generated("b")]))
        .await
        .unwrap();
    world.restart().await;
    world.until(&submitted.id, BatchState::Ended).await;
    assert_eq!(world.results(&submitted.id).await.unwrap().len(), 2);
    assert_eq!(world.created(), 1);
}

#[tokio::test]
async fn a_submission_whose_answer_is_lost_is_found() {
    let mut world = World::start().await;
    world.simulator.next([Behaviour::Cut { after_events: 0 }]);
    let submitted = world.submit(batch(vec![generated("a")])).await.unwrap();
    assert_eq!(submitted.state(), BatchState::Submitting);
    world.until(&submitted.id, BatchState::Ended).await;
    assert_eq!(world.results(&submitted.id).await.unwrap().len(), 1);
    assert_eq!(
        world.created(),
        1,
        "it was sent again although it had arrived"
    );
}

#[tokio::test]
async fn a_submission_that_did_not_arrive_is_sent_again() {
    let mut world = World::start().await;
    // A batch of somebody else with as many requests is not taken for it.
    let other = world.submit(batch(vec![generated("other")])).await.unwrap();
    world.until(&other.id, BatchState::Ended).await;
    world.simulator.next([Behaviour::Drop]);
    let submitted = world.submit(batch(vec![generated("a")])).await.unwrap();
    assert_eq!(submitted.state(), BatchState::Submitting);
    world.restart().await;
    world.until(&submitted.id, BatchState::Ended).await;
    let results = world.results(&submitted.id).await.unwrap();
    assert!(results.contains_key("a"));
}

#[tokio::test]
async fn a_batch_that_the_api_rejects_leaves_nothing() {
    let mut world = World::start().await;
    world.simulator.next([Behaviour::Error(400)]);
    let status = world.submit(batch(vec![generated("a")])).await.unwrap_err();
    assert_eq!(reason(&status), "UPSTREAM_INVALID_REQUEST");
    let listed = soon(world.grpc.list_batches(v1::ListBatchesRequest::default())).await;
    assert_eq!(listed.unwrap().into_inner().batches, []);
}

#[tokio::test]
async fn a_batch_stays_with_the_key_that_made_it_until_that_key_is_replaced() {
    let mut world = World::with(Duration::from_millis(300)).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(world.submit(batch(vec![generated("a")])).await.unwrap().id);
    }
    for id in &ids {
        world.until(id, BatchState::Ended).await;
    }
    let keys: std::collections::HashSet<_> = world
        .simulator
        .requests()
        .iter()
        .map(|it| it.headers["authorization"].clone())
        .collect();
    assert!(keys.len() > 1, "{keys:?}");
    // Now the keys are in another order, and one is new: no batch is lost.
    world.keys = vec!["sk-four", "sk-three", "sk-two", "sk-one"];
    world.restart().await;
    for id in &ids {
        assert_eq!(world.results(id).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_batch_that_is_deleted_at_the_api_is_given_up() {
    let mut world = World::with(Duration::from_secs(3600)).await;
    let submitted = world.submit(batch(vec![generated("a")])).await.unwrap();
    // One API that has no batches takes the place of the other.
    let emptied = Simulator::bind(SimulatorConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..SimulatorConfig::default()
    });
    let emptied = emptied.await.unwrap();
    world.upstream.base_url = emptied.base_url().unwrap();
    world.simulating.abort();
    world.simulating = tokio::spawn(emptied.run());
    world.restart().await;
    let failed = world.until(&submitted.id, BatchState::Failed).await;
    assert_eq!(failed.error.unwrap().reason, "UPSTREAM_NOT_FOUND");
    let delete = v1::DeleteBatchRequest { id: submitted.id };
    soon(world.grpc.delete_batch(delete)).await.unwrap();
}

#[tokio::test]
async fn a_batch_expires_however_far_it_is() {
    let mut world = World::with(Duration::from_secs(3600)).await;
    let submitted = world.submit(batch(vec![generated("a")])).await.unwrap();
    world.config.retention = Duration::from_secs(1);
    world.restart().await;
    let began = std::time::Instant::now();
    let status = loop {
        match world.get(&submitted.id).await {
            Ok(batch) => assert!(began.elapsed() < PATIENCE, "{batch:?}"),
            Err(status) => break status,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(reason(&status), "BATCH_UNKNOWN");
    world.restart().await;
    let status = world.get(&submitted.id).await.unwrap_err();
    assert_eq!(reason(&status), "BATCH_UNKNOWN");
}

#[tokio::test]
async fn without_a_state_file_batches_are_off() {
    let mut world = World::start().await;
    world.config.state_file = None;
    for task in world.service.drain(..) {
        task.abort();
    }
    world.run_service().await;
    let status = world.submit(batch(vec![generated("a")])).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status), "BATCHES_DISABLED");
    assert!(status.message().contains("batches.state_file"));
}
