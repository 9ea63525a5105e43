//! Full load for a long time, with cancels, faults and slow readers: nothing
//! may leak, and every call has to be accounted for.
//!
//! `SOAK_SECONDS` sets the length over each protocol (default 300, at most 3600).
//! The service is
//! the library in this process, as in the other runs, so what is measured is
//! the memory of service, simulator and callers together.

use crate::{
    bound, figure,
    rig::{Protocol, Rig},
    traffic::{Numbers, ask},
};
use claude_grpc::{
    proto::v1,
    simulator::{FaultRates, SimulatorConfig},
    upstream::UpstreamConfig,
};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;

const CALLERS: usize = 200;
const DEADLINE: Duration = Duration::from_secs(5);
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// How every call ended.
#[derive(Default)]
struct Accounts {
    begun: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    slow: AtomicU64,
}

pub async fn run(protocol: Protocol) -> bool {
    let asked = std::env::var("SOAK_SECONDS")
        .ok()
        .and_then(|it| it.parse().ok());
    let time = Duration::from_secs(asked.unwrap_or(300).clamp(90, 3600));
    let simulator = SimulatorConfig {
        time_to_first_token: Duration::from_millis(20),
        tokens_per_second: 500.0,
        faults: FaultRates {
            seed: 7,
            overloaded: 0.03,
            error: 0.02,
            drop: 0.01,
            cut: 0.01,
            error_event: 0.01,
            garbage: 0.005,
            slow_body: 0.02,
            hang: 0.002,
            ..FaultRates::default()
        },
        ..SimulatorConfig::default()
    };
    let rig = Rig::start(protocol, UpstreamConfig::default(), simulator).await;
    let accounts = Arc::new(Accounts::default());
    let until = Instant::now() + time;
    let numbers = Numbers::default();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (client, numbers, accounts) =
            (rig.client().await, numbers.clone(), Arc::clone(&accounts));
        callers.spawn(async move {
            while Instant::now() < until {
                one_call(client.clone(), numbers.next(), &accounts).await;
            }
        });
    }
    tokio::time::sleep(SETTLED_AFTER).await;
    let early = resident();
    let tasks_early = tasks();
    while callers.join_next().await.is_some() {}
    let late = resident();
    let tasks_late = tasks();

    // What callers left behind ends at once; nothing needs a deadline for it.
    let clean = Instant::now() + Duration::from_secs(2);
    while Instant::now() < clean
        && (rig.upstream.hosts[0].concurrency_limit.in_use() > 0 || rig.drain.running() > 0)
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
    let begun = count(&accounts.begun);
    let ended = count(&accounts.answered) + count(&accounts.failed) + count(&accounts.cancelled);
    figure("seconds", time.as_secs_f64());
    figure("calls", begun);
    figure("answered", count(&accounts.answered));
    figure("failed", count(&accounts.failed));
    figure("cancelled by the caller", count(&accounts.cancelled));
    figure("read slowly", count(&accounts.slow));
    figure("MiB resident after a minute", early);
    figure("MiB resident at the end", late);
    let places = rig.upstream.hosts[0].concurrency_limit.in_use() as f64;
    let running = rig.drain.running() as f64;
    let in_flight = rig.simulator.counts().in_flight as f64;
    let mut held = bound(
        "memory, end / after a minute",
        late / early,
        late / early <= 1.1,
        "<= 1.1",
    );
    held &= bound("places still taken", places, places == 0.0, "= 0");
    held &= bound("calls still running", running, running == 0.0, "= 0");
    held &= bound(
        "upstream requests still open",
        in_flight,
        in_flight == 0.0,
        "= 0",
    );
    held &= bound(
        "calls that nobody accounts for",
        begun - ended,
        begun == ended,
        "= 0",
    );
    let more = tasks_late as f64 - tasks_early as f64;
    held &= bound(
        "tasks more than after a minute",
        more,
        more <= 50.0,
        "<= 50",
    );
    held
}

/// One call of one of four kinds: unary, streamed, cancelled, read slowly.
async fn one_call(mut client: crate::rig::Client, number: u64, accounts: &Accounts) {
    accounts.begun.fetch_add(1, Ordering::Relaxed);
    let request = ask(
        format!("call {number} with some words to be echoed"),
        DEADLINE,
    );
    let ended = match number % 8 {
        0..4 => client.generate(request).await.map(drop),
        4 => {
            let limit = Duration::from_millis(number % 60);
            match tokio::time::timeout(limit, client.generate(request)).await {
                Ok(ended) => ended.map(drop),
                Err(_) => {
                    accounts.cancelled.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
        kind => {
            let request = request.map(|request| v1::GenerateStreamRequest {
                request: Some(request),
            });
            match client.generate_stream(request).await {
                Err(status) => Err(status),
                Ok(events) => {
                    let mut events = events.into_inner();
                    let mut read = 0;
                    loop {
                        match events.next().await {
                            None => break Ok(()),
                            Some(Err(status)) => break Err(status),
                            Some(Ok(_)) => read += 1,
                        }
                        if kind == 5 && read == 4 {
                            accounts.cancelled.fetch_add(1, Ordering::Relaxed);
                            return;
                        }
                        if kind == 6 && read == 4 {
                            accounts.slow.fetch_add(1, Ordering::Relaxed);
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
            }
        }
    };
    let counter = match ended {
        Ok(()) => &accounts.answered,
        Err(_) => &accounts.failed,
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Tasks of this runtime that are alive.
fn tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

/// MiB of memory that this process holds.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().next())
        .and_then(|figure| figure.parse().ok())
        .expect("a figure");
    kib / 1024.0
}
