//! Redis as it is run: with TLS, users, databases, sentinels and clusters.

use crate::{
    certificates::{self, Ca},
    harness::{Running, Setup, limit_of, limited, prompt},
    redis_group::{RedisCluster, RedisSentinels},
    redis_server::{RedisServer, free_port},
};
use claude_grpc::{
    access::limits::{RedisConfig, StoreAddress, StoreFailureMode},
    secrets::write_private,
};
use secrecy::SecretString;
use std::{path::Path, time::Duration};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

const PATIENCE: Duration = Duration::from_secs(30);

/// What docs/operations.md says that the user needs.
const ACL: &[&str] = &[
    "acl",
    "setuser",
    "app",
    "on",
    ">hunter2",
    "resetkeys",
    "~claude-grpc:*",
    "resetchannels",
    "-@all",
    "+eval",
    "+evalsha",
    "+time",
    "+hset",
    "+hget",
    "+hmget",
    "+hgetall",
    "+hdel",
    "+expire",
    "+zadd",
    "+zcard",
    "+zrem",
    "+zrangebyscore",
    "+zremrangebyscore",
    "+set",
    "+get",
    "+ttl",
    "+select",
];

/// Two replicas that share limits in the Redis at a URL, and reject calls that
/// they cannot count there.
async fn share(url: &str, redis: &RedisConfig) -> ([Running; 2], String) {
    share_with(url, redis, [StoreFailureMode::FailClosed; 2]).await
}

async fn share_with(
    url: &str,
    redis: &RedisConfig,
    modes: [StoreFailureMode; 2],
) -> ([Running; 2], String) {
    let (first, key) = limited("requests_per_minute = 2");
    let second = Setup::of(first.clients.clients.clone());
    let start = async |mut setup: Setup, mode| {
        setup.limits.store = StoreAddress::Redis(SecretString::from(url));
        setup.limits.redis = redis.clone();
        setup.limits.store_failure_mode = mode;
        setup.start().await
    };
    let servers = [start(first, modes[0]).await, start(second, modes[1]).await];
    (servers, key)
}

async fn generate(server: &Running, key: &str) -> Result<(), Status> {
    let mut client = server.client(key).await;
    client.generate(prompt()).await.map(|_| ())
}

/// What one replica counts, the other has not: together they admit two calls.
async fn assert_shared(url: &str, redis: &RedisConfig) {
    let (servers, key) = share(url, redis).await;
    let mut admitted = 0;
    for server in &servers {
        let used_up = async {
            loop {
                match generate(server, &key).await {
                    Ok(()) => admitted += 1,
                    // Too late, on a busy machine; it may have been counted.
                    Err(status) if status.code() == Code::Unavailable => {}
                    Err(status) => return status,
                }
            }
        };
        let refused = timeout(PATIENCE, used_up).await.unwrap();
        assert_eq!(limit_of(&refused).0, "requests_per_minute");
    }
    assert!((1..=2).contains(&admitted), "{admitted}");
}

/// Waits until a call at a server succeeds or is refused for its limit.
async fn until_shared(server: &Running, key: &str) {
    let shared = async {
        while generate(server, key)
            .await
            .is_err_and(|it| it.code() == Code::Unavailable)
        {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, shared).await.unwrap();
}

/// A Redis with TLS only, and its certificate and CA in the folder.
pub async fn with_tls(dir: &Path, ca: &Ca, more: &[&str]) -> RedisServer {
    certificates::write(dir, &ca.server(), Some(ca));
    let redis = RedisServer::stopped(free_port(), more);
    let mut redis = redis.with_tls(dir);
    redis.run().await;
    redis
}

fn trusting(dir: &Path) -> RedisConfig {
    RedisConfig {
        ca_file: Some(dir.join("ca.crt")),
        ..RedisConfig::default()
    }
}

pub fn tls_url(redis: &RedisServer) -> String {
    format!("rediss://127.0.0.1:{}", redis.port())
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn limits_are_shared_over_tls_with_a_private_ca() {
    let (dir, ca) = (tempfile::tempdir().unwrap(), Ca::new());
    let redis = with_tls(dir.path(), &ca, &[]).await;
    assert_shared(&tls_url(&redis), &trusting(dir.path())).await;
    // Sentinels and clusters name addresses, which the certificate has too.
    let sentinels = RedisSentinels::start(Some(dir.path())).await;
    assert_shared(&sentinels.url(), &trusting(dir.path())).await;
    let cluster = RedisCluster::start(Some(dir.path())).await;
    assert_shared(&cluster.url(), &trusting(dir.path())).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_client_certificate_is_presented_to_redis() {
    let (dir, ca) = (tempfile::tempdir().unwrap(), Ca::new());
    let redis = with_tls(dir.path(), &ca, &["--tls-auth-clients", "yes"]).await;
    let mut config = trusting(dir.path());
    let ([without, _], key) = share(&tls_url(&redis), &config).await;
    let refused = generate(&without, &key).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let own = tempfile::tempdir().unwrap();
    certificates::write(
        own.path(),
        &ca.caller("spiffe://example.org/claude-grpc"),
        None,
    );
    config.cert_file = Some(own.path().join("tls.crt"));
    config.key_file = Some(own.path().join("tls.key"));
    assert_shared(&tls_url(&redis), &config).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_new_ca_is_used_without_a_restart() {
    let (dir, ca) = (tempfile::tempdir().unwrap(), Ca::new());
    let mut redis = with_tls(dir.path(), &ca, &[]).await;
    let trusted = tempfile::tempdir().unwrap();
    let file = trusted.path().join("ca.crt");
    certificates::replace(&file, ca.pem().as_bytes());
    let config = trusting(trusted.path());
    let modes = [StoreFailureMode::FailClosed, StoreFailureMode::FailOpen];
    let ([one, open], key) = share_with(&tls_url(&redis), &config, modes).await;
    until_shared(&one, &key).await;

    // Redis restarts with a certificate of another CA, which is not trusted yet.
    let next = Ca::new();
    certificates::write(dir.path(), &next.server(), Some(&next));
    redis.stop();
    redis.run().await;
    let refused = generate(&one, &key).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(one.access.usage_store().health().is_down());
    generate(&open, &key).await.unwrap();
    assert!(open.access.usage_store().health().is_down());

    certificates::replace(&file, next.pem().as_bytes());
    until_shared(&one, &key).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn the_documented_acl_is_enough_and_a_new_password_needs_no_restart() {
    let redis = RedisServer::start().await;
    assert_eq!(redis.ask(ACL).trim(), "OK");
    redis.ask(&["config", "set", "requirepass", "of-the-default-user"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    write_private(&file, b"hunter2\n").unwrap();
    let url = format!("redis://app@127.0.0.1:{}/7", redis.port());
    let config = RedisConfig {
        password_file: Some(file.clone()),
        ..RedisConfig::default()
    };
    assert_shared(&url, &config).await;

    let ([one, _two], key) = share(&url, &config).await;
    until_shared(&one, &key).await;
    let as_default = |words: &[&str]| {
        let login = ["-a", "of-the-default-user", "--no-auth-warning"];
        redis.ask(&[&login, words].concat())
    };
    as_default(&["acl", "setuser", "app", ">next", "<hunter2"]);
    as_default(&["client", "kill", "user", "app"]);
    let refused = generate(&one, &key).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    write_private(&file, b"next").unwrap();
    until_shared(&one, &key).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn each_command_of_the_documented_acl_is_needed() {
    let redis = RedisServer::start().await;
    let url = format!("redis://app:hunter2@127.0.0.1:{}/1", redis.port());
    for command in ACL.iter().filter(|it| it.starts_with('+')) {
        redis.ask(ACL);
        let without = format!("-{}", &command[1..]);
        redis.ask(&["acl", "setuser", "app", &without]);
        let ([one, _two], key) = share(&url, &RedisConfig::default()).await;
        let refused = generate(&one, &key).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{command}: {refused:?}");
        assert!(one.access.usage_store().health().is_down(), "{command}");
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn limits_are_shared_in_a_master_that_sentinels_name() {
    let group = RedisSentinels::start(None).await;
    assert_shared(&group.url(), &RedisConfig::default()).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn limits_are_shared_in_a_cluster_on_all_of_its_nodes() {
    let cluster = RedisCluster::start(None).await;
    // As a user of the documented ACL; a cluster forwards no such command.
    for node in &cluster.nodes {
        assert_eq!(node.ask(ACL).trim(), "OK");
        let more = ["+cluster|slots", "+ping"];
        node.ask(&[&["acl", "setuser", "app"], &more[..]].concat());
    }
    let url = cluster.url().replace("://", "://app:hunter2@");
    assert_shared(&url, &RedisConfig::default()).await;
    // Nonces, which have no hash tag, and clients spread over the nodes.
    let nodes = |key: fn(u32) -> String| {
        let mut nodes: Vec<_> = (0..40).map(|it| cluster.master_of(&key(it))).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes.len()
    };
    assert_eq!(nodes(|it| format!("claude-grpc:{{client-{it}}}:usage")), 3);
    assert_eq!(nodes(|it| format!("claude-grpc:nonce:k:{it}")), 3);
    // One node is enough to find the others.
    let one = format!(
        "redis+cluster://app:hunter2@127.0.0.1:{}",
        cluster.nodes[4].port()
    );
    let ([server, _], key) = share(&one, &RedisConfig::default()).await;
    until_shared(&server, &key).await;
}
