//! The production checklist: four times a thousand calls at once.

use crate::{
    bound, figure,
    rig::{Protocol, Rig},
    traffic::{Numbers, Outcome, ask, quantile, success},
};
use claude_grpc::{simulator::SimulatorConfig, upstream::UpstreamConfig};
use std::time::Duration;
use tokio::task::JoinSet;

const DEADLINE: Duration = Duration::from_secs(10);

pub async fn run(protocol: Protocol) -> bool {
    let simulator = SimulatorConfig {
        time_to_first_token: Duration::from_millis(20),
        ..SimulatorConfig::default()
    };
    let rig = Rig::start(protocol, UpstreamConfig::default(), simulator).await;
    let client = rig.client().await;
    let numbers = Numbers::default();
    let at_once = async |calls: usize| -> Vec<Outcome> {
        let mut tasks = JoinSet::new();
        for _ in 0..calls {
            let (mut client, number) = (client.clone(), numbers.next());
            tasks.spawn(async move {
                Outcome::of(client.generate(ask(format!("call {number}"), DEADLINE))).await
            });
        }
        tasks.join_all().await
    };
    // Connections are made before anything is counted, as in production.
    at_once(200).await;
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.extend(at_once(1000).await);
    }
    let p99 = quantile(outcomes.iter().map(|it| it.took), 0.99);
    let mut held = bound(
        "success",
        success(&outcomes),
        success(&outcomes) >= 0.995,
        ">= 0.995",
    );
    held &= bound(
        "p99, ms, four times 1000 calls at once",
        p99,
        p99 < 500.0,
        "< 500",
    );
    let together = at_once(4000).await;
    held &= bound(
        "success, 4000 calls at once",
        success(&together),
        success(&together) >= 0.995,
        ">= 0.995",
    );
    figure(
        "p99, ms, 4000 calls at once",
        quantile(together.iter().map(|it| it.took), 0.99),
    );
    held
}
