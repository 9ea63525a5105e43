//! Many calls at once over peers that take few streams on a connection and
//! close each connection after some requests: as fast as over HTTP/1.1, at the
//! default configuration.

use crate::{
    bound, figure,
    rig::{Client, Protocol, Rig},
    traffic::{Numbers, Outcome, ask, success},
};
use claude_grpc::{
    simulator::{ConnectionsConfig, SimulatorConfig},
    upstream::UpstreamConfig,
};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// As many calls at once as there are permits by default.
const CALLERS: usize = 200;
/// Calls of each caller, one after the other.
const CALLS: usize = 3;
const ANSWERED_AFTER: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(30);

/// How many streams the peer takes on a connection, and after how many requests
/// it closes it.
const PEERS: [(u32, u32); 3] = [(1, 2), (10, 25), (100, 250)];

/// What a peer came to.
struct Run {
    success: f64,
    time: Duration,
}

pub async fn run() -> bool {
    let http1 = measure(Protocol::Http1, ConnectionsConfig::default()).await;
    figure("seconds over HTTP/1.1", http1.time.as_secs_f64());
    let mut held = bound(
        "success over HTTP/1.1",
        http1.success,
        http1.success == 1.0,
        "= 1",
    );
    for (max_concurrent_streams, max_requests) in PEERS {
        let connections = ConnectionsConfig {
            max_concurrent_streams,
            max_requests,
            ..ConnectionsConfig::default()
        };
        let http2 = measure(Protocol::Http2, connections).await;
        let what = format!("{max_concurrent_streams} streams a connection");
        let ratio = http2.time.as_secs_f64() / http1.time.as_secs_f64();
        held &= bound(
            &format!("{what}: success"),
            http2.success,
            http2.success == 1.0,
            "= 1",
        );
        held &= bound(
            &format!("{what}: time, as a multiple of HTTP/1.1"),
            ratio,
            ratio <= 1.2,
            "<= 1.2",
        );
    }
    held
}

async fn measure(protocol: Protocol, connections: ConnectionsConfig) -> Run {
    let simulator = SimulatorConfig {
        time_to_first_token: ANSWERED_AFTER,
        connections,
        ..SimulatorConfig::default()
    };
    let rig = Rig::start(protocol, UpstreamConfig::default(), simulator).await;
    let client = rig.client().await;
    let numbers = Numbers::default();
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(one_after_the_other(client.clone(), numbers.clone()));
    }
    let outcomes: Vec<Outcome> = callers.join_all().await.into_iter().flatten().collect();
    let time = began.elapsed();
    let counts = rig.simulator.counts();
    println!("over {}", protocol.name());
    figure("upstream requests", counts.requests as f64);
    figure("connections", counts.connections_accepted as f64);
    Run {
        success: success(&outcomes),
        time,
    }
}

async fn one_after_the_other(mut client: Client, numbers: Numbers) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for _ in 0..CALLS {
        let request = ask(format!("call {}", numbers.next()), DEADLINE);
        outcomes.push(Outcome::of(client.generate(request)).await);
    }
    outcomes
}
