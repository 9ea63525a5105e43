//! Callers that do not read what they asked for.

use crate::{
    attacker::{GENERATE, PREFACE, SETTINGS, connect, frame, others_notice_nothing},
    support::{World, ask, soon},
};
use claude_grpc::simulator::Behaviour;
use prost::Message as _;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// `SETTINGS_INITIAL_WINDOW_SIZE`.
const WINDOW: [u8; 2] = [0, 4];

/// Time enough for every answer to arrive on a slow machine.
const STALL: Duration = Duration::from_secs(2);

const CALLS: u32 = 10;

/// The preface and SETTINGS with this window for each stream.
fn begun(window: u32) -> Vec<u8> {
    let setting = [&WINDOW[..], &window.to_be_bytes()].concat();
    [PREFACE, &frame(SETTINGS, 0, 0, &setting)].concat()
}

/// Header fields without compression (RFC 7541, 6.2.2).
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("a short text"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A complete unary call.
fn call(stream: u32) -> Vec<u8> {
    let head = fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", GENERATE),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]);
    let message = ask("hello").encode_to_vec();
    let length = u32::try_from(message.len()).expect("a short message");
    let body = [&[0][..], &length.to_be_bytes(), &message].concat();
    [
        frame(HEADERS, END_HEADERS, stream, &head),
        frame(DATA, END_STREAM, stream, &body),
    ]
    .concat()
}

#[tokio::test]
async fn a_unary_response_that_is_not_read_gives_its_place_back() {
    // Nothing is taken, or a part of a large message.
    for (window, behaviour) in [(0, None), (10, Some(Behaviour::Deltas(20_000)))] {
        let world = World::with(|setup| setup.server.stall_timeout = STALL).await;
        world.simulator.always(behaviour);
        let mut stream = connect(world.address).await;
        let calls: Vec<u8> = (0..CALLS).flat_map(|number| call(2 * number + 1)).collect();
        let sent = [begun(window), calls].concat();
        stream.write_all(&sent).await.unwrap();
        let all = u64::from(CALLS);
        soon(world.simulator.until(|counts| counts.answered == all)).await;
        let answered = Instant::now();
        assert_eq!(world.drain.running(), CALLS as usize);

        let (mut reader, _writer) = stream.split();
        let mut received = Vec::new();
        // What arrives, so that the connection lives.
        let reading = reader.read_to_end(&mut received);
        let given_back = async {
            while world.drain.running() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = soon(given_back) => {}
            _ = reading => panic!("the connection was closed"),
        }
        let after = answered.elapsed();
        world.simulator.always(None);
        assert!(after >= STALL / 2, "{after:?}");
        others_notice_nothing(&world).await;
    }
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
    let message = ask("count").encode_to_vec();
    let length = u32::try_from(message.len()).expect("a short message");
    let framed = [&[0][..], &length.to_be_bytes(), &message].concat();
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
