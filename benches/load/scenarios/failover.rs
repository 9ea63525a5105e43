//! One of two hosts is away for half a minute in the middle of the load: it refuses
//! connections, and in a second run nothing of it arrives.

use crate::{
    bound, figure,
    relay::{Away, Relay},
    rig::{Client, any_port, client},
    traffic::{Outcome, ask, open_loop, quantile, success},
};
use claude_grpc::{
    server::{Server, ServerConfig},
    service::{Rpcs, ServiceConfig},
    simulator::{SimulatedHost, Simulator, SimulatorConfig},
    upstream::{CircuitState, HostConfig, HostKeys, HostKind, Key, Keys, Upstream, UpstreamConfig},
};
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

const CALLS_PER_SECOND: f64 = 200.0;
const BEFORE: Duration = Duration::from_secs(10);
const OUTAGE: Duration = Duration::from_secs(30);
const AFTER: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(60);

/// Callers, each with a connection of its own: the streams of one would be in use by
/// calls that hang.
const CALLERS: usize = 16;

/// Of one answer.
const LATENCY: Duration = Duration::from_millis(50);

/// Shorter than the default of 60 s, so that the first host is seen to come back.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// What is configured for hosts that have others beside them (docs/hosts.md).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

pub async fn run() -> bool {
    let mut held = true;
    for away in [Away::Refusing, Away::Swallowing] {
        println!("--- {away:?}");
        held &= over(away).await;
    }
    held
}

async fn over(away: Away) -> bool {
    let mut tasks = JoinSet::new();
    let certificates = tempfile::tempdir().expect("a folder");
    let first = simulate(SimulatedHost::Claude, certificates.path(), &mut tasks).await;
    let second = simulate(SimulatedHost::Foundry, certificates.path(), &mut tasks).await;
    let mut relay = Relay::to(first.1).await;
    let mut config = UpstreamConfig {
        connect_timeout: CONNECT_TIMEOUT,
        ..UpstreamConfig::default()
    };
    config.breaker.open_duration = PROBE_INTERVAL;
    let port = relay.address.port();
    config.hosts = vec![
        HostConfig {
            ca_file: Some(first.0),
            ..host(
                "claude",
                HostKind::Claude,
                format!("https://localhost:{port}"),
            )
        },
        HostConfig {
            ca_file: Some(second.0),
            ..host(
                "foundry",
                HostKind::Foundry,
                format!("https://localhost:{}/anthropic", second.1.port()),
            )
        },
    ];
    let keys = config.hosts.iter().map(|host| {
        let secret = SecretString::from("sk-load-test");
        let key = Key::of(host.kind.key_scheme(), "key-1", &secret).expect("a key");
        (host.name.clone(), Keys::new([key]))
    });
    let keys = HostKeys::new(Keys::new([]), keys.collect::<BTreeMap<_, _>>());
    let upstream = Upstream::new(&config, keys).expect("valid addresses");
    let service = Rpcs::new(upstream.client.clone(), ServiceConfig::default());
    let server = ServerConfig {
        listen: any_port(),
        ..ServerConfig::default()
    };
    let server = Server::bind(server, service).await.expect("a free port");
    let address = server.local_addr().expect("its address");
    tasks.spawn(server.run());
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(client(address).await);
    }

    // Connections are opened before anything is measured.
    load(&callers, Duration::from_secs(2)).await;
    let time = BEFORE + OUTAGE + AFTER;
    let calls = tokio::spawn({
        let callers = callers.clone();
        async move { load(&callers, time).await }
    });
    sleep(BEFORE).await;
    if !relay.go(away).await {
        println!("skipped: iptables is missing, or may not be used");
        calls.abort();
        return true;
    }
    let gone = Instant::now();
    let breaker = &upstream.hosts[0].breaker;
    while breaker.state() == CircuitState::Closed && gone.elapsed() < OUTAGE {
        sleep(Duration::from_millis(1)).await;
    }
    let opened = Instant::now();
    sleep(OUTAGE.saturating_sub(gone.elapsed())).await;
    relay.come_back(away).await;
    let back = Instant::now();
    let outcomes = calls.await.expect("the load runs to its end");

    let between = |from: Instant, to: Instant| -> Vec<Outcome> {
        let within = outcomes.iter();
        let within = within.filter(|it| it.began >= from && it.began < to);
        within.copied().collect()
    };
    let p99 = |outcomes: &[Outcome]| quantile(outcomes.iter().map(|it| it.took), 0.99);
    let before = p99(&between(gone - BEFORE, gone));
    let until_open = p99(&between(gone, opened));
    let open = p99(&between(opened, back));
    figure("calls", outcomes.len() as f64);
    figure(
        "seconds until the breaker opened",
        (opened - gone).as_secs_f64(),
    );
    figure("p99 before, ms", before);
    figure("p99 until the breaker was open, ms", until_open);
    figure("p99 while it was open, ms", open);
    figure("calls moved on", upstream.hosts[0].failovers() as f64);
    let mut held = bound(
        "success",
        success(&outcomes),
        success(&outcomes) == 1.0,
        "= 1",
    );
    held &= bound(
        "added p99 once the breaker is open, ms",
        open - before,
        open - before < 100.0,
        "< 100",
    );
    let other = upstream.hosts[1].breaker.state() == CircuitState::Closed;
    held &= bound(
        "the other host's breaker is closed",
        f64::from(u8::from(other)),
        other,
        "= 1",
    );
    held
}

async fn load(callers: &[Client], time: Duration) -> Vec<Outcome> {
    open_loop(CALLS_PER_SECOND, time, |number| {
        let mut client = callers[number as usize % callers.len()].clone();
        async move { Outcome::of(client.generate(ask(format!("call {number}"), DEADLINE))).await }
    })
    .await
}

fn host(name: &str, kind: HostKind, base_url: String) -> HostConfig {
    HostConfig {
        name: name.to_owned(),
        kind,
        base_url: Some(base_url),
        ..HostConfig::default()
    }
}

/// A host over TLS: the file with its CA, and its address.
async fn simulate(
    host: SimulatedHost,
    certificates: &Path,
    tasks: &mut JoinSet<()>,
) -> (std::path::PathBuf, std::net::SocketAddr) {
    let ca_file = certificates.join(format!("{host}.crt"));
    let mut config = SimulatorConfig {
        listen: any_port(),
        host,
        time_to_first_token: LATENCY,
        ..SimulatorConfig::default()
    };
    config.tls.generated_ca_file = Some(ca_file.clone());
    let simulator = Simulator::bind(config).await.expect("a free port");
    let address = simulator.local_addr().expect("its address");
    tasks.spawn(simulator.run());
    (ca_file, address)
}
