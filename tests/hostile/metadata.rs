//! Calls with more metadata than the service accepts. Each costs itself, and the
//! other calls on its connection go on.

use crate::{
    attacker::{CHECK, GENERATE, half_open, http2, others_notice_nothing, status},
    support::{World, ask, connect, pushback, reason, soon, streamed},
};
use bytes::{BufMut, Bytes, BytesMut};
use h2::{Reason, client::ResponseFuture, client::SendRequest};
use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message;
use tonic::{Code, Request, Status, metadata::MetadataMap};
use tonic_types::StatusExt;

/// The documented limit, in bytes.
const LIMIT: usize = 16 * 1024;

/// What HTTP/2 adds to each name and value, in bytes.
const OVERHEAD: usize = 32;

/// One entry that counts with this size.
fn one_value(bytes: usize) -> HeaderMap {
    let name = HeaderName::from_static("x-large");
    let value = "v".repeat(bytes - name.as_str().len() - OVERHEAD);
    HeaderMap::from_iter([(name, HeaderValue::from_str(&value).unwrap())])
}

/// So many entries with names of their own.
fn keys(count: usize) -> HeaderMap {
    let entries = (0..count).map(|index| {
        let name: HeaderName = format!("x-{index}").parse().unwrap();
        (name, HeaderValue::from_static("v"))
    });
    entries.collect()
}

/// The message of a call, with its prefix.
fn message(text: &str) -> Bytes {
    let message = ask(text).encode_to_vec();
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap());
    framed.put_slice(&message);
    framed.freeze()
}

/// Sends the head of a call that has no message.
async fn send(sender: &SendRequest<Bytes>, path: &str, metadata: HeaderMap) -> ResponseFuture {
    let mut sender = soon(sender.clone().ready()).await.unwrap();
    let mut request = http::Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    request.headers_mut().extend(metadata);
    sender.send_request(request, true).unwrap().0
}

fn assert_too_large(status: &Status) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(reason(status), "METADATA_TOO_LARGE");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["maxBytes"], LIMIT.to_string());
    assert!(status.message().contains("16384 bytes"), "{status:?}");
    assert_eq!(pushback(status), Some("-1"));
}

#[tokio::test]
async fn too_much_metadata_costs_its_own_call() {
    let world = World::start().await;
    let sender = http2(world.address).await;
    // A call that has begun on the same connection.
    let (response, mut stream) = half_open(&sender, GENERATE, b"").await;
    for path in [GENERATE, CHECK] {
        for metadata in [one_value(LIMIT + 1), keys(2_000), one_value(120_000)] {
            let refused = send(&sender, path, metadata).await;
            assert_too_large(&status(refused).await);
        }
    }
    assert_eq!(world.attempts(), 0);
    stream.send_data(message("hello"), true).unwrap();
    assert_eq!(status(response).await.code(), Code::Ok);
    others_notice_nothing(&world).await;
}

#[tokio::test]
async fn what_the_library_does_not_read_gets_http_431() {
    let world = World::start().await;
    let sender = http2(world.address).await;
    let (response, mut stream) = half_open(&sender, GENERATE, b"").await;
    for metadata in [keys(5_000), keys(12_000), one_value(180_000)] {
        let refused = soon(send(&sender, GENERATE, metadata).await).await.unwrap();
        assert_eq!(refused.status(), 431);
    }
    stream.send_data(message("hello"), true).unwrap();
    assert_eq!(status(response).await.code(), Code::Ok);
    others_notice_nothing(&world).await;
}

#[tokio::test]
async fn far_too_much_metadata_closes_its_connection() {
    let world = World::start().await;
    let sender = http2(world.address).await;
    let refused = send(&sender, GENERATE, one_value(400_000)).await;
    let error = soon(refused).await.unwrap_err();
    // The connection may be reset before the GOAWAY is read.
    if error.is_go_away() {
        assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM));
    }
    others_notice_nothing(&world).await;
}

#[tokio::test]
async fn a_grpc_client_reads_the_status() {
    let world = World::start().await;
    let mut grpc = connect(world.address);
    let mut large = Request::new(ask("hello"));
    *large.metadata_mut() = MetadataMap::from_headers(one_value(LIMIT));
    assert_too_large(&soon(grpc.generate(large)).await.unwrap_err());
    let mut large = Request::new(streamed(ask("hello")));
    *large.metadata_mut() = MetadataMap::from_headers(keys(2_000));
    assert_too_large(&soon(grpc.generate_stream(large)).await.unwrap_err());
    let mut large = Request::new(ask("hello"));
    *large.metadata_mut() = MetadataMap::from_headers(one_value(LIMIT - 1024));
    soon(grpc.generate(large)).await.unwrap();
}
