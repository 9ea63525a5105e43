//! The limits of a tenant's files hold across replicas, which share the work of deleting
//! what has ended.

use crate::{
    file_world::{FileWorld, TENANTS, assert_reason, dump, until},
    redis_server::RedisServer,
};
use bytes::Bytes;
use claude_grpc::{
    access::Clock,
    call::Deadline,
    files::{FileError, Files, FilesConfig, NewFile, Ownership},
    store::{RedisConfig, Store, StoreAddress, StoreFailureMode},
    upstream::{CallOptions, Key, Keys, Upstream, UpstreamConfig},
};
use futures::future::join_all;
use secrecy::SecretString;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

const DAY: u64 = 24 * 60 * 60;

/// The files of a replica in this process, whose clock is ahead.
struct Inside {
    files: Files,
    ahead: Arc<AtomicU64>,
    work: JoinHandle<()>,
}

impl Inside {
    fn of(world: &FileWorld, redis: &RedisServer, max_per_tenant: usize) -> Inside {
        let config = FilesConfig {
            shared: true,
            key_file: Some(world.key_file()),
            max_per_tenant,
            ..FilesConfig::default()
        };
        let address = StoreAddress::Redis(SecretString::from(redis.url()));
        let mode = StoreFailureMode::default();
        let store = Store::open(&address, &RedisConfig::default(), mode).unwrap();
        let ahead = Arc::new(AtomicU64::new(0));
        let seconds = Arc::clone(&ahead);
        let clock = Clock::new(move || {
            SystemTime::now() + Duration::from_secs(seconds.load(Ordering::SeqCst))
        });
        let ownership = Ownership::open(&config, store.as_ref(), clock).unwrap();
        let upstream = UpstreamConfig {
            base_url: world.api.clone(),
            ..UpstreamConfig::default()
        };
        let key = Key::new("key-1", &SecretString::from("sk-of-all-replicas")).unwrap();
        let upstream = Upstream::new(&upstream, Keys::new([key])).unwrap();
        let files = Files::new(&config, &ownership.guarding(upstream), &ownership);
        Inside {
            files: files.unwrap().unwrap(),
            ahead,
            work: tokio::spawn(async move { match ownership.work().await {} }),
        }
    }

    fn options() -> CallOptions {
        CallOptions {
            tenant: Some(Arc::from(TENANTS[0])),
            ..CallOptions::new(Deadline::after(Duration::from_secs(60)))
        }
    }

    async fn upload(&self) -> Result<String, FileError> {
        loop {
            match self.upload_once().await {
                // On a busy machine, Redis may answer too late.
                Err(FileError::State(_)) => sleep(Duration::from_millis(100)).await,
                done => return done,
            }
        }
    }

    async fn upload_once(&self) -> Result<String, FileError> {
        let new = NewFile {
            filename: "a.txt".to_owned(),
            mime_type: String::new(),
            content: Bytes::from_static(b"x"),
            keep_for: Duration::from_secs(DAY),
        };
        let owned = self.files.upload(new, Inside::options()).await?;
        Ok(owned.id.clone())
    }

    async fn count(&self) -> usize {
        loop {
            if let Ok(files) = self.files.list(&Inside::options()).await {
                return files.len();
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.work.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn uploads_at_all_replicas_at_once_keep_within_the_limits() {
    let redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let limits = [
        ("CLAUDE_GRPC_FILES__MAX_PER_TENANT", "3"),
        ("CLAUDE_GRPC_FILES__MAX_BYTES_PER_TENANT", "1000"),
    ];
    let (mut here, mut there) = (world.replica(&limits), world.replica(&limits));
    let uploads = (0..20).map(|number| {
        let replica = if number % 2 == 0 { &here } else { &there };
        let mut caller = replica.one.clone();
        async move { caller.upload(100).await }
    });
    let (uploaded, refused): (Vec<_>, Vec<_>) =
        join_all(uploads).await.into_iter().partition(Result::is_ok);
    assert_eq!(uploaded.len(), 3);
    for status in refused {
        let status = status.unwrap_err();
        assert_reason(&status, "TOO_MANY_FILES");
        assert!(status.message().contains("max_per_tenant"), "{status:?}");
    }
    let requests = world.simulator.requests();
    let count = |method| requests.iter().filter(|it| it.method == method).count();
    assert_eq!(count("POST") - count("DELETE"), 3);
    // Each tenant has limits of its own.
    here.two.upload(100).await.unwrap();

    let listed = there.one.list().await;
    here.one.delete(&listed[0]).await.unwrap();
    let status = there.one.upload(801).await.unwrap_err();
    assert!(status.message().contains("max_bytes"), "{status:?}");
    there.one.upload(800).await.unwrap();
    assert_eq!(here.one.list().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn the_room_of_an_upload_is_held_by_its_replica_and_not_longer() {
    let redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let other = Inside::of(&world, &redis, 1);
    // An API that never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = format!("http://{}", silent.local_addr().unwrap());
    let limit = [("CLAUDE_GRPC_FILES__MAX_PER_TENANT", "1")];
    let replica = world.replica_of(&api, &limit);
    let mut caller = replica.one.clone();
    let upload = tokio::spawn(async move { caller.upload(1).await });
    until(async || dump(&redis).contains("room-")).await;
    drop(replica);
    assert!(upload.await.unwrap().is_err());
    let held = other.upload().await;
    assert!(matches!(held, Err(FileError::TooMany(1))), "{held:?}");
    other.ahead.store(2 * 60 * 60, Ordering::SeqCst);
    other.upload().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_upload_that_fails_gives_its_room_back() {
    let redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let limit = [("CLAUDE_GRPC_FILES__MAX_PER_TENANT", "1")];
    let mut nowhere = world.replica_of("http://127.0.0.1:1", &limit);
    nowhere.one.upload(1).await.unwrap_err();
    let mut other = world.replica(&limit);
    until(async || other.one.upload(1).await.is_ok()).await;
    let file = other.one.list().await.remove(0);
    assert_reason(&other.one.upload(1).await.unwrap_err(), "TOO_MANY_FILES");

    // Also if Redis does not answer meanwhile.
    other.one.delete(&file).await.unwrap();
    let mut caller = nowhere.one.clone();
    let failing = tokio::spawn(async move { caller.upload(1).await });
    until(async || dump(&redis).contains("room-")).await;
    redis.hang();
    failing.await.unwrap().unwrap_err();
    tokio::time::sleep(Duration::from_secs(1)).await;
    redis.wake();
    until(async || other.one.upload(1).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn of_what_a_tenant_makes_ever_more_the_first_to_end_is_forgotten() {
    let redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let mut replica = world.replica(&[]);
    let container = replica.one.run("").await.unwrap();
    let key = |what: &str| {
        let keys = redis.ask(&["keys", &format!("claude-grpc:files:*:{what}")]);
        keys.trim().to_owned()
    };
    let (owned, leaving, noted) = (key("owned"), key("leaving"), key("noted"));
    // As many as are kept, with the one above.
    let fill = "for i = 2, 10000 do
        redis.call('HSET', KEYS[1], i, 'x')
        redis.call('ZADD', KEYS[2], 9e9, i)
        redis.call('ZADD', KEYS[3], i, i)
    end";
    redis.ask(&["eval", fill, "3", &owned, &leaving, &noted]);
    let count = |command: &str, key: &str| redis.ask(&[command, key]).trim().to_owned();
    assert_eq!(count("zcard", &noted), "10000");
    let other = replica.one.run("").await.unwrap();
    assert_eq!(count("zcard", &noted), "10000");
    assert_eq!(count("zcard", &leaving), "10000");
    assert_eq!(count("hlen", &owned), "10000");
    assert_eq!(redis.ask(&["hget", &owned, "2"]).trim(), "");
    let mut fresh = world.replica(&[]);
    for kept in [container, other] {
        fresh.one.run(&kept).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_file_that_has_ended_is_deleted_once_and_by_any_replica() {
    let redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let (one, two) = (
        Inside::of(&world, &redis, 100),
        Inside::of(&world, &redis, 100),
    );
    for _ in 0..10 {
        one.upload().await.unwrap();
    }
    let sweep = async || tokio::join!(one.files.sweep(), two.files.sweep());
    sweep().await;
    assert_eq!((one.count().await, two.count().await), (10, 10));
    for replica in [&one, &two] {
        replica.ahead.store(DAY + 60, Ordering::SeqCst);
    }
    until(async || {
        sweep().await;
        one.count().await == 0 && two.count().await == 0
    })
    .await;
    sweep().await;
    let requests = world.simulator.requests().into_iter();
    let deletions = requests.filter(|it| it.method == "DELETE");
    let mut deleted: Vec<_> = deletions.map(|it| it.path).collect();
    deleted.sort();
    let all = deleted.len();
    deleted.dedup();
    assert_eq!((all, deleted.len()), (10, 10), "{deleted:?}");
    // Nothing of them is left.
    until(async || !dump(&redis).contains("gAAAA") && !dump(&redis).contains(":owner")).await;
}
