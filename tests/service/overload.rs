//! More calls than the process takes, and connections that attack.

use crate::support::{World, ask, connect_from, reason, soon};
use claude_grpc::simulator::Behaviour;
use std::time::{Duration, Instant};
use tonic::Code;
use tonic_types::StatusExt;

#[tokio::test]
async fn calls_beyond_the_limit_are_shed_at_once_over_all_connections() {
    const LIMIT: u8 = 8;
    let world = World::with(|setup| setup.server.max_calls = LIMIT.into()).await;
    world.simulator.always(Some(Behaviour::Hang));
    // From a peer each: one alone would leave calls to others.
    let held: Vec<_> = (0..LIMIT)
        .map(|number| {
            let mut grpc = connect_from([127, 0, 0, 2 + number].into(), world.address);
            tokio::spawn(async move { grpc.generate(ask("hello")).await })
        })
        .collect();
    soon(
        world
            .simulator
            .until(|counts| counts.in_flight == u64::from(LIMIT)),
    )
    .await;

    let mut grpc = world.grpc.clone();
    // The first call connects; the time counts from a connection that stands.
    let shed = soon(grpc.generate(ask("hello"))).await.unwrap_err();
    assert_eq!(shed.code(), Code::Unavailable, "{shed:?}");
    let began = Instant::now();
    let shed = soon(grpc.generate(ask("hello"))).await.unwrap_err();
    let took = began.elapsed();
    assert_eq!(reason(&shed), "OVERLOADED");
    assert!(shed.get_details_retry_info().is_some());
    assert!(took < Duration::from_millis(10), "shed after {took:?}");
    assert_eq!(world.attempts(), u64::from(LIMIT));

    held.iter().for_each(tokio::task::JoinHandle::abort);
    soon(world.simulator.until(|counts| counts.in_flight == 0)).await;
    world.simulator.always(None);
    soon(grpc.generate(ask("hello"))).await.unwrap();
}
