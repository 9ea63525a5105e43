//! What belongs to a tenant at one replica belongs to it at each, and to nobody else.

use crate::{
    file_world::{
        FILENAME, FileWorld, Replica, TENANTS, assert_reason, dump, naming, running, until,
    },
    redis_group::RedisCluster,
    redis_server::RedisServer,
};
use claude_grpc::proto::v1;
use std::process::{Command, Stdio};
use tonic::Code;

/// A tenant uploads and runs code at one replica, and goes on at the other one. Returns the
/// ids.
async fn goes_on_at_the_other_replica(world: &FileWorld) -> Vec<String> {
    let (mut here, mut there) = (world.replica(&[]), world.replica(&[]));
    let file = here.one.upload(20).await.unwrap();
    assert_eq!(there.one.get(&file.id).await.unwrap(), file);
    assert_eq!(there.one.list().await, [file.id.as_str()]);
    there.one.name(&file.id).await.unwrap();

    let whole = here.one.run("").await.unwrap();
    let again = there.one.run(&whole).await.unwrap();
    assert_eq!(again, whole);
    let streamed = streamed_container(&mut here, &mut there).await;
    assert_ne!(streamed, whole);

    let before = world.requests();
    for replica in [&mut here, &mut there] {
        assert_eq!(replica.two.list().await, [""; 0]);
        let status = replica.two.get(&file.id).await.unwrap_err();
        assert_reason(&status, "FILE_UNKNOWN");
        let status = replica.two.delete(&file.id).await.unwrap_err();
        assert_reason(&status, "FILE_UNKNOWN");
        let status = replica.two.name(&file.id).await.unwrap_err();
        assert_reason(&status, "FILE_UNKNOWN");
        for container in [&whole, &streamed] {
            let status = replica.two.run(container).await.unwrap_err();
            assert_reason(&status, "CONTAINER_UNKNOWN");
        }
    }
    assert_eq!(world.requests(), before, "the API was asked");

    let second = there.one.upload(20).await.unwrap();
    let mut listed = here.one.list().await;
    listed.sort();
    let mut both = vec![file.id.clone(), second.id.clone()];
    both.sort();
    assert_eq!(listed, both);
    // One request can name files of both: they are with the same key.
    let request = naming(&[&file.id, &second.id]);
    here.one.generate(request).await.unwrap();

    there.one.delete(&file.id).await.unwrap();
    assert_eq!(here.one.list().await, [second.id.as_str()]);
    // This replica knows it still, and the API says that it is gone.
    let status = here.one.get(&file.id).await.unwrap_err();
    assert_reason(&status, "FILE_UNKNOWN");
    let before = world.requests();
    let status = here.one.get(&file.id).await.unwrap_err();
    assert_reason(&status, "FILE_UNKNOWN");
    assert_eq!(world.requests(), before, "the API was asked");
    vec![file.id, second.id, whole, streamed]
}

/// Runs code in a stream at one replica, and in the same container at the other one as soon
/// as an event names it.
async fn streamed_container(here: &mut Replica, there: &mut Replica) -> String {
    let streamed = v1::GenerateStreamRequest {
        request: Some(running("")),
    };
    let stream = here.one.claude.generate_stream(streamed).await.unwrap();
    let mut stream = stream.into_inner();
    let mut used = None;
    while let Some(event) = stream.message().await.unwrap() {
        let text = format!("{event:?}");
        let Some((_, rest)) = text.split_once("container_sim_") else {
            continue;
        };
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let container = format!("container_sim_{number}");
        assert_eq!(there.one.run(&container).await.unwrap(), container);
        used = Some(container);
    }
    used.expect("a container")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn what_is_made_at_one_replica_is_the_tenants_at_each_and_redis_has_nothing_plain() {
    let redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let ids = goes_on_at_the_other_replica(&world).await;
    let dump = dump(&redis);
    // There is something, encrypted.
    assert!(dump.contains("gAAAA") && dump.contains(":owned"), "{dump}");
    let names = [FILENAME, "text/plain", "sk-of-all-replicas"];
    let ids = ids.iter().map(String::as_str);
    for plain in TENANTS.into_iter().chain(names).chain(ids) {
        assert!(!dump.contains(plain), "{plain}: {dump}");
    }
    // Nothing stays for ever.
    for key in redis.ask(&["keys", "claude-grpc:files:*"]).lines() {
        let left: i64 = redis.ask(&["ttl", key]).trim().parse().unwrap();
        assert!((1..=100 * 86_400).contains(&left), "{key}: {left}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn what_is_made_at_one_replica_is_the_tenants_at_each_with_a_cluster() {
    let slots = ["0 5460", "5461 10922", "10923 16383"];
    let cluster = RedisCluster::of(&slots, None).await;
    let world = FileWorld::start(&cluster.url()).await;
    goes_on_at_the_other_replica(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn the_files_of_a_replica_that_was_killed_are_there() {
    let redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let (mut here, mut there) = (world.replica(&[]), world.replica(&[]));
    let file = here.one.upload(20).await.unwrap();
    let container = here.one.run("").await.unwrap();
    drop(here);
    assert_eq!(there.one.list().await, [file.id.as_str()]);
    there.one.name(&file.id).await.unwrap();
    assert_eq!(there.one.run(&container).await.unwrap(), container);
    there.one.delete(&file.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn without_redis_what_a_replica_knows_goes_on_and_nobody_guesses() {
    let persistent = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut redis = RedisServer::start_with(&persistent).await;
    let world = FileWorld::start(&redis.url()).await;
    let (mut here, mut there) = (world.replica(&[]), world.replica(&[]));
    let file = here.one.upload(20).await.unwrap();
    redis.stop();

    here.one.name(&file.id).await.unwrap();
    here.one.get(&file.id).await.unwrap();
    let made = here.one.run("").await.unwrap();
    assert_eq!(here.one.run(&made).await.unwrap(), made);
    let before = world.requests();
    let (mut one, mut two) = (there.one.impatient(), here.two.impatient());
    let unavailable = [
        one.name(&file.id).await.unwrap_err(),
        one.get(&file.id).await.unwrap_err(),
        one.run(&made).await.unwrap_err(),
        one.upload(20).await.unwrap_err(),
        // What another tenant owns is no more known than anything else.
        two.name(&file.id).await.unwrap_err(),
        two.run(&made).await.unwrap_err(),
    ];
    for status in unavailable {
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert_reason(&status, "FILE_STATE_UNAVAILABLE");
    }
    assert_eq!(world.requests(), before, "the API was asked");
    let plain = crate::harness::prompt();
    there.one.claude.generate(plain).await.unwrap();

    redis.run().await;
    // The note is written when Redis is back.
    until(async || there.one.run(&made).await.is_ok()).await;
    there.one.name(&file.id).await.unwrap();
    for replica in [&mut here, &mut there] {
        let status = replica.two.run(&made).await.unwrap_err();
        assert_reason(&status, "CONTAINER_UNKNOWN");
        let status = replica.two.name(&file.id).await.unwrap_err();
        assert_reason(&status, "FILE_UNKNOWN");
    }
    there.one.upload(20).await.unwrap();
}

/// Who can write to Redis cannot give a tenant what is another one's.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_value_that_is_moved_to_another_tenant_is_not_its_own() {
    let redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let mut replica = world.replica(&[]);
    let file = replica.one.upload(20).await.unwrap();
    let owned = redis.ask(&["keys", "claude-grpc:files:*:owned"]);
    let value = redis.ask(&["hgetall", owned.trim()]);
    let (hash, value) = value.trim().split_once('\n').unwrap();
    let other = replica.two.upload(20).await.unwrap();
    let both = redis.ask(&["keys", "claude-grpc:files:*:owned"]);
    let of_other = both.lines().find(|key| *key != owned.trim()).unwrap();
    redis.ask(&["hset", of_other, hash, value]);
    let mut fresh = world.replica(&[]);
    let status = fresh.two.name(&file.id).await.unwrap_err();
    assert_reason(&status, "FILE_UNKNOWN");
    fresh.two.name(&other.id).await.unwrap();
    fresh.one.name(&file.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn without_access_control_there_is_one_tenant_and_redis_is_not_missed() {
    let mut redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let (mut here, mut there) = (world.open_replica(), world.open_replica());
    let file = here.one.upload(20).await.unwrap();
    assert_eq!(there.two.list().await, [file.id.as_str()]);
    redis.stop();
    // Nobody else can own it.
    there.two.name(&file.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn requests_without_ids_do_not_ask_redis_and_those_with_many_ask_once() {
    let redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let (mut here, mut there) = (world.replica(&[]), world.replica(&[]));
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(here.one.upload(20).await.unwrap().id);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor");
    let mut monitor = Command::new("redis-cli")
        .args(["-p", &redis.port().to_string(), "monitor"])
        .stdout(std::fs::File::create(&path).unwrap())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let said = || std::fs::read_to_string(&path).unwrap();
    until(async || said().contains("OK")).await;
    for _ in 0..20 {
        let plain = crate::harness::prompt();
        there.one.claude.generate(plain.clone()).await.unwrap();
        let request = Some(plain);
        let streamed = v1::GenerateStreamRequest { request };
        let stream = there.two.claude.generate_stream(streamed).await.unwrap();
        let mut stream = stream.into_inner();
        while stream.message().await.unwrap().is_some() {}
    }
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    for _ in 0..5 {
        there.one.generate(naming(&ids)).await.unwrap();
    }
    redis.ask(&["ping"]);
    until(async || said().to_lowercase().contains("\"ping\"")).await;
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    let said = said();
    // The worker looks for files that have ended, next to the calls.
    let asked = said.lines().filter(|line| !line.contains(":ends"));
    let asked: Vec<_> = asked
        .filter(|line| line.contains("claude-grpc:files:"))
        .collect();
    let are_reads = asked.iter().all(|line| line.contains("HMGET"));
    // Once; twice, if Redis answered too late on a busy machine.
    assert!(are_reads && (1..=2).contains(&asked.len()), "{asked:?}");
}
