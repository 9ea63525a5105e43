//! What is refused for its size or its form before it is a request at all, on
//! the wire as it is.

use crate::{
    bad_blocks::bad_blocks,
    raw_grpc::{GENERATE, framed, post},
    sample_requests::{document, message_of},
    support::{World, ask, reason, soon, user, within, wrong_fields},
};
use bytes::{Bytes, BytesMut};
use claude_grpc::{
    claude::MAX_BODY_BYTES,
    proto::v1::{self, content_block::Block, document_block::Source},
};
use http::HeaderMap;
use prost::Message as _;
use std::time::Duration;
use tonic::{Code, Status};

async fn status_of(world: &World, path: &str, headers: &[(&str, &str)], body: Bytes) -> Status {
    post(world, path, headers, body).await.status()
}

#[tokio::test]
async fn a_message_over_the_limit_is_too_large_and_one_at_it_is_not() {
    const LIMIT: usize = 4096;
    let mut world = World::with(|setup| setup.server.max_message_bytes = LIMIT).await;
    let sized = |bytes: usize| {
        let empty = v1::GenerateRequest {
            messages: vec![user(&"x".repeat(3000))],
            ..ask("")
        };
        let more = bytes - empty.encoded_len();
        let request = v1::GenerateRequest {
            messages: vec![user(&"x".repeat(3000 + more))],
            ..ask("")
        };
        assert_eq!(request.encoded_len(), bytes);
        request
    };
    soon(world.grpc.generate(sized(LIMIT))).await.unwrap();
    let before = world.attempts();
    let status = soon(world.grpc.generate(sized(LIMIT + 1)))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(reason(&status), "MESSAGE_TOO_LARGE");
    assert_eq!(world.attempts(), before);
}

#[tokio::test]
async fn a_small_message_that_unpacks_to_a_large_one_is_too_large() {
    let world = World::with(|setup| setup.server.max_message_bytes = 64 * 1024).await;
    let grpc = world.grpc.clone();
    for encoding in [
        tonic::codec::CompressionEncoding::Gzip,
        tonic::codec::CompressionEncoding::Zstd,
    ] {
        let mut grpc = grpc.clone().send_compressed(encoding);
        soon(grpc.generate(ask(&"x".repeat(60 * 1024))))
            .await
            .unwrap();
        let before = world.attempts();
        let bomb = ask(&"x".repeat(16 * 1024 * 1024));
        let status = soon(grpc.generate(bomb)).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert_eq!(reason(&status), "MESSAGE_TOO_LARGE");
        assert_eq!(world.attempts(), before);
    }
}

#[tokio::test]
async fn a_body_that_the_api_would_refuse_for_its_size_stays_here() {
    let mut world = World::start().await;
    // Base64 adds a third.
    let mut pdf = b"%PDF-1.7\n".to_vec();
    pdf.resize(MAX_BODY_BYTES / 4 * 3, b' ');
    let request = v1::GenerateRequest {
        messages: vec![message_of(
            v1::Role::User,
            vec![Block::Document(document(Source::Pdf(pdf.into())))],
        )],
        ..ask("")
    };
    let status = soon(world.grpc.generate(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(reason(&status), "REQUEST_TOO_LARGE");
    assert_eq!(wrong_fields(&status), ["messages"]);
    assert_eq!(world.attempts(), 0);
}

#[tokio::test]
async fn a_deadline_that_cannot_be_read_is_refused() {
    let world = World::start().await;
    let message = framed(&ask("Hello").encode_to_vec());
    for timeout in ["", "S", "10", "1.5S", "-1S", "10s", "123456789m", "1 S"] {
        let headers = [("grpc-timeout", timeout)];
        let status = status_of(&world, GENERATE, &headers, message.clone()).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{timeout:?}");
        assert_eq!(wrong_fields(&status), ["metadata.grpc-timeout"]);
    }
    assert_eq!(world.attempts(), 0);
    for timeout in ["8H", "99999999M", "10S", "10000m", "10000000u"] {
        let headers = [("grpc-timeout", timeout)];
        let status = status_of(&world, GENERATE, &headers, message.clone()).await;
        assert_eq!(status.code(), Code::Ok, "{timeout:?}: {status:?}");
    }
    for timeout in ["0S", "1n"] {
        let headers = [("grpc-timeout", timeout)];
        let status = status_of(&world, GENERATE, &headers, message.clone()).await;
        assert_eq!(status.code(), Code::DeadlineExceeded, "{timeout:?}");
    }
}

#[tokio::test]
async fn what_is_not_served_is_unimplemented() {
    let world = World::start().await;
    let message = framed(&ask("Hello").encode_to_vec());
    for path in [
        "/claude.v1.ClaudeService/Complete",
        "/claude.v1.ClaudeService/generate",
        "/claude.v1.ClaudeService/",
        "/claude.v1.ClaudeServices/Generate",
        "/claude.v2.ClaudeService/Generate",
        "/",
    ] {
        let status = status_of(&world, path, &[], message.clone()).await;
        assert_eq!(status.code(), Code::Unimplemented, "{path}: {status:?}");
        assert_eq!(reason(&status), "UNIMPLEMENTED", "{path}");
        assert_eq!(status.message(), "unknown service or method", "{path}");
    }
    let headers = [("grpc-encoding", "br")];
    let mut compressed = BytesMut::from(&message[..]);
    compressed[0] = 1;
    let status = status_of(&world, GENERATE, &headers, compressed.freeze()).await;
    assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
    assert_eq!(reason(&status), "UNIMPLEMENTED");
    // So that the client compresses with one of them.
    let accepted = status.metadata().get("grpc-accept-encoding").unwrap();
    assert!(accepted.to_str().unwrap().contains("zstd"), "{accepted:?}");
    assert_eq!(world.attempts(), 0);
}

#[tokio::test]
async fn garbage_is_an_error_and_no_request() {
    let world = World::start().await;
    let whole = framed(&ask("Hello").encode_to_vec());
    let cut = whole.slice(..whole.len() - 1);
    // A field 2 (messages) of a length that is not there; text that is not
    // UTF-8; bytes that are no protobuf; no message; half of one.
    for (garbage, expected) in [
        (framed(&[0x12, 0xff, 0xff, 0x03]), Code::Internal),
        (framed(&[0x0a, 0x02, 0xff, 0xfe]), Code::Internal),
        (framed(b"\xff\xff\xff\xff\xff\xff"), Code::Internal),
        (Bytes::new(), Code::Internal),
        (cut, Code::Internal),
        (Bytes::from_static(&[7, 0, 0, 0, 0]), Code::Internal),
    ] {
        let status = status_of(&world, GENERATE, &[], garbage.clone()).await;
        assert_eq!(status.code(), expected, "{garbage:?}: {status:?}");
        assert_eq!(reason(&status), "MALFORMED_MESSAGE");
    }
    assert_eq!(world.attempts(), 0);
}

#[tokio::test]
async fn the_trailers_stay_small_however_much_is_wrong() {
    // What many peers take at most.
    const LIMIT: usize = 8 * 1024;
    let world = World::with(|setup| {
        let models = (0..2000).map(|index| format!("claude-model-{index}"));
        setup.service.allowed_models = models.collect();
    })
    .await;
    let many = |block: &dyn Fn() -> Block| {
        let messages = (0..500).map(|_| message_of(v1::Role::User, vec![block()]));
        v1::GenerateRequest {
            messages: messages.collect(),
            ..ask("")
        }
    };
    let blocks: Vec<Block> = bad_blocks()
        .into_iter()
        .map(|(_, block, _)| block)
        .collect();
    let schema = format!(r#"{{"properties":{{"{}":1}}}}"#, "é\\u0000".repeat(10_000));
    let mut requests: Vec<_> = blocks.iter().map(|block| many(&|| block.clone())).collect();
    requests.push(v1::GenerateRequest {
        model: "claude-nobody".to_owned(),
        ..ask("Hello")
    });
    requests.push(v1::GenerateRequest {
        tools: (0..100)
            .map(|_| v1::Tool {
                input_schema_json: schema.clone(),
                ..v1::Tool::default()
            })
            .collect(),
        output_schema_json: schema.clone(),
        model: "claude-nobody".to_owned(),
        ..ask("Hello")
    });
    for request in requests {
        let answer = post(&world, GENERATE, &[], framed(&request.encode_to_vec())).await;
        let headers = &answer.trailers;
        let size: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 32)
            .sum();
        assert!(size < LIMIT, "{size} bytes: {headers:?}");
        let status = answer.status();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(!wrong_fields(&status).is_empty());
    }
    assert_eq!(world.attempts(), 0);
}

#[tokio::test]
async fn an_error_of_the_api_does_not_make_the_trailers_large() {
    let mut world = World::start().await;
    // The API quotes what it does not like.
    let request = v1::GenerateRequest {
        output_schema_json: format!(
            r#"{{"type":"object","additionalProperties":false,"properties":{{"{}":{{"type":"object"}}}}}}"#,
            "é".repeat(20_000)
        ),
        ..ask("Hello")
    };
    let status = soon(
        world
            .grpc
            .generate(within(Duration::from_secs(10), request)),
    )
    .await
    .unwrap_err();
    assert_eq!(reason(&status), "UPSTREAM_INVALID_REQUEST");
    let mut headers = HeaderMap::new();
    status.add_header(&mut headers).unwrap();
    let size: usize = headers.iter().map(|(_, value)| value.len()).sum();
    assert!(size < 8 * 1024, "{size} bytes");
}
