//! Batches in the Redis of several replicas: each works on the batches of all, whichever
//! of them is killed or suspended, and nothing is lost or sent twice.

use crate::{
    batches::{
        Grpc, PATIENCE, World, batch, budget_for_one, connect, reason, submit as submit_once,
    },
    process::Process,
    redis_group::RedisCluster,
    redis_server::RedisServer,
};
use claude_grpc::{
    access::{ClientLimits, NewClient},
    proto::v1::{self, BatchState},
    simulator::Behaviour,
};
use futures::future::join_all;
use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use tonic::{Code, Status};

const SOON: Duration = Duration::from_millis(300);

const LATE: Duration = Duration::from_secs(3600);

/// Two replicas of one service.
struct Replicas {
    world: World,
    processes: Vec<Process>,
}

impl Replicas {
    /// With batches in this Redis, more keys of `batches`, and an API that takes this
    /// long for a batch.
    async fn start(redis: &str, batches: &str, duration: Duration) -> Replicas {
        let limits = format!("store = '{redis}'");
        let batches = format!("shared = true\n{batches}");
        let world = World::with(&limits, &batches, duration).await;
        let mut replicas = Replicas {
            world,
            processes: Vec::new(),
        };
        // The clients file must exist.
        replicas.world.client("first", ClientLimits::default());
        for _ in 0..2 {
            replicas.add().await;
        }
        replicas
    }

    async fn add(&mut self) {
        let folder = tempfile::tempdir_in(self.world.path()).unwrap().keep();
        self.processes.push(self.world.process_in(&folder).await);
    }

    /// Adds a client; returns it at each replica.
    async fn client(&self, name: &str, limits: ClientLimits) -> Vec<Grpc> {
        let key = self.world.client(name, limits);
        self.with_key(&key).await
    }

    /// A client at each replica, once they know it.
    async fn with_key(&self, key: &str) -> Vec<Grpc> {
        let clients: Vec<Grpc> = self.processes.iter().map(|it| connect(it, key)).collect();
        for client in &clients {
            let began = Instant::now();
            while let Err(status) = list(&mut client.clone()).await {
                assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
                assert!(began.elapsed() < PATIENCE);
                sleep(Duration::from_millis(50)).await;
            }
        }
        clients
    }
}

/// What a call says when Redis has answered it. Where tests fill all cores, it may be too
/// slow for a moment, and such calls say that they can be made again.
async fn served<T>(mut call: impl AsyncFnMut() -> Result<T, Status>) -> Result<T, Status> {
    let began = Instant::now();
    loop {
        match call().await {
            Err(status) if is_unavailable(&status) && began.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(50)).await;
            }
            outcome => return outcome,
        }
    }
}

fn is_unavailable(status: &Status) -> bool {
    status.code() == Code::Unavailable && reason(status) == "BATCH_STATE_UNAVAILABLE"
}

async fn submit(grpc: &mut Grpc, request_id: &str) -> Result<v1::Batch, Status> {
    served(async || submit_once(grpc, request_id).await).await
}

async fn list(grpc: &mut Grpc) -> Result<Vec<v1::Batch>, Status> {
    let request = v1::ListBatchesRequest::default;
    let listed = served(async || grpc.list_batches(request()).await).await?;
    Ok(listed.into_inner().batches)
}

async fn get(grpc: &mut Grpc, id: &str) -> Result<v1::Batch, Status> {
    let request = || v1::GetBatchRequest { id: id.to_owned() };
    let found = served(async || grpc.get_batch(request()).await).await?;
    Ok(found.into_inner().batch.unwrap())
}

async fn cancel(grpc: &mut Grpc, id: &str) -> Result<v1::Batch, Status> {
    let request = || v1::CancelBatchRequest { id: id.to_owned() };
    let canceled = served(async || grpc.cancel_batch(request()).await).await?;
    Ok(canceled.into_inner().batch.unwrap())
}

async fn delete(grpc: &mut Grpc, id: &str) -> Result<(), Status> {
    let request = || v1::DeleteBatchRequest { id: id.to_owned() };
    let deleted = served(async || grpc.delete_batch(request()).await).await;
    deleted.map(drop)
}

/// The ids of the results of a batch.
async fn results(grpc: &mut Grpc, id: &str) -> Result<Vec<String>, Status> {
    let request = || v1::StreamBatchResultsRequest { id: id.to_owned() };
    let stream = served(async || grpc.stream_batch_results(request()).await).await?;
    let mut stream = stream.into_inner();
    let mut ids = Vec::new();
    while let Some(result) = stream.message().await? {
        ids.push(result.id);
    }
    Ok(ids)
}

async fn ended(grpc: &mut Grpc, id: &str) -> v1::Batch {
    let began = Instant::now();
    loop {
        let batch = get(grpc, id).await.unwrap();
        if batch.state() == BatchState::Ended {
            return batch;
        }
        assert!(began.elapsed() < PATIENCE, "{batch:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The batches of these request ids when they have ended, each submitted again at one of
/// the replicas.
async fn finished(request_ids: &[String], clients: &[Grpc]) -> BTreeSet<String> {
    let finished = request_ids.iter().enumerate().map(|(number, request_id)| {
        let mut client = clients[number % 2].clone();
        async move {
            let id = submit(&mut client, request_id).await.unwrap().id;
            ended(&mut client, &id).await;
            assert_eq!(results(&mut client, &id).await.unwrap(), [&**request_id]);
            id
        }
    });
    join_all(finished).await.into_iter().collect()
}

/// What each replica does for the batches of the other, and for no other tenant.
async fn works_on_the_batches_of_the_other(redis: &str) {
    let replicas = Replicas::start(redis, "", SOON).await;
    let [one, two] = &mut replicas.client("one", ClientLimits::default()).await[..] else {
        panic!("two replicas");
    };
    let submitted = submit(one, "r").await.unwrap();
    assert_ne!(submitted.state(), BatchState::Submitting);
    assert_eq!(submit(two, "r").await.unwrap().id, submitted.id);
    assert_eq!(get(two, &submitted.id).await.unwrap().id, submitted.id);
    assert_eq!(list(two).await.unwrap().len(), 1);

    for stranger in &mut replicas.client("stranger", ClientLimits::default()).await {
        let refused = [
            get(stranger, &submitted.id).await.unwrap_err(),
            cancel(stranger, &submitted.id).await.unwrap_err(),
            delete(stranger, &submitted.id).await.unwrap_err(),
            results(stranger, &submitted.id).await.unwrap_err(),
        ];
        for status in refused {
            assert_eq!(reason(&status), "BATCH_UNKNOWN");
        }
        assert_eq!(list(stranger).await.unwrap(), []);
    }
    // The same request id is another batch.
    let stranger = &mut replicas.client("another", ClientLimits::default()).await[1];
    assert_ne!(submit(stranger, "r").await.unwrap().id, submitted.id);

    ended(two, &submitted.id).await;
    assert_eq!(results(two, &submitted.id).await.unwrap(), ["r"]);
    assert_eq!(results(one, &submitted.id).await.unwrap(), ["r"]);
    delete(two, &submitted.id).await.unwrap();
    let status = get(one, &submitted.id).await.unwrap_err();
    assert_eq!(reason(&status), "BATCH_UNKNOWN");
    assert_eq!(list(one).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn each_replica_works_on_the_batches_of_the_other() {
    let redis = RedisServer::start().await;
    works_on_the_batches_of_the_other(&redis.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn batches_are_shared_in_a_cluster() {
    let cluster = RedisCluster::of(&["0 5460", "5461 10922", "10923 16383"], None).await;
    works_on_the_batches_of_the_other(&cluster.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_user_who_may_do_no_more_than_the_manual_says_can_share_batches() {
    let redis = RedisServer::start().await;
    let manual = include_str!("../../docs/operations.md");
    let mut lines = manual.lines();
    let acl = lines.find_map(|it| it.strip_prefix("ACL SETUSER claude-grpc on >… "));
    let mut command = vec!["acl", "setuser", "claude-grpc", "on", ">hunter2"];
    command.extend(acl.unwrap().split(' '));
    assert_eq!(redis.ask(&command).trim(), "OK");
    let port = redis.port();
    works_on_the_batches_of_the_other(&format!("redis://claude-grpc:hunter2@127.0.0.1:{port}"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_batch_of_one_replica_is_canceled_at_the_other() {
    let redis = RedisServer::start().await;
    let replicas = Replicas::start(&redis.url(), "", LATE).await;
    let clients = &mut replicas.client("c", ClientLimits::default()).await;
    let submitted = submit(&mut clients[0], "r").await.unwrap();
    let canceled = cancel(&mut clients[1], &submitted.id).await.unwrap();
    assert_ne!(canceled.state(), BatchState::InProgress);
    let ended = ended(&mut clients[0], &submitted.id).await;
    assert_eq!(ended.counts.unwrap().canceled, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_request_id_at_both_replicas_at_once_is_one_batch() {
    let redis = RedisServer::start().await;
    let replicas = Replicas::start(&redis.url(), "", SOON).await;
    let clients = &replicas.client("c", ClientLimits::default()).await;
    let submissions = (0..40).map(|number| async move {
        let request_id = format!("r-{}", number / 4);
        let submitted = submit(&mut clients[number % 2].clone(), &request_id).await;
        submitted.unwrap().id
    });
    let ids: BTreeSet<String> = join_all(submissions).await.into_iter().collect();
    assert_eq!(ids.len(), 10);
    assert_eq!(replicas.world.created().await, 10);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn the_maximum_of_a_tenant_holds_across_replicas() {
    let redis = RedisServer::start().await;
    let replicas = Replicas::start(&redis.url(), "max_per_tenant = 3", SOON).await;
    let clients = &replicas.client("c", ClientLimits::default()).await;
    let submissions = (0..12).map(|number| async move {
        let submitted = submit(&mut clients[number % 2].clone(), &format!("r-{number}")).await;
        submitted.map_err(|status| reason(&status))
    });
    let submitted = join_all(submissions).await;
    let accepted = submitted.iter().filter(|it| it.is_ok()).count();
    assert_eq!(accepted, 3, "{submitted:?}");
    let refused: BTreeSet<&String> = submitted
        .iter()
        .filter_map(|it| it.as_ref().err())
        .collect();
    assert_eq!(refused, BTreeSet::from([&"TOO_MANY_BATCHES".to_owned()]));
    assert_eq!(replicas.world.created().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_reservation_of_one_replica_is_settled_by_the_other() {
    let redis = RedisServer::start().await;
    let mut replicas = Replicas::start(&redis.url(), "", SOON).await;
    let clients = &mut replicas.client("c", budget_for_one()).await;
    let first = submit(&mut clients[0], "first").await.unwrap();
    let status = submit(&mut clients[1], "second").await.unwrap_err();
    assert_eq!(reason(&status), "CLIENT_LIMIT_REACHED");
    // Refused or not, the same request id is the same batch.
    let again = submit(&mut clients[1], "first").await.unwrap();
    assert_eq!(again.id, first.id);
    replicas.processes.remove(0);

    let two = &mut clients[1];
    let began = Instant::now();
    while let Err(status) = submit(two, "second").await {
        assert_eq!(reason(&status), "CLIENT_LIMIT_REACHED");
        assert!(began.elapsed() < PATIENCE, "never settled");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(replicas.world.created().await, 2);
}

/// A replica is killed in the middle of a submission, which meets this behaviour of the
/// API; the other finishes it.
async fn killed(behaviour: Behaviour) {
    let redis = RedisServer::start().await;
    let mut replicas = Replicas::start(&redis.url(), "", SOON).await;
    let clients = &mut replicas.client("c", ClientLimits::default()).await;
    let simulator = replicas.world.simulator.clone();
    let before = simulator.counts().requests;
    simulator.next([behaviour]);
    let mut one = clients[0].clone();
    let submission = tokio::spawn(async move { submit_once(&mut one, "r").await });
    simulator
        .until(|counts| counts.requests == before + 1)
        .await;
    let two = &mut clients[1];
    let listed = list(two).await.unwrap();
    assert_eq!(listed[0].state(), BatchState::Submitting);

    let began = Instant::now();
    replicas.processes.remove(0);
    submission.await.unwrap().unwrap_err();
    ended(two, &listed[0].id).await;
    println!("finished {:?} after the kill", began.elapsed());
    assert_eq!(results(two, &listed[0].id).await.unwrap(), ["r"]);
    assert_eq!(submit(two, "r").await.unwrap().id, listed[0].id);
    assert_eq!(replicas.world.created().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_submission_that_has_arrived_is_found_after_its_replica_is_killed() {
    killed(Behaviour::HangAfter { events: 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_submission_that_has_not_arrived_is_sent_after_its_replica_is_killed() {
    killed(Behaviour::Hang).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn nothing_is_lost_or_sent_twice_while_replicas_are_killed_one_after_another() {
    let redis = RedisServer::start().await;
    let mut replicas = Replicas::start(&redis.url(), "", SOON).await;
    let key = replicas.world.client("c", ClientLimits::default());
    replicas.with_key(&key).await;
    let mut request_ids = Vec::new();
    for round in 0..6 {
        let client = connect(&replicas.processes[0], &key);
        let submissions = (0..20).map(|number| {
            let (mut client, request_id) = (client.clone(), format!("{round}-{number}"));
            request_ids.push(request_id.clone());
            tokio::spawn(async move { submit_once(&mut client, &request_id).await.is_ok() })
        });
        let submissions: Vec<_> = submissions.collect();
        sleep(Duration::from_millis(20 + 15 * round)).await;
        replicas.processes.remove(0);
        join_all(submissions).await;
        replicas.add().await;
    }
    let ids = finished(&request_ids, &replicas.with_key(&key).await).await;
    assert_eq!(ids.len(), request_ids.len());
    assert_eq!(replicas.world.created().await, request_ids.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn nothing_is_lost_or_sent_twice_while_redis_is_killed() {
    let kept = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut redis = RedisServer::start_with(&kept).await;
    let replicas = Replicas::start(&redis.url(), "", SOON).await;
    let clients = &replicas.client("c", ClientLimits::default()).await;
    let mut request_ids = Vec::new();
    let mut refused = 0;
    for round in 0..6 {
        let submissions = (0..20).map(|number| {
            let request_id = format!("{round}-{number}");
            request_ids.push(request_id.clone());
            let mut client = clients[number % 2].clone();
            tokio::spawn(async move { submit_once(&mut client, &request_id).await.map(drop) })
        });
        let submissions: Vec<_> = submissions.collect();
        sleep(Duration::from_millis(10 + 15 * round)).await;
        redis.stop();
        for outcome in join_all(submissions).await {
            let Err(status) = outcome.unwrap() else {
                continue;
            };
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            refused += 1;
        }
        redis.run().await;
        for client in clients {
            list(&mut client.clone()).await.unwrap();
        }
    }
    let ids = finished(&request_ids, clients).await;
    assert_eq!(ids.len(), request_ids.len());
    assert_eq!(replicas.world.created().await, request_ids.len());
    println!("{refused} of {} were refused", request_ids.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_replica_that_was_suspended_in_a_submission_changes_nothing() {
    let redis = RedisServer::start().await;
    let replicas = Replicas::start(&redis.url(), "", SOON).await;
    let clients = &mut replicas.client("c", ClientLimits::default()).await;
    let simulator = replicas.world.simulator.clone();
    let before = simulator.counts().requests;
    simulator.next([Behaviour::Hang]);
    let mut one = clients[0].clone();
    let submission = tokio::spawn(async move { submit_once(&mut one, "r").await });
    simulator
        .until(|counts| counts.requests == before + 1)
        .await;
    replicas.processes[0].signal("STOP");
    let two = &mut clients[1];
    let id = list(two).await.unwrap()[0].id.clone();
    let finished = ended(two, &id).await;
    replicas.processes[0].signal("CONT");
    // Its caller is told that it is not known whether it has arrived.
    let told = submission.await.unwrap().unwrap();
    assert_eq!(told.id, id);
    assert_eq!(get(&mut clients[0], &id).await.unwrap(), finished);
    assert_eq!(replicas.world.created().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn two_replicas_ask_for_a_batch_not_more_often_than_one() {
    const INTERVAL: Duration = Duration::from_millis(400);
    let redis = RedisServer::start().await;
    let mut replicas = Replicas::start(&redis.url(), "", LATE).await;
    replicas.processes.clear();
    replicas.world.toml = replicas.world.toml.replace("'100ms'", "'400ms'");
    for _ in 0..2 {
        replicas.add().await;
    }
    let clients = &mut replicas.client("c", ClientLimits::default()).await;
    submit(&mut clients[0], "r").await.unwrap();
    let simulator = &replicas.world.simulator;
    let polls = || {
        let requests = simulator.requests();
        let polls = requests.iter().filter(|it| {
            it.method == "GET" && it.path.starts_with("/v1/messages/batches/msgbatch")
        });
        u32::try_from(polls.count()).unwrap()
    };
    let (began, before) = (Instant::now(), polls());
    while polls() < before + 20 {
        assert!(began.elapsed() < PATIENCE, "{}", polls());
        sleep(Duration::from_millis(10)).await;
    }
    let least = INTERVAL * 18;
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    println!("20 polls at {INTERVAL:?} took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn without_redis_calls_fail_at_once_and_nothing_is_lost() {
    let kept = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut redis = RedisServer::start_with(&kept).await;
    let replicas = Replicas::start(&redis.url(), "", SOON).await;
    let clients = &mut replicas.client("c", ClientLimits::default()).await;
    let submitted = submit(&mut clients[0], "r").await.unwrap();
    redis.stop();
    for client in &mut *clients {
        // Finds out.
        let listed = v1::ListBatchesRequest::default;
        let _ = client.list_batches(listed()).await;
        let began = Instant::now();
        let id = || submitted.id.clone();
        let refused = [
            submit_once(client, "s").await.unwrap_err(),
            client.list_batches(listed()).await.unwrap_err(),
            client
                .get_batch(v1::GetBatchRequest { id: id() })
                .await
                .unwrap_err(),
            client
                .cancel_batch(v1::CancelBatchRequest { id: id() })
                .await
                .unwrap_err(),
            client
                .delete_batch(v1::DeleteBatchRequest { id: id() })
                .await
                .unwrap_err(),
        ];
        let took = began.elapsed();
        assert!(took < Duration::from_millis(500), "waited for {took:?}");
        for status in refused {
            assert_eq!(reason(&status), "BATCH_STATE_UNAVAILABLE");
            assert_eq!(status.code(), Code::Unavailable);
            assert!(status.message().contains("Redis"), "{status:?}");
        }
    }
    redis.run().await;
    ended(&mut clients[1], &submitted.id).await;
    assert_eq!(
        results(&mut clients[1], &submitted.id).await.unwrap(),
        ["r"]
    );
    let again = submit(&mut clients[1], "r").await.unwrap();
    assert_eq!(again.id, submitted.id);
    assert_eq!(replicas.world.created().await, 1, "a refused one was sent");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn nothing_in_redis_is_plain_and_nothing_stays() {
    // Its log has each command that it was ever sent.
    let redis = RedisServer::start_with(&["--appendonly", "yes"]).await;
    let replicas = Replicas::start(&redis.url(), "", SOON).await;
    let key = replicas.world.client_of(NewClient {
        name: "c".to_owned(),
        tenant: Some("the-tenant-of-a-secret".to_owned()),
        ..NewClient::default()
    });
    let clients = &mut replicas.with_key(&key).await;
    let mut request = batch("the-id-of-a-secret");
    if let Some(v1::batch_item::Request::Generate(generate)) = &mut request.items[0].request {
        generate.messages[0].text = "the-prompt-of-a-secret ".repeat(50_000);
    }
    let submitted = clients[0].submit_batch(request).await.unwrap().into_inner();
    let id = submitted.batch.unwrap().id;
    ended(&mut clients[1], &id).await;
    assert_eq!(
        results(&mut clients[1], &id).await.unwrap(),
        ["the-id-of-a-secret"]
    );

    let keys = redis.ask(&["--scan", "--pattern", "claude-grpc:*"]);
    let of_batches: Vec<&str> = keys.lines().filter(|it| it.contains("batch")).collect();
    assert!(of_batches.len() >= 4, "{keys}");
    for key in of_batches {
        let seconds: i64 = redis.ask(&["ttl", key]).trim().parse().unwrap();
        assert!((-2..=31 * 24 * 3600).contains(&seconds), "{key}: {seconds}");
        assert_ne!(seconds, -1, "{key} stays for ever");
    }
    let folder = redis.ask(&["config", "get", "dir"]);
    let folder = folder.lines().nth(1).unwrap();
    let mut written = Vec::new();
    for file in fs::read_dir(format!("{folder}/appendonlydir")).unwrap() {
        written.extend(fs::read(file.unwrap().path()).unwrap());
    }
    let contains = |text: &str| written.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(
        contains(&id) && written.len() > 1_000_000,
        "nothing was written"
    );
    assert!(!contains("of-a-secret") && !contains("msgbatch_sim"));

    delete(&mut clients[0], &id).await.unwrap();
    let left = redis.ask(&["--scan", "--pattern", &format!("*{id}*")]);
    let is_mark = |key: &str| key.contains("batch-round") || key.contains("batch-turn:");
    assert!(left.lines().all(is_mark), "{left}");
}
