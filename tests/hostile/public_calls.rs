//! Health and reflection, which anybody may call.

use crate::{
    attacker::{CHECK, WATCH, half_open, http2, others_notice_nothing, status},
    support::{World, reason, soon},
};
use tonic::Code;

/// A prefix that declares 4 MiB.
const DECLARED: &[u8] = b"\0\0\x40\0\0";

#[tokio::test]
async fn a_declared_length_is_refused_before_anything_arrives() {
    let world = World::start().await;
    let sender = http2(world.address).await;
    for path in [CHECK, WATCH] {
        let (response, _stream) = half_open(&sender, path, DECLARED).await;
        let status = status(response).await;
        assert_eq!(status.code(), Code::ResourceExhausted, "{path}: {status:?}");
        assert_eq!(reason(&status), "MESSAGE_TOO_LARGE");
    }
    // The library's reflection ends its stream at what it cannot read, with OK.
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let (response, _stream) = half_open(&sender, &path, DECLARED).await;
        assert_eq!(status(response).await.code(), Code::Ok);
    }
    others_notice_nothing(&world).await;
}

/// Opens watches until one is refused; gives how many were accepted.
async fn watches(world: &World) -> (usize, Vec<h2::RecvStream>) {
    let sender = http2(world.address).await;
    let mut open = Vec::new();
    loop {
        let (response, mut stream) = half_open(&sender, WATCH, b"\0\0\0\0\0").await;
        stream.send_data(bytes::Bytes::new(), true).unwrap();
        let response = soon(response).await.unwrap();
        let Some(status) = tonic::Status::from_header_map(response.headers()) else {
            open.push(response.into_body());
            continue;
        };
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert_eq!(reason(&status), "OVERLOADED");
        return (open.len(), open);
    }
}

#[tokio::test]
async fn watches_are_limited_in_total_and_by_peer() {
    for (total, by_peer, expected) in [(5, 100, 5), (100, 7, 7)] {
        let world = World::with(|setup| {
            setup.server.max_watches = total;
            setup.server.max_pending_calls_per_peer = by_peer;
        })
        .await;
        let (accepted, open) = watches(&world).await;
        assert_eq!(accepted, expected);
        others_notice_nothing(&world).await;
        // Those that end leave their place.
        drop(open);
        let again = async { while watches(&world).await.0 == 0 {} };
        soon(again).await;
    }
}
