//! Heads of requests that are made to be expensive.

use super::{attacker::Attacker, measure::withstands, process::Variant};
use crate::attacker::{
    CONTINUATION, END_HEADERS, END_STREAM, GENERATE, HEADERS, begun, frame, hpack_text,
    request_headers, streams,
};
use bytes::Bytes;
use futures::future::join_all;
use std::{io, net::Ipv4Addr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::sleep,
};

/// Requests with further bytes in their headers, in as many frames as these need.
fn floods_blocks(block: impl Fn(u32) -> Vec<u8> + Sync) {
    withstands(Variant::default(), async |attacker: Attacker| {
        while attacker.goes_on() {
            let key = attacker.key().to_owned();
            let requests = streams(1 << 20).map(|stream| {
                let mut headers = request_headers(GENERATE, &[("x-api-key", &key)]);
                headers.extend(block(stream));
                split(stream, &headers)
            });
            attacker.flood(requests).await;
        }
    });
}

fn split(stream: u32, headers: &[u8]) -> Vec<u8> {
    let mut pieces = headers.chunks(16 * 1024).peekable();
    let (mut frames, mut kind) = (Vec::new(), HEADERS);
    while let Some(piece) = pieces.next() {
        let last = if pieces.peek().is_none() {
            END_HEADERS
        } else {
            0
        };
        let end = if kind == HEADERS { END_STREAM } else { 0 };
        frames.extend(frame(kind, last | end, stream, piece));
        kind = CONTINUATION;
    }
    frames
}

/// A header in HPACK that stays in the table of the connection.
fn indexed(name: &str, value: &str) -> Vec<u8> {
    [vec![0x40], hpack_text(name), hpack_text(value)].concat()
}

/// CVE-2016-6581: a header of 4 KB, named again by a byte each.
#[test]
#[ignore = "an attack on a pod"]
fn hpack_bomb() {
    let value = "x".repeat(4_000);
    floods_blocks(move |stream| match stream {
        1 => indexed("x", &value),
        _ => vec![0x80 | 62; 15_000],
    });
}

/// The same, just below the limit of a request.
#[test]
#[ignore = "an attack on a pod"]
fn hpack_bomb_below_the_limit() {
    let value = "x".repeat(4_000);
    floods_blocks(move |stream| match stream {
        1 => indexed("x", &value),
        _ => vec![0x80 | 62; 3],
    });
}

/// Each value replaces all others in the table.
#[test]
#[ignore = "an attack on a pod"]
fn values_as_large_as_the_table() {
    let value = "x".repeat(4_000);
    floods_blocks(move |stream| indexed(&format!("x{stream}"), &value));
}

#[test]
#[ignore = "an attack on a pod"]
fn values_larger_than_the_table() {
    let value = "x".repeat(15_000);
    floods_blocks(move |_| indexed("x", &value));
}

#[test]
#[ignore = "an attack on a pod"]
fn sizes_of_the_table_again_and_again() {
    floods_blocks(|_| [0x20, 0x3f, 0xe1, 0x1f].repeat(1_000));
}

/// CVE-2019-9516: names and values of no length.
#[test]
#[ignore = "an attack on a pod"]
fn headers_of_no_length() {
    floods_blocks(|_| [0x00, 0, 0].repeat(3_000));
}

/// Hundreds of crumbs of one cookie.
#[test]
#[ignore = "an attack on a pod"]
fn cookies_in_crumbs() {
    floods_blocks(|_| indexed("cookie", "a=b").repeat(350));
}

/// 2,000 keys of metadata: more than the documented limit, and less than what ends
/// the connection, on which other calls go on.
#[test]
#[ignore = "an attack on a pod"]
fn metadata_beyond_the_limit_costs_its_own_call() {
    let keys: Vec<String> = (0..2_000).map(|index| format!("k{index}")).collect();
    let headers: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    withstands(Variant::default(), async |attacker: Attacker| {
        while attacker.goes_on() {
            let Some(sender) = attacker.http2(65_535).await else {
                continue;
            };
            let other = attacker.begin(&sender, GENERATE, &[], Bytes::new()).await;
            let (response, mut stream) = other.unwrap();
            for _ in 0..10 {
                attacker
                    .call(&sender, GENERATE, &headers, Bytes::new())
                    .await;
            }
            let _ = stream.send_data(Bytes::from_static(b"\0\0\0\0\0"), true);
            let answered = response.await;
            assert!(answered.is_ok(), "another call ended: {answered:?}");
        }
    });
}

/// Names that a head refers to in one byte each: the last ones of the table.
const NAMES: usize = 60;

/// Number of calls that a connection may have at once.
const CALLS: u32 = 250;

/// The heads of calls without a message. The first one fills the table with the headers
/// that all of them have and [`NAMES`] others, to which each refers this number of times.
fn heads(key: Option<&str>, calls: u32, references: usize) -> Vec<u8> {
    let mut usual = vec![
        (":path", GENERATE),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    usual.extend(key.map(|key| ("x-api-key", key)));
    let post = [0x83, 0x86]; // :method POST, :scheme http
    let mut first = post.to_vec();
    for (name, value) in &usual {
        first.extend(indexed(name, value));
    }
    for name in 0..NAMES {
        first.extend(indexed(&format!("{name:02}"), ""));
    }
    // In the table, the last entry is the first.
    let entry = |age: usize| match 62 + age {
        index @ ..127 => vec![0x80 | index as u8],
        index => vec![0xff, (index - 127) as u8],
    };
    let usual = (0..usual.len()).rev().map(|age| entry(NAMES + age));
    let others = (0..references).map(|reference| entry(reference % NAMES));
    let next = [post.to_vec(), usual.chain(others).flatten().collect()].concat();
    let heads = streams(calls).map(|stream| {
        let head = if stream == 1 { &first } else { &next };
        frame(HEADERS, END_HEADERS, stream, head)
    });
    [begun(), heads.flatten().collect()].concat()
}

/// References with which a head is just below the limit of metadata.
const MANY: usize = 460;

/// References with which a head is not yet one of many headers.
const FEW: usize = 26;

/// Sends heads over a connection without reading, until the attack must end. Then reads
/// what came back.
async fn send_heads<I>(attacker: &Attacker, io: io::Result<I>, heads: &[u8])
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let Ok(mut io) = io else { return };
    let ended = async {
        while !attacker.is_stopped() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let sending = async {
        let _ = io.write_all(heads).await;
        std::future::pending().await
    };
    tokio::select! {
        () = ended => {}
        () = sending => {}
    }
    let _ = io.shutdown().await;
    let _ = io.read_to_end(&mut Vec::new()).await;
    attacker.note("closed");
}

/// Over this number of connections, each from the next of these addresses.
fn sends_heads(connections: usize, addresses: usize, with_key: bool, references: usize) {
    withstands(Variant::default(), async |attacker: Attacker| {
        let heads = heads(with_key.then(|| attacker.key()), CALLS, references);
        let connections = (0..connections).map(|number| {
            let address = Ipv4Addr::new(127, 0, 0, 2 + (number % addresses) as u8);
            let (attacker, heads) = (&attacker, &heads);
            async move {
                send_heads(attacker, attacker.connect_from(address).await, heads).await;
            }
        });
        join_all(connections).await;
    });
}

/// A hundred times as large as they are sent, if all were kept as they are decoded.
#[test]
#[ignore = "an attack on a pod"]
fn heads_of_references() {
    sends_heads(80, 1, false, MANY);
}

#[test]
#[ignore = "an attack on a pod"]
fn heads_of_references_over_tls() {
    let variant = Variant {
        tls: true,
        ..Variant::default()
    };
    withstands(variant, async |attacker: Attacker| {
        let heads = heads(None, CALLS, MANY);
        // As many as it may send: without its alert, TLS does not end.
        let connections = (0..40).map(|_| async {
            send_heads(&attacker, attacker.connect_tls().await, &heads).await;
        });
        join_all(connections).await;
    });
}

/// Calls that begin and wait for their messages.
#[test]
#[ignore = "an attack on a pod"]
fn heads_of_references_with_credentials() {
    sends_heads(80, 20, true, MANY);
}

#[test]
#[ignore = "an attack on a pod"]
fn heads_of_few_references() {
    sends_heads(400, 1, false, FEW);
}

#[test]
#[ignore = "an attack on a pod"]
fn heads_of_few_references_with_credentials() {
    sends_heads(400, 20, true, FEW);
}

/// The smallest heads: the first ones have responses that fill the socket, and those of
/// the others wait for it.
#[test]
#[ignore = "an attack on a pod"]
fn heads_whose_responses_nothing_reads() {
    withstands(Variant::default(), async |attacker: Attacker| {
        let heads = heads(None, 2 * CALLS, 0);
        let connections = (0..500_usize).map(|number| {
            let address = Ipv4Addr::new(127, 0, 0, 2 + (number % 4) as u8);
            let (attacker, heads) = (&attacker, &heads);
            async move {
                let io = attacker.connect_with_a_small_buffer(address).await;
                send_heads(attacker, io, heads).await;
            }
        });
        join_all(connections).await;
    });
}
