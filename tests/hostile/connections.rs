//! Connections that never come to a request.

use crate::{
    attacker::{
        CONTINUATION, HEADERS, PREFACE, begun, closed, connect, connect_from, connect_tls, dribble,
        frame, others_notice_nothing, tls_of,
    },
    certificates::Ca,
    support::{World, soon},
};
use claude_grpc::server::ServerConfig;
use std::{net::Ipv4Addr, time::Duration};
use tokio::{io::AsyncReadExt, net::TcpStream};

/// Long enough for a good client's handshake on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(1);

async fn world(change: impl FnOnce(&mut ServerConfig)) -> World {
    World::with(|setup| {
        setup.server.handshake_timeout = TIMEOUT;
        change(&mut setup.server);
    })
    .await
}

/// Byte by byte, without an end in sight.
fn slowly(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let endless = std::iter::repeat_n(b'a', 10_000);
    let bytes: Vec<u8> = bytes.iter().copied().chain(endless).collect();
    bytes.into_iter().map(|byte| vec![byte])
}

#[tokio::test]
async fn a_preface_that_does_not_end_ends_the_connection() {
    for grpc_web in [false, true] {
        let world = world(|config| config.grpc_web = grpc_web).await;
        let nothing = || std::iter::empty();
        for start in [&b""[..], b"P", &PREFACE[..20], PREFACE, &begun()[..30]] {
            let attack = dribble(connect(world.address).await, start, nothing());
            tokio::join!(attack, others_notice_nothing(&world));
        }
        let pieces: Vec<Vec<u8>> = PREFACE[1..23].iter().map(|byte| vec![*byte]).collect();
        // The pauses are longer than the time that there is.
        let stream = connect(world.address).await;
        dribble(stream, &PREFACE[..1], pieces.into_iter().cycle().take(500)).await;
        others_notice_nothing(&world).await;
    }
}

#[tokio::test]
async fn the_same_behind_a_tls_handshake() {
    let directory = tempfile::tempdir().unwrap();
    let ca = Ca::new();
    let tls = tls_of(&ca, directory.path());
    let world = world(|config| config.tls = tls).await;
    for start in [&b""[..], b"P", &begun()[..30]] {
        let stream = connect_tls(world.address, &ca.pem()).await;
        dribble(stream, start, std::iter::empty()).await;
    }
    // The handshake itself: the beginning of a ClientHello.
    let stream = connect(world.address).await;
    dribble(stream, &[0x16, 0x03, 0x01, 0x02, 0x00], std::iter::empty()).await;
    let good = ca.connect(&world.address.to_string(), None).await.unwrap();
    let mut grpc = claude_grpc::proto::v1::claude_service_client::ClaudeServiceClient::new(good);
    soon(grpc.generate(crate::support::ask("hello")))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_head_that_does_not_end_ends_the_connection() {
    let world = world(|config| config.grpc_web = true).await;
    let start = [begun(), frame(HEADERS, 0, 1, &[0x83, 0x86])].concat();
    let continuations = std::iter::repeat_n(frame(CONTINUATION, 0, 1, &[0x83]), 500);
    dribble(connect(world.address).await, &start, continuations).await;

    // In a frame of 100 bytes.
    let mut cut = frame(HEADERS, 4, 1, &[0x83; 100]);
    cut.truncate(20);
    let start = [begun(), cut].concat();
    dribble(connect(world.address).await, &start, std::iter::empty()).await;

    let head = b"POST /claude.v1.ClaudeService/Generate HTTP/1.1\r\nx-";
    dribble(connect(world.address).await, b"", slowly(head).take(500)).await;
    others_notice_nothing(&world).await;
}

#[tokio::test]
async fn one_peer_cannot_have_all_connections() {
    // Two of eight.
    let world = World::with(|setup| setup.server.max_connections = 8).await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(connect(world.address).await);
    }
    for _ in 0..20 {
        closed(connect(world.address).await).await;
        others_notice_nothing(&world).await;
    }
    // Those within the limit are still there, and leave their place.
    for stream in &mut silent {
        assert!(stays_open(stream).await);
    }
    drop(silent);
    let again = async { while !stays_open(&mut connect(world.address).await).await {} };
    soon(again).await;
}

#[tokio::test]
async fn a_new_peer_finds_room_among_idle_connections() {
    let world = World::with(|setup| {
        setup.server.max_connections = 12;
        setup.server.max_connections_per_peer = Some(4);
        setup.server.handshake_timeout = Duration::from_secs(600);
    })
    .await;
    let mut held = Vec::new();
    for index in 0..12 {
        let source = Ipv4Addr::new(127, 0, 0, 2 + index / 4);
        held.push(connect_from(source, world.address).await);
    }
    for _ in 0..5 {
        others_notice_nothing(&world).await;
    }
    closed(held.remove(0)).await;
    for stream in &mut held[8..] {
        assert!(stays_open(stream).await);
    }
}

/// Whether the peer does not close at once.
async fn stays_open(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    let read = stream.read(&mut byte);
    tokio::time::timeout(Duration::from_millis(50), read)
        .await
        .is_err()
}
