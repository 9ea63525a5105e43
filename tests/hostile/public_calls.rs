//! Health and reflection, which anybody may call.

use crate::{
    attacker::{
        CHECK, WATCH, connect_from, half_open, http2, http2_over, others_notice_nothing, status,
    },
    support::{World, reason, soon},
};
use bytes::Bytes;
use h2::client::SendRequest;
use std::net::Ipv4Addr;
use tonic::Code;

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const OLD_REFLECTION: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// A prefix that declares 4 MiB.
const DECLARED: &[u8] = b"\0\0\x40\0\0";

#[tokio::test]
async fn a_declared_length_is_refused_before_anything_arrives() {
    let world = World::start().await;
    let sender = http2(world.address).await;
    for path in [CHECK, WATCH, REFLECTION, OLD_REFLECTION] {
        let (response, _stream) = half_open(&sender, path, DECLARED).await;
        let status = status(response).await;
        assert_eq!(status.code(), Code::ResourceExhausted, "{path}: {status:?}");
        assert_eq!(reason(&status), "MESSAGE_TOO_LARGE");
    }
    others_notice_nothing(&world).await;
}

#[tokio::test]
async fn a_reflection_stream_does_not_end_with_ok_at_what_cannot_be_read() {
    let timeout = std::time::Duration::from_millis(300);
    let world = World::with(|setup| setup.server.body_timeout = timeout).await;
    let sender = http2(world.address).await;
    let cases: [(&[u8], Code, &str); 2] = [
        // A length without its bytes: a string of five that has one.
        (
            b"\0\0\0\0\x03\x1a\x05a",
            Code::Internal,
            "MALFORMED_MESSAGE",
        ),
        // A message that does not arrive.
        (
            b"\0\0\0\0\x03\x1a",
            Code::DeadlineExceeded,
            "REQUEST_STALLED",
        ),
    ];
    for path in [REFLECTION, OLD_REFLECTION] {
        for (body, code, expected) in cases {
            let (response, _stream) = half_open(&sender, path, body).await;
            let status = status(response).await;
            assert_eq!(status.code(), code, "{path}: {status:?}");
            assert_eq!(reason(&status), expected);
        }
    }
}

/// Opens watches until one is refused; gives how many were accepted.
async fn watches(sender: &SendRequest<Bytes>) -> (usize, Vec<h2::RecvStream>) {
    let mut open = Vec::new();
    loop {
        let (response, mut stream) = half_open(sender, WATCH, b"\0\0\0\0\0").await;
        stream.send_data(Bytes::new(), true).unwrap();
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
    // Of the watches of all, one peer leaves a fifth to others.
    for (total, by_peer, expected) in [(10, 100, 8), (100, 7, 7)] {
        let world = World::with(|setup| {
            setup.server.max_watches = total;
            setup.server.max_pending_calls_per_peer = by_peer;
        })
        .await;
        let (accepted, open) = watches(&http2(world.address).await).await;
        assert_eq!(accepted, expected);
        if total == 10 {
            let other = connect_from(Ipv4Addr::new(127, 0, 0, 3), world.address).await;
            let (accepted, _open) = watches(&http2_over(other).await).await;
            assert_eq!(accepted, 1);
        }
        others_notice_nothing(&world).await;
        // Those that end leave their place.
        drop(open);
        let again = async { while watches(&http2(world.address).await).await.0 == 0 {} };
        soon(again).await;
    }
}
