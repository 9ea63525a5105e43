//! Heads of requests that are made to be expensive.

use super::{attacker::Attacker, measure::withstands, process::Variant};
use crate::attacker::{
    CONTINUATION, END_HEADERS, END_STREAM, GENERATE, HEADERS, frame, hpack_text, request_headers,
    streams,
};
use bytes::Bytes;

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
