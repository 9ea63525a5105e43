//! The API's quota, kept by replicas together: in a real Redis, or not, when it
//! is gone.

use crate::{
    harness::prompt,
    process::Process,
    redis::{Redis, store},
};
use claude_grpc::{
    access::limits::StoreFailureMode,
    proto::v1::claude_service_client::ClaudeServiceClient,
    server::{Drain, Server, ServerConfig},
    service::{Rpcs, ServiceConfig},
    simulator::{Behaviour, Handle, Simulator, SimulatorConfig, SimulatorLimitsConfig},
    store::{RedisConfig, Store, StoreAddress},
    upstream::{Key, Keys, ProxyVariables, QuotaRemaining, Upstream, UpstreamConfig},
};
use futures::future::join_all;
use secrecy::SecretString;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt;

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(20);

type Client = ClaudeServiceClient<Channel>;

/// The API, with a quota.
struct Api {
    url: String,
    simulator: Handle,
}

impl Api {
    async fn with(requests_per_minute: u64) -> Api {
        let simulator = Simulator::bind(SimulatorConfig {
            listen: any_port(),
            limits: SimulatorLimitsConfig {
                requests_per_minute,
                ..SimulatorLimitsConfig::default()
            },
            ..SimulatorConfig::default()
        });
        let simulator = simulator.await.unwrap();
        let url = format!("http://{}", simulator.local_addr().unwrap());
        let handle = simulator.handle();
        tokio::spawn(simulator.run());
        Api {
            url,
            simulator: handle,
        }
    }

    fn refused(&self) -> u64 {
        self.simulator.counts().rate_limited
    }
}

/// One replica of the service.
struct Replica {
    client: Client,
    upstream: Upstream,
    store: Store,
    drain: Drain,
}

impl Replica {
    async fn start(api: &Api, redis: &StoreAddress, on_failure: StoreFailureMode) -> Replica {
        let config = UpstreamConfig {
            base_url: api.url.clone(),
            ..UpstreamConfig::default()
        };
        let store = Store::open(redis, &RedisConfig::default(), on_failure)
            .unwrap()
            .unwrap();
        store.attempted().await;
        let key = Key::new("key-1", &SecretString::from("sk-test")).unwrap();
        let keys = Keys::new([key]);
        let upstream = Upstream::with(
            &config,
            keys,
            &ProxyVariables::default(),
            Some(store.clone()),
            None,
        )
        .unwrap();
        let service = Rpcs::new(upstream.client.clone(), ServiceConfig::default());
        let config = ServerConfig {
            listen: any_port(),
            ..ServerConfig::default()
        };
        let server = Server::bind(config, service).await.unwrap();
        let client = connect(server.local_addr().unwrap()).await;
        let drain = server.drain();
        tokio::spawn(server.run());
        Replica {
            client,
            upstream,
            store,
            drain,
        }
    }

    async fn generate(&self, priority: &str, deadline: Duration) -> Result<(), Status> {
        generate(&self.client, priority, deadline).await
    }

    fn remaining(&self) -> QuotaRemaining {
        let quotas = self.upstream.hosts[0].rate_limiter.quotas();
        quotas
            .first()
            .map(|it| it.2.remaining())
            .unwrap_or_default()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.drain.abort();
    }
}

async fn connect(address: SocketAddr) -> Client {
    ClaudeServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap()
}

async fn generate(client: &Client, priority: &str, deadline: Duration) -> Result<(), Status> {
    let mut request = Request::new(prompt());
    request.set_timeout(deadline);
    let priority = priority.parse().unwrap();
    request.metadata_mut().insert("claude-priority", priority);
    client.clone().generate(request).await.map(|_| ())
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

async fn until(mut holds: impl FnMut() -> bool) {
    let polled = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, polled).await.unwrap();
}

/// Calls at both until nothing is left.
async fn use_up(replicas: [&Replica; 2]) {
    let callers = (0..8).map(|caller| async move {
        let replica: &Replica = replicas[caller % 2];
        // A busy machine may miss the deadline of a call for which there is room.
        let is_used_up = |outcome: Result<(), Status>| {
            let info = outcome.err().and_then(|it| it.get_details_error_info());
            info.is_some_and(|info| info.reason == "UPSTREAM_QUOTA_EXHAUSTED")
        };
        let soon = Duration::from_millis(100);
        while !is_used_up(replica.generate("batch", soon).await) {}
    });
    join_all(callers).await;
}

/// Calls that can wait, at both at the same time. All are answered; what is
/// told is how often the API refused one.
async fn call_at_both(api: &Api, replicas: [&Replica; 2], calls: usize) -> u64 {
    let before = api.refused();
    let made = (0..calls).map(|call| replicas[call % 2].generate("batch", PATIENCE));
    for outcome in join_all(made).await {
        outcome.unwrap();
    }
    api.refused() - before
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn replicas_keep_the_quota_as_one_does() {
    let redis = Redis::start().await;
    let api = Api::with(300).await;
    let one = Replica::start(&api, &store(&redis), StoreFailureMode::FailClosed).await;
    let two = Replica::start(&api, &store(&redis), StoreFailureMode::FailClosed).await;
    use_up([&one, &two]).await;
    let refused = call_at_both(&api, [&one, &two], 20).await;
    assert!(refused <= 1, "{refused}");
    // Who has no part in it yet hears of those that wait elsewhere, as soon as
    // they have told of themselves.
    let waiting = call_at_both(&api, [&one, &two], 16);
    let newcomer = async {
        let three = Replica::start(&api, &store(&redis), StoreFailureMode::FailClosed).await;
        let soon = Duration::from_millis(50);
        let told_of_four = async {
            loop {
                let Err(refused) = three.generate("batch", soon).await else {
                    continue;
                };
                // On a busy machine, the client itself may give up first.
                let Some(info) = refused.get_details_error_info() else {
                    continue;
                };
                assert_eq!(info.reason, "UPSTREAM_QUOTA_EXHAUSTED");
                let retry = refused.get_details_retry_info().unwrap().retry_delay;
                // Five have their turn in a second.
                if retry.unwrap() > Duration::from_millis(800) {
                    break;
                }
            }
        };
        timeout(PATIENCE, told_of_four).await.unwrap();
    };
    let (refused, ()) = tokio::join!(waiting, newcomer);
    assert!(refused <= 1, "{refused}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn interactive_calls_go_before_batch_at_another_replica() {
    let redis = Redis::start().await;
    let api = Api::with(60).await;
    let one = Replica::start(&api, &store(&redis), StoreFailureMode::FailClosed).await;
    let two = Replica::start(&api, &store(&redis), StoreFailureMode::FailClosed).await;
    use_up([&one, &two]).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let call = |replica: &Replica, priority: &'static str| {
        let (client, order) = (replica.client.clone(), Arc::clone(&order));
        tokio::spawn(async move {
            generate(&client, priority, PATIENCE).await.unwrap();
            order.lock().unwrap().push(priority);
        })
    };
    let mut tasks: Vec<_> = (0..3).map(|_| call(&one, "batch")).collect();
    until(|| one.remaining().waiting_batch > 1).await;
    tasks.extend((0..2).map(|_| call(&two, "interactive")));
    join_all(tasks).await;
    let order = order.lock().unwrap();
    // One of batch may have had its turn before the others came.
    let behind = order.iter().rev().take_while(|it| **it == "batch").count();
    assert!(behind >= 2, "{order:?}");
    assert_eq!(order.len(), 5);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn what_the_api_tells_one_replica_holds_back_the_other() {
    const PAUSE: Duration = Duration::from_secs(2);
    let redis = Redis::start().await;
    let api = Api::with(1000).await;
    let one = Replica::start(&api, &store(&redis), StoreFailureMode::FailClosed).await;
    let two = Replica::start(&api, &store(&redis), StoreFailureMode::FailClosed).await;
    for replica in [&one, &two] {
        replica.generate("batch", PATIENCE).await.unwrap();
    }
    let refusal = Behaviour::RateLimited { retry_after: PAUSE };
    api.simulator.next([refusal]);
    let began = Instant::now();
    // It would have to wait longer than it can, so it ends with the refusal.
    one.generate("batch", PAUSE / 2).await.unwrap_err();
    let requests = api.simulator.counts().requests;
    // How soon Redis knows is not said: it is told beside the call.
    let refused = async { while let Ok(()) = two.generate("interactive", PAUSE / 4).await {} };
    timeout(PAUSE, refused).await.unwrap();
    two.generate("interactive", PATIENCE).await.unwrap();
    let waited = began.elapsed();
    assert!(waited > PAUSE - Duration::from_millis(100), "{waited:?}");
    assert!(api.simulator.counts().requests > requests);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn without_redis_each_goes_on_with_what_it_knows_until_it_is_back() {
    let mut redis = Redis::start().await;
    let api = Api::with(300).await;
    let one = Replica::start(&api, &store(&redis), StoreFailureMode::FailOpen).await;
    let two = Replica::start(&api, &store(&redis), StoreFailureMode::FailOpen).await;
    use_up([&one, &two]).await;
    redis.stop();
    for replica in [&one, &two] {
        replica.generate("interactive", PATIENCE).await.unwrap();
        assert!(replica.store.health().is_down());
        // It knows that next to nothing is left.
        let (left, limit) = replica.remaining().requests.unwrap();
        assert!(left < 10.0 && limit == 300.0, "{left} of {limit}");
        // Nobody waits for a Redis that is gone.
        let failures = replica.store.health().failures();
        replica.generate("interactive", PATIENCE).await.unwrap();
        assert_eq!(replica.store.health().failures(), failures);
    }
    redis.run().await;
    until(|| !one.store.health().is_down() && !two.store.health().is_down()).await;
    use_up([&one, &two]).await;
    let refused = call_at_both(&api, [&one, &two], 20).await;
    assert!(refused <= 1, "{refused}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn without_redis_nothing_goes_if_so_configured() {
    let mut redis = Redis::start().await;
    let api = Api::with(1000).await;
    let one = Replica::start(&api, &store(&redis), StoreFailureMode::FailClosed).await;
    one.generate("batch", PATIENCE).await.unwrap();
    redis.stop();
    let refused = one.generate("batch", PATIENCE).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert_eq!(reason(&refused), "QUOTA_UNREACHABLE");
    assert!(refused.get_details_retry_info().is_some());
    assert_eq!(api.simulator.counts().requests, 1);
    redis.run().await;
    until(|| !one.store.health().is_down()).await;
    one.generate("batch", PATIENCE).await.unwrap();
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_goes_and_comes_is_logged_once_and_shown_in_metrics() {
    let mut redis = Redis::start().await;
    let api = Api::with(1000).await;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let admin = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin_address = admin.local_addr().unwrap();
    drop(admin);
    let variables = [
        ("CLAUDE_GRPC_LIMITS__STORE", redis.url()),
        ("CLAUDE_GRPC_ADMIN__LISTEN", admin_address.to_string()),
        ("CLAUDE_GRPC_LOG__LEVEL", "info".to_owned()),
    ];
    let variables: Vec<_> = variables.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let replica = Process::serve(&api.url, &variables, Some(&log));
    let client = connect(replica.address).await;
    let metric = async |name: &str| -> f64 {
        let text = get(admin_address, "/metrics").await;
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line
            .unwrap_or_else(|| panic!("no {name}"))
            .split(' ')
            .nth(1);
        value.unwrap().trim().parse().unwrap()
    };
    generate(&client, "batch", PATIENCE).await.unwrap();
    assert_eq!(metric("claude_grpc_store_down ").await, 0.0);
    assert_eq!(metric("claude_grpc_store_failures_total ").await, 0.0);
    redis.stop();
    let calls = (0..20).map(|_| generate(&client, "batch", PATIENCE));
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(metric("claude_grpc_store_down ").await, 1.0);
    assert!(metric("claude_grpc_store_failures_total ").await >= 1.0);
    redis.run().await;
    let back = async { while metric("claude_grpc_store_down ").await > 0.0 {} };
    timeout(PATIENCE, back).await.unwrap();
    let text = || std::fs::read_to_string(&log).unwrap();
    until(|| text().contains("redis serves again")).await;
    let text = text();
    for line in ["redis cannot be reached", "redis serves again"] {
        assert_eq!(text.matches(line).count(), 1, "{text}");
    }
}

/// A page of the admin port.
pub async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
