//! An API that is gone for half a minute in the middle of the load.

use crate::{
    bound, figure,
    rig::{Protocol, Rig},
    traffic::{Numbers, Outcome, ask, closed_loop, quantile, success},
};
use claude_grpc::{
    simulator::{Behaviour, SimulatorConfig},
    upstream::{CircuitState, UpstreamConfig},
};
use std::time::{Duration, Instant};

const CALLERS: usize = 100;
const BEFORE: Duration = Duration::from_secs(5);
const OUTAGE: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(10);

/// A shorter probe interval than the default of 60 s, for a shorter run.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// Callers that failed wait a little, as callers do.
const PAUSE: Duration = Duration::from_millis(20);

pub async fn run(protocol: Protocol) -> bool {
    let mut upstream = UpstreamConfig::default();
    upstream.breaker.open_duration = PROBE_INTERVAL;
    let simulator = SimulatorConfig {
        time_to_first_token: Duration::from_millis(50),
        ..SimulatorConfig::default()
    };
    let rig = Rig::start(protocol, upstream, simulator).await;
    let client = rig.client().await;
    let numbers = Numbers::default();
    let time = BEFORE + OUTAGE + PROBE_INTERVAL + Duration::from_secs(10);
    let load = tokio::spawn(closed_loop(CALLERS, time, move |_| {
        let (mut client, number) = (client.clone(), numbers.next());
        async move {
            let outcome =
                Outcome::of(client.generate(ask(format!("call {number}"), DEADLINE))).await;
            tokio::time::sleep(PAUSE).await;
            outcome
        }
    }));

    tokio::time::sleep(BEFORE).await;
    let gone = Instant::now();
    rig.simulator.always(Some(Behaviour::Drop));
    while rig.upstream.hosts[0].breaker.state() != CircuitState::Open {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let opened = Instant::now();
    tokio::time::sleep(OUTAGE.saturating_sub(gone.elapsed())).await;
    rig.simulator.always(None);
    let back = Instant::now();
    let outcomes = load.await.expect("the load runs to its end");

    let between = |from: Instant, to: Instant| -> Vec<Outcome> {
        let within = outcomes
            .iter()
            .filter(|it| it.began >= from && it.began < to);
        within.copied().collect()
    };
    let before = between(gone - BEFORE, gone);
    let open = between(opened, back);
    let after = between(back + PROBE_INTERVAL, back + PROBE_INTERVAL * 3);
    let p99 = quantile(open.iter().map(|it| it.took), 0.99);
    figure(
        "seconds until the breaker opened",
        (opened - gone).as_secs_f64(),
    );
    figure("calls while it was open", open.len() as f64);
    let mut held = bound(
        "success before",
        success(&before),
        success(&before) >= 0.999,
        ">= 0.999",
    );
    held &= bound("p99 of failing while open, ms", p99, p99 < 50.0, "< 50");
    held &= bound(
        "success one probe interval after",
        success(&after),
        success(&after) > 0.99,
        "> 0.99",
    );
    held
}
