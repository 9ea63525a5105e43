//! One greedy tenant and fifty small ones: while calls must wait, each gets its
//! share.

use crate::harness::{GENERATE, Keyed, keyed, prompt_of};
use claude_grpc::{
    access::{
        self, Access, AccessConfig, Clients, ClientsFile, Clock, NewClient,
        limits::{LimitsConfig, UsageStore},
        signature::Signer,
    },
    memory::MessageBudget,
    secrets::Reloadable,
    server::{Drain, Server, ServerConfig},
    service::{Rpcs, ServiceConfig},
    simulator::{Behaviour, Handle, Simulator, SimulatorConfig},
    upstream::{Key, Keys, ProxyVariables, Upstream, UpstreamConfig},
};
use futures::stream::{FuturesUnordered, StreamExt};
use secrecy::{ExposeSecret, SecretString};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpSocket, task::JoinSet, time::sleep};
use tonic::{Code, Status, transport::Channel};

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(60);

const SMALL: usize = 50;

/// A service with access control in front of a simulator.
struct World {
    address: SocketAddr,
    tenants: Vec<Tenant>,
    simulator: Handle,
    upstream: Upstream,
    messages: MessageBudget,
    drain: Drain,
}

/// A tenant with a connection of its own, and what became of its calls.
#[derive(Clone)]
struct Tenant {
    client: Keyed,
    /// What it asks.
    text: Arc<str>,
    weight: u32,
    done: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

struct Setup {
    /// Of the tenants: the first one is greedy.
    weights: Vec<u32>,
    /// What they ask.
    text: Arc<str>,
    server: ServerConfig,
    upstream: UpstreamConfig,
    simulator: SimulatorConfig,
}

impl Setup {
    fn new(weights: Vec<u32>) -> Self {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        Setup {
            weights,
            text: Arc::from("Hello?"),
            server: ServerConfig {
                listen: any_port,
                ..ServerConfig::default()
            },
            upstream: UpstreamConfig {
                acquire_timeout: PATIENCE,
                ..UpstreamConfig::default()
            },
            simulator: SimulatorConfig {
                listen: any_port,
                ..SimulatorConfig::default()
            },
        }
    }

    async fn start(mut self) -> World {
        let simulator = Simulator::bind(self.simulator).await.unwrap();
        self.upstream.base_url = simulator.base_url().unwrap();
        let handle = simulator.handle();
        tokio::spawn(simulator.run());

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clients.toml");
        let keys: Vec<_> = (0..)
            .zip(&self.weights)
            .map(|(number, weight)| {
                let new = NewClient {
                    name: format!("tenant-{number}"),
                    weight: Some(*weight),
                    ..NewClient::default()
                };
                access::add(&path, None, new).unwrap().secret
            })
            .collect();
        let clients = access::list(&path, None).unwrap();
        let clients = Clients::new(ClientsFile { clients }).unwrap();
        let limits = LimitsConfig::default();
        let longest = self.server.max_deadline;
        let usage_store = UsageStore::with_store(&limits, None, longest, Clock::default());
        let access = Access::new(
            Reloadable::fixed("clients", clients),
            &AccessConfig::default().signatures,
            usage_store.unwrap(),
            Clock::default(),
        );

        let api_key = Key::new("key-1", &SecretString::from("sk-test")).unwrap();
        let upstream = Upstream::with(
            &self.upstream,
            Keys::new([api_key]),
            &ProxyVariables::default(),
            None,
            Some(&access),
        );
        let upstream = upstream.unwrap();
        let service = Rpcs::new(upstream.client.clone(), ServiceConfig::default());
        let server = Server::bind(self.server, service).await.unwrap();
        let server = server.with_access(Some(access));
        let (address, drain) = (server.local_addr().unwrap(), server.drain());
        let messages = server.messages();
        tokio::spawn(server.run());

        let mut tenants = Vec::new();
        for (key, weight) in keys.iter().zip(self.weights) {
            let url = format!("http://{address}");
            let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
            tenants.push(Tenant {
                client: keyed(channel, key.expose_secret()),
                text: Arc::clone(&self.text),
                weight,
                done: Arc::default(),
                failed: Arc::default(),
            });
        }
        World {
            address,
            tenants,
            simulator: handle,
            upstream,
            messages,
            drain,
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.drain.abort();
    }
}

impl Tenant {
    /// Makes one call after the other.
    async fn call_on(mut self) {
        loop {
            match self.client.generate(prompt_of(&self.text)).await {
                Ok(_) => self.done.fetch_add(1, Ordering::Relaxed),
                Err(_) => self.failed.fetch_add(1, Ordering::Relaxed),
            };
        }
    }

    async fn call(&self) -> Result<(), Status> {
        self.ask(&self.text).await
    }

    async fn ask(&self, text: &str) -> Result<(), Status> {
        let answer = self.client.clone().generate(prompt_of(text)).await;
        answer.map(|_| ())
    }
}

async fn until(what: impl Fn() -> bool) {
    let reached = async {
        while !what() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    reached.expect("it happens in time");
}

impl World {
    /// Calls of all tenants at once, many of the first one: what each got of
    /// `each` calls per weight, from the moment when `waiting` says that all wait.
    async fn shares(&self, each: u32, waiting: impl Fn(usize) -> bool) -> Vec<f64> {
        let mut calls = JoinSet::new();
        let mut count = 0;
        for (number, tenant) in self.tenants.iter().enumerate() {
            let at_once = if number == 0 { 200 } else { 4 * tenant.weight };
            for _ in 0..at_once {
                calls.spawn(tenant.clone().call_on());
                count += 1;
            }
        }
        until(|| waiting(count)).await;
        let done = |tenant: &Tenant| tenant.done.load(Ordering::Relaxed);
        let total = || self.tenants.iter().map(done).sum::<u64>();
        // What began before anybody waited is nobody's share, nor is what the API rejected
        // then.
        let in_flight = self.upstream.hosts[0].concurrency_limit.limit() as u64;
        let began = total() + in_flight + self.simulator.counts().rate_limited;
        until(|| total() >= began).await;
        let before: Vec<u64> = self.tenants.iter().map(done).collect();
        let weights: u32 = self.tenants.iter().map(|it| it.weight).sum();
        let goal = before.iter().sum::<u64>() + u64::from(weights * each);
        until(|| total() >= goal).await;
        let shares = self.tenants.iter().zip(before).map(|(tenant, before)| {
            (done(tenant) - before) as f64 / f64::from(each * tenant.weight)
        });
        shares.collect()
    }
}

/// One greedy tenant, and fifty small ones. The last five have a higher weight.
fn weights() -> Vec<u32> {
    let mut weights = vec![1; 1 + SMALL];
    weights[SMALL - 4..].fill(3);
    weights
}

fn assert_fair(world: &World, shares: &[f64]) {
    let counts = world.simulator.counts();
    for (number, share) in shares.iter().enumerate() {
        assert!(
            (0.9..=1.1).contains(share),
            "tenant {number}: {shares:.2?}, {counts:?}"
        );
    }
    let failed = world.tenants[1..].iter();
    let failed: u64 = failed.map(|it| it.failed.load(Ordering::Relaxed)).sum();
    assert_eq!(failed, 0, "calls of small tenants failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn permits_are_shared_by_weight_however_many_calls_one_makes() {
    for permits in [10, 122] {
        let mut setup = Setup::new(weights());
        setup.upstream.max_in_flight = permits;
        setup.simulator.time_to_first_token = Duration::from_millis(permits as u64 * 3);
        let world = setup.start().await;
        let limit = &world.upstream.hosts[0].concurrency_limit;
        let shares = world.shares(60, |calls| {
            limit.in_use() == permits && limit.waiting() > calls - permits - 20
        });
        assert_fair(&world, &shares.await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_calls_do_not_end_leaves_permits_to_others() {
    let mut setup = Setup::new(weights());
    setup.upstream.max_in_flight = 40;
    let world = setup.start().await;
    world.simulator.always(Some(Behaviour::Hang));
    let greedy = &world.tenants[0];
    let mut calls = JoinSet::new();
    for _ in 0..60 {
        let greedy = greedy.clone();
        calls.spawn(async move { greedy.call().await });
    }
    // It holds less than 16 times the two that are free.
    let limit = &world.upstream.hosts[0].concurrency_limit;
    until(|| limit.in_use() + limit.waiting() == 60).await;
    assert_eq!((limit.in_use(), limit.waiting()), (38, 22));

    world.simulator.always(None);
    for small in &world.tenants[1..] {
        let called = tokio::time::timeout(PATIENCE, small.call()).await;
        called.expect("it gets a permit").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_the_api_are_shared_by_weight_however_many_calls_one_makes() {
    let mut setup = Setup::new(weights());
    // The API rounds what is left to thousands of tokens, so a call has hundreds:
    // 80 calls per second, a fraction of what a slow machine can make.
    let tokens = |count: usize| "four".repeat(count);
    setup.text = Arc::from(tokens(200));
    setup.simulator.limits.input_tokens_per_minute = 200 * 80 * 60;
    let world = setup.start().await;
    // The limits are learned from an answer.
    world.tenants[0].call().await.unwrap();
    // A minute's worth of input, so that the rest must wait for the refill.
    let part = tokens(100_000);
    for _ in 0..9 {
        world.tenants[0].ask(&part).await.unwrap();
    }
    let limiter = &world.upstream.hosts[0].rate_limiter;
    let shares = world.shares(20, |calls| {
        // What gathered while the API rejected calls is gone too.
        limiter.quotas().iter().any(|(_, _, quota)| {
            let left = quota.remaining();
            let is_used_up = left.input_tokens.is_some_and(|(tokens, _)| tokens < 1000.0);
            is_used_up && left.waiting_interactive > calls - 20
        })
    });
    assert_fair(&world, &shares.await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_opens_all_it_can_leaves_calls_to_others() {
    let mut setup = Setup::new(weights());
    setup.server.max_calls = 100;
    let world = setup.start().await;
    world.simulator.always(Some(Behaviour::Hang));
    let greedy = &world.tenants[0];
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let greedy = greedy.clone();
        calls.spawn(async move { greedy.call().await });
    }
    // The others of its calls are shed at once.
    while calls.len() > 85 {
        let shed = tokio::time::timeout(PATIENCE, calls.join_next()).await;
        shed.expect("it is shed").unwrap().unwrap().unwrap_err();
    }
    until(|| (75..=85).contains(&world.drain.running())).await;

    world.simulator.always(None);
    for small in &world.tenants[1..] {
        small.call().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_messages_fill_the_memory_leaves_some_to_others() {
    let mut setup = Setup::new(weights());
    setup.server.max_bytes_in_flight = Some(4 * 1024 * 1024);
    setup.server.bytes_timeout = PATIENCE;
    let world = setup.start().await;
    world.simulator.always(Some(Behaviour::Hang));
    let text = "x".repeat(200_000);
    let greedy = &world.tenants[0];
    let mut calls = JoinSet::new();
    for _ in 0..40 {
        let (greedy, text) = (greedy.clone(), text.clone());
        calls.spawn(async move {
            let refused = greedy.ask(&text).await.unwrap_err();
            greedy.failed.fetch_add(1, Ordering::Relaxed);
            assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        });
    }
    // Each was sent to the API, waits, or made room.
    until(|| {
        let failed = greedy.failed.load(Ordering::Relaxed);
        world.simulator.counts().in_flight + world.messages.waiting() as u64 + failed == 40
    })
    .await;

    world.simulator.always(None);
    for small in &world.tenants[1..] {
        let called = tokio::time::timeout(PATIENCE, small.ask(&text)).await;
        called.expect("it finds room").unwrap();
    }
}

const SIGNING_KEY: &str = "cgs_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// Messages that do not arrive, in calls that seem to be signed: nobody knows whose
/// they are.
#[tokio::test(flavor = "multi_thread")]
async fn signed_calls_that_are_not_verified_leave_calls_to_others() {
    let mut setup = Setup::new(vec![1]);
    setup.server.max_calls = 20;
    let world = setup.start().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let stream = socket.connect(world.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let signer = Signer::new("unknown", SecretString::from(SIGNING_KEY));
    let mut calls = FuturesUnordered::new();
    let mut bodies = Vec::new();
    for _ in 0..40 {
        let mut sender = sender.clone().ready().await.unwrap();
        let request = http::Request::post(format!("http://localhost{GENERATE}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-signature", signer.sign(GENERATE, b""))
            .body(())
            .unwrap();
        let (response, body) = sender.send_request(request, false).unwrap();
        calls.push(response);
        bodies.push(body);
    }
    while calls.len() > 16 {
        let shed = tokio::time::timeout(PATIENCE, calls.next()).await;
        let shed = shed.expect("it is shed").unwrap().unwrap();
        let status = Status::from_header_map(shed.headers()).unwrap();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    }
    until(|| (12..=16).contains(&world.drain.running())).await;
    for _ in 0..10 {
        world.tenants[0].call().await.unwrap();
    }
}
