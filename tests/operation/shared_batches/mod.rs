//! Batches in the Redis of several replicas: each works on the batches of all.

mod interruptions;
mod replicas;

use crate::{
    batches::{PATIENCE, batch, budget_for_one, reason},
    redis_group::RedisCluster,
    redis_server::RedisServer,
};
use claude_grpc::{
    access::{ClientLimits, NewClient},
    proto::v1::{self, BatchState},
};
use futures::future::join_all;
use replicas::{LATE, Replicas, SOON, cancel, delete, ended, get, list, results, submit};
use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};
use tokio::time::sleep;

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
    let manual = include_str!("../../../docs/operations.md");
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
