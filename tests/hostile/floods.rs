//! Connections that attack HTTP/2 itself, frame by frame. Each is closed, and
//! callers on other connections notice nothing.

use crate::{
    attacker::{
        CONTINUATION, DATA, END_HEADERS, GENERATE, GOAWAY, HEADERS, PING, RST_STREAM, begun, frame,
        others_notice_nothing, request_headers, streams,
    },
    support::{World, soon},
};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Sends frames until the peer closes or all are sent; then waits for the end
/// of the connection. Gives the error code of the GOAWAY, if one came.
async fn attack(address: SocketAddr, frames: impl Iterator<Item = Vec<u8>>) -> Option<u32> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let reading = tokio::spawn(async move {
        let mut received = Vec::new();
        // A reset instead of an end is an end as well.
        let _ = reader.read_to_end(&mut received).await;
        goaway(&received)
    });
    let mut sent = writer.write_all(&begun()).await;
    for frame in frames {
        if sent.is_err() {
            break;
        }
        sent = writer.write_all(&frame).await;
    }
    soon(reading).await.unwrap()
}

fn goaway(mut received: &[u8]) -> Option<u32> {
    let mut code = None;
    while received.len() >= 9 {
        let length = u32::from_be_bytes([0, received[0], received[1], received[2]]) as usize;
        let payload = received.get(9..9 + length)?;
        if received[3] == GOAWAY {
            code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        received = &received[9 + length..];
    }
    code
}

#[tokio::test]
async fn rapid_reset() {
    let world = World::start().await;
    let headers = request_headers(GENERATE, &[]);
    let resets = streams(100_000).map(|stream| {
        let mut both = frame(HEADERS, END_HEADERS, stream, &headers);
        both.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        both
    });
    const ENHANCE_YOUR_CALM: u32 = 0xb;
    let code = attack(world.address, resets).await;
    // The connection may be reset before the GOAWAY is read.
    assert!(matches!(code, Some(ENHANCE_YOUR_CALM) | None), "{code:?}");
    others_notice_nothing(&world).await;
}

#[tokio::test]
async fn headers_without_an_end() {
    let world = World::start().await;
    let first = frame(HEADERS, 0, 1, &request_headers(GENERATE, &[]));
    // Literals that are never complete in sight: 16 KiB a frame, without end.
    let more = frame(CONTINUATION, 0, 1, &vec![0_u8; 16 * 1024]);
    let frames = std::iter::once(first).chain(std::iter::repeat_n(more, 10_000));
    attack(world.address, frames).await;
    others_notice_nothing(&world).await;
}

#[tokio::test]
async fn empty_continuations() {
    let world = World::start().await;
    let first = frame(HEADERS, 0, 1, &request_headers(GENERATE, &[]));
    let more = frame(CONTINUATION, 0, 1, &[]);
    let frames = std::iter::once(first).chain(std::iter::repeat_n(more, 1_000_000));
    attack(world.address, frames).await;
    others_notice_nothing(&world).await;
}

#[tokio::test]
async fn empty_data() {
    let world = World::start().await;
    let first = frame(HEADERS, END_HEADERS, 1, &request_headers(GENERATE, &[]));
    let more = frame(DATA, 0, 1, &[]);
    let frames = std::iter::once(first).chain(std::iter::repeat_n(more, 1_000_000));
    attack(world.address, frames).await;
    others_notice_nothing(&world).await;
}

#[tokio::test]
async fn what_is_not_http2_at_all() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut received = Vec::new();
    let _ = soon(stream.read_to_end(&mut received)).await;
    others_notice_nothing(&world).await;
}

#[tokio::test]
async fn pings_without_end_do_not_starve_the_others() {
    let world = World::start().await;
    let address = world.address;
    let flood = tokio::spawn(async move {
        let pings = std::iter::repeat_n(frame(PING, 0, 0, &[0; 8]), 200_000);
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(&begun()).await;
        for ping in pings {
            if stream.write_all(&ping).await.is_err() {
                break;
            }
        }
    });
    for _ in 0..20 {
        others_notice_nothing(&world).await;
    }
    flood.abort();
}
