//! One peer that begins all the calls that it can.

use crate::{
    attacker::{GENERATE, http2, status},
    support::{World, ask, connect, reason, soon},
};
use bytes::Bytes;
use claude_grpc::simulator::Behaviour;
use futures::stream::{FuturesUnordered, StreamExt};
use prost::Message as _;
use std::time::Duration;
use tonic::Code;

#[tokio::test]
async fn one_peer_leaves_calls_to_others_without_access_control() {
    let world = World::with(|setup| setup.server.max_calls = 20).await;
    world.simulator.always(Some(Behaviour::Hang));
    let sender = http2(world.address).await;
    let message = ask("hello").encode_to_vec();
    let length = u32::try_from(message.len()).expect("a short message");
    let body = [&[0][..], &length.to_be_bytes(), &message].concat();
    let mut calls = FuturesUnordered::new();
    for _ in 0..40 {
        let mut sender = soon(sender.clone().ready()).await.unwrap();
        let request = http::Request::post(format!("http://localhost{GENERATE}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (response, mut stream) = sender.send_request(request, false).unwrap();
        stream.send_data(Bytes::from(body.clone()), true).unwrap();
        calls.push(status(response));
    }
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
    let ended = async {
        while world.drain.running() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(ended).await;
}
