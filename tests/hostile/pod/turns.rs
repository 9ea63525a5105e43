//! Clients that take what others wait for, by not reading.

use super::{attacker::Attacker, measure::withstands, process::Variant};
use crate::{
    attacker::{
        DATA, END_HEADERS, END_STREAM, GENERATE, GENERATE_STREAM, HEADERS, PROCESS_ITEMS, SETTINGS,
        begun, frame, request_headers, streams,
    },
    support::{ask, streamed},
};
use bytes::Bytes;
use claude_grpc::proto::v1::{
    Item, ProcessItemsRequest, item::Request as ItemRequest, process_items_request::Content,
};
use futures::future::join_all;
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat().into()
}

/// 210 calls with a window of zero.
fn calls_without_a_window(path: &'static str, message: &[u8]) {
    let message = framed(message);
    withstands(Variant::default(), async |attacker: Attacker| {
        let Some(sender) = attacker.http2(0).await else {
            return;
        };
        let calls = (0..210).map(|_| attacker.call(&sender, path, &[], message.clone()));
        join_all(calls).await;
    });
}

#[test]
#[ignore = "an attack on a pod"]
fn streams_without_a_window() {
    calls_without_a_window(GENERATE_STREAM, &streamed(ask("hello")).encode_to_vec());
}

#[test]
#[ignore = "an attack on a pod"]
fn answers_without_a_window() {
    calls_without_a_window(GENERATE, &ask("hello").encode_to_vec());
}

/// A hundred streams a connection, whose items are many more than the calls that may run.
/// Each has a copy of the metadata of its stream.
#[test]
#[ignore = "an attack on a pod"]
fn items_whose_results_nothing_reads() {
    let item = Content::Item(Item {
        request: Some(ItemRequest::Generate(ask("hello"))),
        ..Item::default()
    });
    let item = ProcessItemsRequest {
        content: Some(item),
    };
    let items = Bytes::from(framed(&item.encode_to_vec()).repeat(40));
    let names: Vec<String> = (0..200).map(|number| format!("x-{number}")).collect();
    let metadata: Vec<_> = names.iter().map(|name| (name.as_str(), "text")).collect();
    withstands(Variant::default(), async |attacker: Attacker| {
        let connections = (0..2).map(|_| async {
            let Some(sender) = attacker.http2(0).await else {
                return;
            };
            let calls =
                (0..100).map(|_| attacker.call(&sender, PROCESS_ITEMS, &metadata, items.clone()));
            join_all(calls).await;
        });
        join_all(connections).await;
    });
}

/// As many calls as the connections take, each within the limits.
#[test]
#[ignore = "an attack on a pod"]
fn calls_without_a_pause() {
    let message = framed(&ask("hello").encode_to_vec());
    withstands(Variant::default(), async |attacker: Attacker| {
        let connections = (0..4).map(|_| async {
            while attacker.goes_on() {
                let Some(sender) = attacker.http2(65_535).await else {
                    continue;
                };
                let call = || attacker.call(&sender, GENERATE, &[], message.clone());
                let callers =
                    (0..250).map(|_| async { while attacker.goes_on() && call().await {} });
                join_all(callers).await;
            }
        });
        join_all(connections).await;
    });
}

/// CVE-2019-9511, CVE-2019-9517: windows are open, and nothing reads the socket.
#[test]
#[ignore = "an attack on a pod"]
fn sockets_that_nothing_reads() {
    let message = framed(&streamed(ask(&"hello ".repeat(1_000))).encode_to_vec());
    withstands(Variant::default(), async |attacker: Attacker| {
        let headers = request_headers(GENERATE_STREAM, &[("x-api-key", attacker.key())]);
        let window = [&[0, 4][..], &0x7fff_ffff_u32.to_be_bytes()].concat();
        let mut requests = [begun(), frame(SETTINGS, 0, 0, &window)].concat();
        for stream in streams(50) {
            requests.extend(frame(HEADERS, END_HEADERS, stream, &headers));
            requests.extend(frame(DATA, END_STREAM, stream, &message));
        }
        let connections = (0..4).map(|_| async {
            let Ok(mut io) = attacker.connect().await else {
                return;
            };
            if io.write_all(&requests).await.is_ok() {
                while attacker.goes_on() {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
            let _ = io.shutdown().await;
            let _ = io.read_to_end(&mut Vec::new()).await;
            attacker.note("closed");
        });
        join_all(connections).await;
    });
}
