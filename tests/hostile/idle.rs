//! Connections without a call.

use crate::{
    attacker::{connect, others_notice_nothing},
    support::{World, ask, soon},
};
use claude_grpc::simulator::Behaviour;
use std::time::Duration;

#[tokio::test]
async fn a_connection_is_closed_when_it_is_idle_and_not_before() {
    let idle = Duration::from_millis(200);
    let world = World::with(|setup| setup.server.max_connection_idle = idle).await;
    // A call that outlasts the idle time many times.
    world.simulator.next([Behaviour::Hang]);
    let mut grpc = world.grpc.clone();
    let running = tokio::spawn(async move { grpc.generate(ask("hello")).await });
    soon(world.simulator.until(|counts| counts.in_flight == 1)).await;

    for _ in 0..5 {
        let stream = connect(world.address).await;
        // It answers keepalive pings and is idle all the same.
        let (_sender, connection) = h2::client::handshake(stream).await.unwrap();
        soon(connection).await.unwrap();
    }
    assert!(!running.is_finished());
    assert_eq!(world.simulator.counts().in_flight, 1);
    running.abort();
    others_notice_nothing(&world).await;
}
