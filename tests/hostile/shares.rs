//! One peer that begins all the calls that it can.

use crate::{
    attacker::{GENERATE, http2, status},
    support::{World, ask, connect, reason, soon},
};
use bytes::Bytes;
use claude_grpc::simulator::Behaviour;
use futures::stream::{FuturesUnordered, StreamExt};
use h2::client::SendRequest;
use prost::Message as _;
use std::time::Duration;
use tonic::{Code, Status};

/// Begins this many calls with a text of this many bytes.
async fn begin(
    sender: &SendRequest<Bytes>,
    count: usize,
    bytes: usize,
) -> FuturesUnordered<impl Future<Output = Status> + use<>> {
    let message = ask(&"x".repeat(bytes)).encode_to_vec();
    let length = u32::try_from(message.len()).expect("a short message");
    let body = Bytes::from([&[0][..], &length.to_be_bytes(), &message].concat());
    let calls = FuturesUnordered::new();
    for _ in 0..count {
        let mut sender = soon(sender.clone().ready()).await.unwrap();
        let request = http::Request::post(format!("http://localhost{GENERATE}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (response, mut stream) = sender.send_request(request, false).unwrap();
        stream.send_data(body.clone(), true).unwrap();
        calls.push(status(response));
    }
    calls
}

#[tokio::test]
async fn one_peer_leaves_permits_to_others_without_access_control() {
    let world = World::with(|setup| setup.upstream.max_in_flight = 40).await;
    world.simulator.always(Some(Behaviour::Hang));
    let sender = http2(world.address).await;
    let _calls = begin(&sender, 60, 5).await;
    // It holds less than 16 times the two that are free.
    let limit = &world.upstream.hosts[0].concurrency_limit;
    until(|| limit.in_use() + limit.waiting() == 60).await;
    assert_eq!((limit.in_use(), limit.waiting()), (38, 22));

    world.simulator.always(None);
    let mut others = connect(world.address);
    soon(others.generate(ask("hello"))).await.unwrap();
}

#[tokio::test]
async fn one_peer_leaves_memory_to_others_without_access_control() {
    let world = World::with(|setup| {
        setup.server.max_bytes_in_flight = Some(4 * 1024 * 1024);
    })
    .await;
    world.simulator.always(Some(Behaviour::Hang));
    let sender = http2(world.address).await;
    let mut calls = begin(&sender, 40, 200_000).await;
    // Each was sent to the API, waits, or made room.
    let placed = || world.simulator.counts().in_flight as usize + world.messages.waiting();
    let settled = async {
        while placed() < calls.len() {
            let next = tokio::time::timeout(Duration::from_millis(5), calls.next()).await;
            if let Ok(Some(shed)) = next {
                assert_eq!(shed.code(), Code::Unavailable, "{shed:?}");
            }
        }
    };
    soon(settled).await;

    world.simulator.always(None);
    let mut others = connect(world.address);
    for _ in 0..10 {
        let large = others.generate(ask(&"x".repeat(200_000)));
        soon(large).await.unwrap();
    }
}

#[tokio::test]
async fn one_peer_leaves_calls_to_others_without_access_control() {
    let world = World::with(|setup| setup.server.max_calls = 20).await;
    world.simulator.always(Some(Behaviour::Hang));
    let sender = http2(world.address).await;
    let mut calls = begin(&sender, 40, 5).await;
    // Four fifths of the calls run, and the others are shed at once.
    while calls.len() > 16 {
        let shed = soon(calls.next()).await.unwrap();
        assert_eq!(shed.code(), Code::Unavailable, "{shed:?}");
        assert_eq!(reason(&shed), "OVERLOADED");
    }
    soon(world.simulator.until(|counts| counts.in_flight == 16)).await;
    assert_eq!(world.drain.running(), 16);

    world.simulator.always(None);
    let mut others = connect(world.address);
    for _ in 0..10 {
        soon(others.generate(ask("hello"))).await.unwrap();
    }
    // The peer has its places back when its calls end.
    drop((calls, sender));
    until(|| world.drain.running() == 0).await;
}

async fn until(what: impl Fn() -> bool) {
    let reached = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(reached).await;
}
