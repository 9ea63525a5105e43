//! An API that fails in part: 10 % of the answers are 529 or 500, 1 % of the
//! connections break, and 400 callers go on for 30 seconds.

use crate::{
    bound, figure,
    rig::{Protocol, Rig},
    traffic::{Numbers, Outcome, ask, closed_loop, quantile, success},
};
use claude_grpc::{
    simulator::{FaultRates, SimulatorConfig},
    upstream::{CircuitState, UpstreamConfig},
};
use std::time::Duration;

const CALLERS: usize = 400;
const TIME: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(10);

/// What a deadline may be overrun by: the machine's scheduling.
const GRACE: Duration = Duration::from_millis(250);

pub async fn run(protocol: Protocol) -> bool {
    let simulator = SimulatorConfig {
        time_to_first_token: Duration::from_millis(100),
        faults: FaultRates {
            seed: 1,
            overloaded: 0.05,
            error: 0.05,
            drop: 0.01,
            ..FaultRates::default()
        },
        ..SimulatorConfig::default()
    };
    let rig = Rig::start(protocol, UpstreamConfig::default(), simulator).await;
    let client = rig.client().await;
    let numbers = Numbers::default();
    let outcomes = closed_loop(CALLERS, TIME, move |_| {
        let (mut client, number) = (client.clone(), numbers.next());
        async move { Outcome::of(client.generate(ask(format!("call {number}"), DEADLINE))).await }
    })
    .await;
    let calls = outcomes.len() as f64;
    let late = outcomes
        .iter()
        .filter(|it| it.took > DEADLINE + GRACE)
        .count() as f64;
    let attempts = rig.simulator.counts().requests as f64 / calls;
    figure("calls", calls);
    figure("p50, ms", quantile(outcomes.iter().map(|it| it.took), 0.5));
    figure("p99, ms", quantile(outcomes.iter().map(|it| it.took), 0.99));
    let closed = rig.upstream.hosts[0].breaker.state() == CircuitState::Closed;
    let mut held = bound(
        "success",
        success(&outcomes),
        success(&outcomes) >= 0.9995,
        ">= 0.9995",
    );
    held &= bound(
        "upstream attempts a call",
        attempts,
        attempts <= 1.2,
        "<= 1.2",
    );
    held &= bound("calls past their deadline", late, late == 0.0, "= 0");
    held &= bound(
        "the breaker stayed closed",
        f64::from(closed),
        closed,
        "= 1",
    );
    held
}
