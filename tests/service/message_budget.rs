//! The memory that messages may hold (`server.max_bytes_in_flight`).

use crate::{
    raw_grpc::{GENERATE, framed, post},
    support::{Setup, World, ask, http_client, reason, soon},
};
use bytes::Bytes;
use claude_grpc::proto::v1::GenerateRequest;
use futures::{StreamExt, future::join_all, stream};
use http::Request;
use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message as _;
use std::{convert::Infallible, time::Duration};
use tonic::{Code, Status};
use tonic_types::StatusExt;

const MIB: usize = 1024 * 1024;

fn budget_of(bytes: usize, timeout: Duration) -> impl FnOnce(&mut Setup) {
    move |setup| {
        setup.server.max_bytes_in_flight = Some(bytes);
        setup.server.bytes_timeout = timeout;
    }
}

/// As a client that follows `RetryInfo`.
async fn answered(world: &World, bytes: usize) -> u32 {
    answered_as(world, &ask(&"x".repeat(bytes))).await
}

async fn answered_as(world: &World, request: &GenerateRequest) -> u32 {
    let mut grpc = world.grpc.clone();
    for shed in 0..1_000 {
        let status = match grpc.generate(request.clone()).await {
            Ok(_) => return shed,
            Err(status) => status,
        };
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert_eq!(reason(&status), "OVERLOADED");
        let retry = status.get_details_retry_info().unwrap();
        tokio::time::sleep(retry.retry_delay.unwrap()).await;
    }
    panic!("never answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_messages_than_fit_are_all_answered() {
    let world = World::with(budget_of(4 * MIB, Duration::from_secs(10))).await;
    let shed: Vec<u32> = soon(join_all((0..64).map(|_| answered(&world, 300_000)))).await;
    println!("rejections by call: {shed:?}");
    // All was given back: so many of one peer fit, eight ninths.
    let shed: Vec<u32> = soon(join_all((0..9).map(|_| answered(&world, 390_000)))).await;
    assert_eq!(shed, [0; 9]);
}

/// Sends the beginning of a message that declares so many bytes, and no more.
async fn begin(world: &World, declared: u32, sent: usize) -> tokio::task::JoinHandle<()> {
    let mut head = vec![0];
    head.extend(declared.to_be_bytes());
    head.resize(5 + sent, b'x');
    let (written, was_written) = tokio::sync::oneshot::channel();
    let pieces = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from(head)))]);
    let never = stream::once(async {
        let _ = written.send(());
        std::future::pending().await
    });
    let request = Request::post(format!("http://{}{GENERATE}", world.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(StreamBody::new(pieces.chain(never))))
        .unwrap();
    let call = tokio::spawn(async move {
        let _ = http_client().request(request).await;
    });
    soon(was_written).await.unwrap();
    call
}

#[tokio::test]
async fn what_is_only_declared_takes_no_room() {
    let mut world = World::with(budget_of(4 * MIB, Duration::from_secs(10))).await;
    let mut calls = Vec::new();
    for _ in 0..100 {
        calls.push(begin(&world, 4 * MIB as u32 - 100, 1_000).await);
    }
    soon(world.grpc.generate(ask(&"x".repeat(3_900_000))))
        .await
        .unwrap();
    for call in calls {
        assert!(!call.is_finished(), "the message may still come");
        call.abort();
    }
}

#[tokio::test]
async fn a_message_that_finds_no_room_in_time_is_shed() {
    let world = World::with(budget_of(MIB, Duration::from_millis(50))).await;
    let held = begin(&world, 900_000, 700_000).await;
    let arrived = async {
        while world.messages.in_use() < 700_000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(arrived).await;
    let mut grpc = world.grpc.clone();
    let refused = soon(grpc.generate(ask(&"x".repeat(600_000)))).await;
    let status = refused.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(reason(&status), "OVERLOADED");
    assert!(status.message().contains("server.max_bytes_in_flight"));
    // A small one fits.
    soon(world.grpc.clone().generate(ask("small")))
        .await
        .unwrap();
    held.abort();
    soon(answered(&world, 600_000)).await;
}

#[tokio::test]
async fn a_message_larger_than_the_budget_is_too_large() {
    let mut world = World::with(budget_of(MIB, Duration::from_secs(10))).await;
    let large = world.grpc.generate(ask(&"x".repeat(2 * MIB)));
    let status = soon(large).await.unwrap_err();
    assert_eq!(reason(&status), "MESSAGE_TOO_LARGE", "{status:?}");
}

/// An element of two bytes is decoded as a struct of hundreds.
#[tokio::test]
async fn a_message_of_many_elements_is_rejected_before_it_is_decoded() {
    let world = World::with(budget_of(4 * MIB, Duration::from_secs(10))).await;
    const CLASSIFY: &str = "/claude.v1.ClaudeService/Classify";
    const SUBMIT_BATCH: &str = "/claude.v1.BatchService/SubmitBatch";
    for (path, field) in [
        (GENERATE, 2),
        (GENERATE, 3),
        (GENERATE, 5),
        (GENERATE, 6),
        (CLASSIFY, 2),
        (SUBMIT_BATCH, 2),
    ] {
        let elements = [field << 3 | 2, 0].repeat(MIB / 4);
        let answer = post(&world, path, &[], framed(&elements)).await;
        let status = answer.status();
        assert_eq!(reason(&status), "MESSAGE_TOO_LARGE", "{path} {field}");
        assert!(status.message().contains("server.max_bytes_in_flight"));
    }
    assert_eq!(world.messages.in_use(), 0);
}

#[tokio::test]
async fn what_a_message_takes_once_decoded_waits_for_room() {
    let world = World::with(budget_of(MIB, Duration::from_millis(50))).await;
    let held = begin(&world, 900_000, 700_000).await;
    let arrived = async {
        while world.messages.in_use() < 700_000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(arrived).await;
    let mut request = ask("hello");
    request.stop_sequences = vec!["x".to_owned(); 10_000];
    let refused = soon(world.grpc.clone().generate(request.clone())).await;
    assert_eq!(reason(&refused.unwrap_err()), "OVERLOADED");
    held.abort();
    soon(answered_as(&world, &request)).await;
}

#[tokio::test]
async fn a_second_message_is_refused() {
    let world = World::start().await;
    let one = framed(&ask("one").encode_to_vec());
    let both = Bytes::from([&one[..], &one[..]].concat());
    for pieces in [vec![both], vec![one.clone(), one]] {
        let pieces: Vec<Result<_, Infallible>> =
            pieces.into_iter().map(|it| Ok(Frame::data(it))).collect();
        let request = Request::post(format!("http://{}{GENERATE}", world.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(tonic::body::Body::new(StreamBody::new(stream::iter(
                pieces,
            ))))
            .unwrap();
        let response = soon(http_client().request(request)).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(reason(&status), "MALFORMED_MESSAGE", "{status:?}");
        assert_eq!(world.attempts(), 0);
    }
}
