//! The scripts and the turns in a real Redis.

#[path = "../../../../tests/replicas/redis_server.rs"]
#[allow(dead_code)] // It is not stopped in the middle of these.
#[allow(clippy::duplicate_mod)] // Other unit tests have it as well.
mod redis_server;

use super::*;
use crate::{
    batches::kept::{BatchTurn, KeptBatches},
    store::{RedisConfig, StoreAddress, StoreFailureMode},
};
use bytes::Bytes;
use redis_server::RedisServer;
use secrecy::SecretString;
use tokio::time::timeout;

const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn store(redis: &RedisServer) -> Store {
    let address = StoreAddress::Redis(SecretString::from(redis.url()));
    let config = RedisConfig::default();
    Store::open(&address, &config, StoreFailureMode::default())
        .unwrap()
        .unwrap()
}

fn keyring() -> Keyring {
    Keyring::parse(KEY).unwrap()
}

fn replica(redis: &RedisServer) -> KeptBatches {
    KeptBatches::in_redis(store(redis), keyring(), DAY, DAY)
}

fn record(id: &str, request_id: &str) -> BatchRecord {
    BatchRecord {
        request_id: request_id.to_owned(),
        ..BatchRecord::new(id, "t", 1, 0)
    }
}

fn items(batch: &str) -> BatchItems {
    BatchItems {
        batch: batch.to_owned(),
        items: Vec::new(),
        label_sets: Vec::new(),
    }
}

/// A batch that is kept, in its turn.
async fn created(batches: &KeptBatches, id: &str, body: &Bytes) -> BatchTurn {
    let record = record(id, id);
    let turn = batches.begin(record.clone(), 10).await.unwrap();
    let created = turn.create(record, items(id), body.clone());
    created.await.unwrap();
    turn
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn what_one_replica_keeps_the_other_reads_in_turn() {
    let redis = RedisServer::start().await;
    let [one, two] = [replica(&redis), replica(&redis)];
    // Of several pieces.
    let body = Bytes::from(vec![b'x'; 1_000_000]);
    let turn = created(&one, "a", &body).await;
    assert_eq!(two.find("t", "a").await.unwrap(), turn.record());
    assert!(two.try_turn("t", "a").await.unwrap().is_none());
    let of_another = two.find("u", "a").await;
    assert!(matches!(of_another, Err(BatchError::Unknown)));
    turn.end().await;

    let turn = two.turn("t", "a").await.unwrap();
    assert_eq!(turn.body().await.unwrap(), body);
    let known = BatchRecord {
        upstream_id: Some("msgbatch".to_owned()),
        ..(*turn.record()).clone()
    };
    turn.replace(known.clone()).await.unwrap();
    assert!(!redis.ask(&["keys", "*"]).contains("batch-body"));
    assert_eq!(*one.find("t", "a").await.unwrap(), known);
    assert_eq!(one.items(&known).await.unwrap(), items("a"));
    turn.delete().await.unwrap();
    assert!(matches!(one.find("t", "a").await, Err(BatchError::Unknown)));
    assert_eq!(one.all().await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn one_that_has_lost_its_turn_learns_it_and_writes_nothing() {
    let redis = RedisServer::start().await;
    let [one, two] = [replica(&redis), replica(&redis)];
    let lost = created(&one, "a", &Bytes::new()).await;
    redis.ask(&["del", &BatchKeys::of("t").turn("a")]);
    let turn = two.try_turn("t", "a").await.unwrap().unwrap();
    let canceled = BatchRecord {
        is_cancel_wanted: true,
        ..(*turn.record()).clone()
    };
    let is_lost = |done: Result<(), BatchError>| {
        matches!(done, Err(BatchError::Shared(SharedStateError::TurnLost)))
    };
    assert!(is_lost(lost.replace(canceled.clone()).await));
    assert!(is_lost(lost.delete().await));
    turn.replace(canceled.clone()).await.unwrap();
    turn.end().await;
    // Also when nobody has the turn: the version is another.
    assert!(is_lost(lost.replace(record("a", "a")).await));
    assert_eq!(*two.find("t", "a").await.unwrap(), canceled);

    let _turn = two.turn("t", "a").await.unwrap();
    let learned = timeout(Duration::from_secs(10), lost.lost()).await;
    learned.unwrap();
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_turn_is_kept_while_it_is_extended() {
    let redis = RedisServer::start().await;
    let batches = replica(&redis);
    let turn = created(&batches, "a", &Bytes::new()).await;
    let lost = timeout(Duration::from_secs(22), turn.lost()).await;
    assert!(lost.is_err(), "lost");
    let other = batches.try_turn("t", "a").await.unwrap();
    assert!(other.is_none(), "taken by another");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn it_is_unclear_since_the_turn_in_which_it_was_sent_is_over() {
    let redis = RedisServer::start().await;
    let batches = replica(&redis);
    let sent = |sent| BatchRecord {
        sent,
        ..record("a", "a")
    };
    let turn = created(&batches, "a", &Bytes::new()).await;
    turn.replace(sent(Some(1))).await.unwrap();
    turn.end().await;
    sleep(Duration::from_millis(300)).await;
    let turn = batches.turn("t", "a").await.unwrap();
    assert!(turn.unclear_for() >= Duration::from_millis(300));
    // It is sent again.
    turn.replace(sent(None)).await.unwrap();
    turn.replace(sent(Some(1))).await.unwrap();
    // Its replica has died.
    redis.ask(&["del", &BatchKeys::of("t").turn("a")]);
    let of_other = replica(&redis).turn("t", "a").await.unwrap();
    assert!(of_other.unclear_for() < Duration::from_millis(300));
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_script_that_is_run_twice_does_what_it_does_once() {
    let redis = RedisServer::start().await;
    let state = SharedState::new(store(&redis), keyring(), DAY);
    let keys = BatchKeys::of("t");
    let (turn, index) = (keys.turn("a"), keys.index());
    let more = [index.clone(), keys.records(), keys.requests()];
    let mut add = state.add.on(&turn, &more.each_ref().map(String::as_str));
    add.arg("me").arg(1000).arg("a").arg("1 0 0").arg("first");
    add.arg("r").arg(1).arg(1000);
    let more = [index.clone(), keys.records(), keys.turn_ends()];
    let replace = |holder: &str, known: u64, record: &str| {
        let more = more.each_ref().map(String::as_str);
        let mut replace = state.replace.on(&turn, &more);
        let next = format!("{} 0 0", known + 1);
        replace.arg(holder).arg(1000).arg("a").arg(known).arg(next);
        replace.arg(record).arg(1000).arg(0);
        replace
    };
    for _ in 0..2 {
        let added: Vec<String> = state.ask(add.clone()).await.unwrap();
        assert_eq!(added, ["added"]);
    }
    let ask = async |command| state.ask::<String>(command).await.unwrap();
    for _ in 0..2 {
        assert_eq!(ask(replace("me", 1, "second")).await, "replaced");
        assert_eq!(redis.ask(&["hget", &index, "a"]).trim(), "2 0 0");
    }
    assert_eq!(ask(replace("you", 2, "third")).await, "lost");
    assert_eq!(ask(replace("me", 1, "third")).await, "lost");
    // Redis loses the last write, which only the holder of the turn knows.
    redis.ask(&["hset", &index, "a", "1 0 0"]);
    assert_eq!(ask(replace("me", 2, "third")).await, "replaced");
    assert_eq!(redis.ask(&["hget", &index, "a"]).trim(), "3 0 0");

    let more = [&more[..2], &[keys.requests(), keys.turn_ends()]].concat();
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let mut delete = state.delete.on(&turn, &more);
    delete.arg("me").arg("a").arg(keys.request("r"));
    for _ in 0..2 {
        assert_eq!(ask(delete.clone()).await, "deleted");
    }
    assert_eq!(ask(replace("me", 3, "third")).await, "unknown");
}
