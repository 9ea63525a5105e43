//! Callers that do not read what they asked for.

use crate::{
    attacker::{
        CHECK, DATA, END_HEADERS, END_STREAM, GENERATE, GENERATE_STREAM, HEADERS, PING, PREFACE,
        RST_STREAM, SETTINGS, connect, connect_tls, frame, others_notice_nothing, request_headers,
        streams, tls_of,
    },
    certificates::Ca,
    support::{PATIENCE, World, ask, soon, streamed},
};
use claude_grpc::{server::TlsConfig, simulator::Behaviour};
use prost::Message as _;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// `SETTINGS_INITIAL_WINDOW_SIZE`.
const WINDOW: [u8; 2] = [0, 4];

/// The error code of a stream that is no longer needed.
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// The flag of the answer to a PING.
const ACK: u8 = 0x1;

/// Time enough for every answer to arrive on a slow machine.
const STALL: Duration = Duration::from_secs(2);

const CALLS: u32 = 10;

/// The preface and SETTINGS with this window for each stream.
fn begun(window: u32) -> Vec<u8> {
    let setting = [&WINDOW[..], &window.to_be_bytes()].concat();
    [PREFACE, &frame(SETTINGS, 0, 0, &setting)].concat()
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [&[0][..], &length.to_be_bytes(), message].concat()
}

/// What is asked by this method.
fn question(path: &str) -> Vec<u8> {
    framed(&match path {
        GENERATE => ask("hello").encode_to_vec(),
        _ => streamed(ask("hello")).encode_to_vec(),
    })
}

/// Complete calls on streams of their own.
fn calls(path: &str) -> Vec<u8> {
    let (head, body) = (request_headers(path, &[]), question(path));
    let call = |stream| {
        [
            frame(HEADERS, END_HEADERS, stream, &head),
            frame(DATA, END_STREAM, stream, &body),
        ]
    };
    streams(CALLS).flat_map(call).flatten().collect()
}

/// Reads until a frame of this kind comes: its flags, stream and payload.
async fn next(reader: &mut (impl AsyncRead + Unpin), kind: u8) -> (u8, u32, Vec<u8>) {
    loop {
        let mut head = [0; 9];
        reader.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        reader.read_exact(&mut payload).await.unwrap();
        if head[3] == kind {
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            return (head[4], stream, payload);
        }
    }
}

/// Calls without a window for their answers: they give their places back, then each
/// stream is reset, and the connection goes on. Returns when the places were back.
async fn reset_after(
    world: &World,
    io: impl AsyncRead + AsyncWrite,
    path: &str,
    window: u32,
) -> Duration {
    let (mut reader, mut writer) = tokio::io::split(io);
    let began = Instant::now();
    let sent = [begun(window), calls(path)].concat();
    writer.write_all(&sent).await.unwrap();
    let all = u64::from(CALLS);
    soon(world.simulator.until(|counts| counts.requests == all)).await;

    let given_back = async {
        while world.drain.running() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    };
    let reset = async {
        let mut reset = BTreeSet::new();
        while reset.len() < CALLS as usize {
            let (_, stream, code) = next(&mut reader, RST_STREAM).await;
            assert_eq!(code, CANCEL);
            assert!(reset.insert(stream), "twice");
        }
        assert!(reset.into_iter().eq(streams(CALLS)));
    };
    let (after, ()) = soon(async { tokio::join!(given_back, reset) }).await;

    let ping = frame(PING, 0, 0, b"is there");
    writer.write_all(&ping).await.unwrap();
    let ponged = async { while next(&mut reader, PING).await.0 != ACK {} };
    soon(ponged).await;
    after
}

async fn world(tls: TlsConfig) -> World {
    World::with(|setup| {
        setup.server.stall_timeout = STALL;
        setup.server.tls = tls;
    })
    .await
}

#[tokio::test]
async fn a_response_that_is_not_read_gives_its_place_back_and_is_reset() {
    // Nothing is taken, or a part of a large message.
    let rows = [
        (GENERATE, 0, None),
        (GENERATE, 1, None),
        (GENERATE, 10, Some(Behaviour::Deltas(20_000))),
        (GENERATE_STREAM, 0, None),
        (GENERATE_STREAM, 10, Some(Behaviour::Deltas(20_000))),
    ];
    let rows = rows.map(|(path, window, behaviour)| async move {
        let world = world(TlsConfig::default()).await;
        world.simulator.always(behaviour);
        let io = connect(world.address).await;
        let after = reset_after(&world, io, path, window).await;
        assert!(after >= STALL / 2, "{after:?}");
        world.simulator.always(None);
        others_notice_nothing(&world).await;
    });
    futures::future::join_all(rows).await;
}

#[tokio::test]
async fn so_does_one_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let ca = Ca::new();
    let tls = tls_of(&ca, directory.path());
    let rows = [GENERATE, GENERATE_STREAM].map(|path| async {
        let world = world(tls.clone()).await;
        let io = connect_tls(world.address, &ca.pem()).await;
        let after = reset_after(&world, io, path, 0).await;
        assert!(after >= STALL / 2, "{after:?}");
    });
    futures::future::join_all(rows).await;
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_reset_after_its_deadline() {
    let world = World::with(|setup| {
        setup.server.max_deadline = STALL;
    })
    .await;
    let io = connect(world.address).await;
    let after = reset_after(&world, io, GENERATE_STREAM, 0).await;
    assert!(after >= STALL / 2, "{after:?}");
    others_notice_nothing(&world).await;
}

/// With HTTP/1.1, the connection is the stream.
#[tokio::test]
async fn a_connection_of_grpc_web_that_is_not_read_is_closed() {
    let world = World::with(|setup| {
        setup.server.grpc_web = true;
        setup.server.stall_timeout = STALL;
        // What is sent below is not the head of a request that is overdue.
        setup.server.handshake_timeout = 3 * PATIENCE;
    })
    .await;
    // More than the buffers of its socket.
    world.simulator.next([Behaviour::Deltas(100_000_000)]);
    let mut io = connect(world.address).await;
    let body = question(GENERATE_STREAM);
    let head = format!(
        "POST {GENERATE_STREAM} HTTP/1.1\r\nhost: localhost\r\n\
         content-type: application/grpc-web+proto\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let sent = [head.as_bytes(), &body].concat();
    io.write_all(&sent).await.unwrap();
    soon(world.simulator.until(|counts| counts.requests == 1)).await;
    let began = Instant::now();
    // What is sent meets a closed socket in the end.
    while io.write_all(b" ").await.is_ok() {
        assert!(began.elapsed() < 2 * PATIENCE, "it stays open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(began.elapsed() >= STALL, "{:?}", began.elapsed());
    assert_eq!(world.drain.running(), 0);
    others_notice_nothing(&world).await;
}

/// Its window has room for a part of it, which the HTTP library takes as a whole.
#[tokio::test]
async fn a_response_that_is_sent_in_part_counts_as_its_peers() {
    let world = World::with(|setup| setup.server.max_pending_calls_per_peer = 7).await;
    let mut io = connect(world.address).await;
    let head = request_headers(CHECK, &[]);
    let checks = streams(CALLS).flat_map(|stream| {
        [
            frame(HEADERS, END_HEADERS, stream, &head),
            frame(DATA, END_STREAM, stream, &framed(&[])),
        ]
    });
    let sent: Vec<u8> = [begun(1)].into_iter().chain(checks).flatten().collect();
    io.write_all(&sent).await.unwrap();
    let mut rejected = 0;
    for _ in 0..CALLS {
        let (flags, ..) = soon(next(&mut io, HEADERS)).await;
        rejected += u32::from(flags & END_STREAM > 0);
    }
    assert_eq!(rejected, CALLS - 7);
    others_notice_nothing(&world).await;
}

#[tokio::test]
async fn a_slow_reader_of_a_large_unary_response_is_left_alone() {
    let world = World::with(|setup| setup.server.stall_timeout = STALL).await;
    // Several times the window.
    world.simulator.next([Behaviour::Deltas(100_000)]);
    let stream = connect(world.address).await;
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut sender = soon(sender.ready()).await.unwrap();
    let request = http::Request::post(format!("http://localhost{GENERATE}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    let framed = framed(&ask("count").encode_to_vec());
    body.send_data(framed.into(), true).unwrap();
    let mut answer = soon(response).await.unwrap().into_body();
    let (began, mut size) = (Instant::now(), 0);
    while let Some(data) = soon(answer.data()).await {
        let data = data.unwrap();
        size += data.len();
        // Comes back several times in the stall timeout.
        tokio::time::sleep(STALL / 16).await;
        let _ = answer.flow_control().release_capacity(data.len());
    }
    let trailers = soon(answer.trailers()).await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert!(size > 200_000, "{size}");
    assert!(began.elapsed() > 2 * STALL, "it was not slow");
}
