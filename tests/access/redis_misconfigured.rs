//! What is said of a Redis that is configured wrongly: once, what to change, and
//! without its password; and it is never up.

use crate::{
    certificates::Ca,
    harness::prompt,
    process::Process,
    redis_connection::{tls_url, with_tls},
    redis_group::{RedisCluster, RedisSentinels},
    redis_server::{RedisServer, free_port},
};
use claude_grpc::{
    proto::v1::claude_service_client::ClaudeServiceClient,
    simulator::{Simulator, SimulatorConfig, SimulatorLimitsConfig},
};
use std::{
    fs,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(30);

/// A service whose Redis does not serve, and its log.
struct Watched {
    _process: Process,
    address: std::net::SocketAddr,
    admin: std::net::SocketAddr,
    dir: tempfile::TempDir,
}

impl Watched {
    async fn start(url: &str, variables: &[(&str, &str)]) -> Watched {
        let listen = "127.0.0.1:0".parse().unwrap();
        let simulator = Simulator::bind(SimulatorConfig {
            listen,
            limits: SimulatorLimitsConfig {
                requests_per_minute: 100_000,
                ..SimulatorLimitsConfig::default()
            },
            ..SimulatorConfig::default()
        });
        let simulator = simulator.await.unwrap();
        let api = format!("http://{}", simulator.local_addr().unwrap());
        tokio::spawn(simulator.run());
        let dir = tempfile::tempdir().unwrap();
        let admin = format!("127.0.0.1:{}", free_port());
        let mut all = vec![
            ("CLAUDE_GRPC_LIMITS__STORE", url),
            ("CLAUDE_GRPC_ADMIN__LISTEN", &admin),
            ("CLAUDE_GRPC_LOG__LEVEL", "info"),
        ];
        all.extend(variables);
        let process = Process::serve(&api, &all, Some(&dir.path().join("log")));
        Watched {
            address: process.address,
            _process: process,
            admin: admin.parse().unwrap(),
            dir,
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    async fn is_down(&self) -> bool {
        let metrics = crate::quota::get(self.admin, "/metrics").await;
        metrics.contains("\nclaude_grpc_store_down 1\n")
    }

    /// Calls for this time; each is answered, and the store is down after each.
    async fn stays_down(&self, time: Duration) {
        let found = async {
            while !self.is_down().await {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, found).await.unwrap();
        let began = Instant::now();
        let client = ClaudeServiceClient::connect(format!("http://{}", self.address));
        let mut client = client.await.unwrap();
        while began.elapsed() < time {
            client.generate(prompt()).await.unwrap();
            assert!(self.is_down().await, "{}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The one error line, which has these words and no secret, and the metric
    /// that counts its cause.
    async fn assert_said_once(&self, cause: &str, words: &[&str]) {
        let metrics = crate::quota::get(self.admin, "/metrics").await;
        let counted = format!("\nclaude_grpc_store_errors_total{{claude_grpc_cause=\"{cause}\"}} ");
        assert!(
            metrics.contains(&counted),
            "{cause} is not counted: {metrics}"
        );
        let log = self.log();
        let lines = log.lines().filter(|it| it.contains("ERROR"));
        // That may come first, on a busy machine.
        let lines: Vec<_> = lines
            .filter(|it| !it.contains("cause=\"timeout\""))
            .collect();
        assert_eq!(lines.len(), 1, "{log}");
        assert!(lines[0].contains(cause), "{log}");
        for word in words {
            assert!(lines[0].contains(word), "{log}");
        }
        assert!(!log.contains("redis serves again"), "{log}");
        assert!(!log.contains("hunter2"), "{log}");
    }
}

/// Longer than several probes.
const WATCHED: Duration = Duration::from_secs(4);

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_cluster_as_a_single_server_is_said_once_and_never_up() {
    // The node that is named has the slot of one key of a probe, and no other.
    let cluster = RedisCluster::of(&["9842 9842", "0 9841 9843 16383"], None).await;
    let url = format!("redis://127.0.0.1:{}", cluster.nodes[0].port());
    let service = Watched::start(&url, &[]).await;
    service.stays_down(WATCHED).await;
    service
        .assert_said_once("is_cluster", &["limits.store", "redis+cluster://"])
        .await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_single_server_as_a_cluster_is_said_once() {
    let redis = RedisServer::start().await;
    let url = format!("redis+cluster://127.0.0.1:{}", redis.port());
    let service = Watched::start(&url, &[]).await;
    service.stays_down(WATCHED).await;
    service
        .assert_said_once("not_cluster", &["limits.store", "redis://"])
        .await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_wrong_login_is_said_once_without_the_password() {
    let redis = RedisServer::start().await;
    redis.ask(&["acl", "setuser", "app", "on", ">right", "+@all", "~*"]);
    let url = format!("redis://app:hunter2@127.0.0.1:{}", redis.port());
    let wrong = Watched::start(&url, &[]).await;
    redis.ask(&[
        "acl", "setuser", "narrow", "on", ">hunter2", "+@all", "-evalsha", "~*",
    ]);
    let url = format!("redis://narrow:hunter2@127.0.0.1:{}", redis.port());
    let narrow = Watched::start(&url, &[]).await;
    let none = RedisServer::start_with(&["--requirepass", "hunter2"]).await;
    let without = Watched::start(&none.url(), &[]).await;
    let database = Watched::start(&format!("{}/99", redis.url()), &[]).await;
    tokio::join!(
        wrong.stays_down(WATCHED),
        narrow.stays_down(WATCHED),
        without.stays_down(WATCHED),
        database.stays_down(WATCHED),
    );
    wrong
        .assert_said_once(
            "wrong_password",
            &["limits.store", "limits.redis.password_file"],
        )
        .await;
    narrow
        .assert_said_once("permission_denied", &["evalsha", "limits.store"])
        .await;
    without
        .assert_said_once("password_required", &["limits.redis.password_file"])
        .await;
    database
        .assert_said_once("unknown_database", &["limits.store"])
        .await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn wrong_sentinels_and_certificates_are_said_once() {
    let group = RedisSentinels::start(None).await;
    let unknown = group.url().replace("/main", "/other");
    let unknown = Watched::start(&unknown, &[]).await;
    let server = group.servers[0].port();
    let url = format!("redis+sentinel://127.0.0.1:{server}/main");
    let no_sentinel = Watched::start(&url, &[]).await;
    let (dir, ca) = (tempfile::tempdir().unwrap(), Ca::new());
    let redis = with_tls(dir.path(), &ca, &[]).await;
    let untrusted = Watched::start(&tls_url(&redis), &[]).await;
    tokio::join!(
        unknown.stays_down(WATCHED),
        no_sentinel.stays_down(WATCHED),
        untrusted.stays_down(WATCHED),
    );
    unknown
        .assert_said_once("unknown_master", &["limits.store"])
        .await;
    no_sentinel
        .assert_said_once("not_sentinel", &["limits.store"])
        .await;
    untrusted
        .assert_said_once("tls", &["limits.redis.ca_file", "UnknownIssuer"])
        .await;
}
