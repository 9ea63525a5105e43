//! Signed requests.

use crate::harness::{GENERATE, Running, START, Setup, assert_unauthenticated, prompt};
use claude_grpc::{
    access::{
        RejectReason,
        signature::{SignatureHeader, Signed, Signer, SigningLayer},
    },
    proto::v1::{self, claude_service_client::ClaudeServiceClient},
};
use futures::StreamExt;
use http_body_util::{BodyExt, Full};
use prost::Message;
use secrecy::SecretString;
use std::{io::Write, time::Duration};
use tonic::{Code, Status, body::Body, transport::Channel};
use tonic_types::StatusExt;
use tower::ServiceExt;

const SECRET: &str = "cgs_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const OTHER_SECRET: &str = "cgs_HxwdGxoZGBcWFRQTEhEQDw4NDAsKCQgHBgUEAwIBAAA";

/// One client with two keys, the older of which ends a minute after the start,
/// and one whose time is over.
const CLIENTS: &str = "
[[clients]]
name = 'a'
methods = ['Generate', 'GenerateStream']
signing_keys = [
    { id = 'new', secret = 'cgs_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8' },
    { id = 'old', secret = 'cgs_HxwdGxoZGBcWFRQTEhEQDw4NDAsKCQgHBgUEAwIBAAA', not_after = '2027-01-15T08:01:00Z' },
]

[[clients]]
name = 'b'
expires = '2020-01-01T00:00:00Z'
signing_keys = [{ id = 'expired', secret = 'cgs_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8' }]
";

fn signer(key_id: &str, secret: &str) -> Signer {
    Signer::new(key_id, SecretString::from(secret.to_owned()))
}

fn signed(key_id: &str, secret: &str, time: u64, nonce: &str) -> String {
    signer(key_id, secret).sign_with(GENERATE, &message(), time, nonce)
}

fn message() -> Vec<u8> {
    prompt().encode_to_vec()
}

fn nonce(number: u64) -> String {
    format!("{number:016}")
}

fn framed(compressed: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[compressed][..], &length.to_be_bytes(), message].concat()
}

/// One call, byte for byte.
struct Raw<'a> {
    path: &'a str,
    signature: &'a str,
    encoding: &'a str,
    body: Vec<u8>,
}

impl<'a> Raw<'a> {
    fn new(signature: &'a str) -> Self {
        Raw {
            path: GENERATE,
            signature,
            encoding: "identity",
            body: framed(0, &message()),
        }
    }

    async fn send(self, channel: &Channel) -> Result<(), Status> {
        let request = http::Request::post(self.path)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-encoding", self.encoding)
            .header("x-signature", self.signature)
            .body(Body::new(Full::new(self.body.into())))
            .unwrap();
        let response = channel.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().unwrap_or(&parts.headers);
        match Status::from_header_map(trailers) {
            Some(status) if status.code() != Code::Ok => Err(status),
            _ => Ok(()),
        }
    }
}

async fn refused(server: &Running, call: Raw<'_>, cause: RejectReason) {
    let (counted, calls) = (server.refusals(cause), server.api.calls());
    let status = call.send(&server.channel().await).await.unwrap_err();
    assert_unauthenticated(&status);
    assert_eq!(server.refusals(cause), counted + 1, "{cause:?}");
    assert_eq!(server.api.calls(), calls, "nothing reaches the API");
}

#[tokio::test]
async fn the_signer_of_the_library_gets_in() {
    let server = Setup::new(CLIENTS).start().await;
    let signer = signer("new", SECRET).with_clock(server.hands.clock());
    let signing = tower::ServiceBuilder::new()
        .layer(SigningLayer::new(signer))
        .service(server.channel().await);
    let mut client =
        ClaudeServiceClient::new(signing).send_compressed(tonic::codec::CompressionEncoding::Gzip);
    client.generate(prompt()).await.unwrap();
    client.generate(prompt()).await.unwrap();
    let request = v1::GenerateStreamRequest {
        request: Some(prompt()),
    };
    let mut events = client.generate_stream(request).await.unwrap().into_inner();
    while let Some(event) = events.next().await {
        event.unwrap();
    }
    let denied = client
        .classify(v1::ClassifyRequest::default())
        .await
        .unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    assert_eq!(server.api.calls(), 3);
}

#[tokio::test]
async fn a_replay_is_refused_for_as_long_as_its_signature_is_good() {
    let server = Setup::new(CLIENTS).start().await;
    let channel = server.channel().await;
    // From the future, as far as it may be.
    let signature = signed("new", SECRET, START + 300, &nonce(1));
    Raw::new(&signature).send(&channel).await.unwrap();
    refused(&server, Raw::new(&signature), RejectReason::Replayed).await;
    server.hands.set(START + 600);
    refused(&server, Raw::new(&signature), RejectReason::Replayed).await;
    server.hands.set(START + 601);
    refused(
        &server,
        Raw::new(&signature),
        RejectReason::OutsideTolerance,
    )
    .await;
}

fn pushback(status: &Status) -> &str {
    let value = status.metadata().get("grpc-retry-pushback-ms").unwrap();
    value.to_str().unwrap()
}

/// The retry of a gRPC client has the same signature, so it must not be made.
#[tokio::test]
async fn a_failed_call_arrives_and_is_not_repeated_with_its_signature() {
    let server = Setup::new(CLIENTS).start().await;
    let channel = server.channel().await;
    server.api.reject(true);
    let signature = signed("new", SECRET, START, &nonce(1));
    let status = Raw::new(&signature).send(&channel).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(pushback(&status), "-1");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "CIRCUIT_OPEN");
    let after = details.retry_info().unwrap().retry_delay;
    assert_eq!(after, Some(Duration::from_secs(7)));

    // Used is used, also by a call that failed.
    server.api.reject(false);
    refused(&server, Raw::new(&signature), RejectReason::Replayed).await;
    let signed_again = signed("new", SECRET, START, &nonce(2));
    Raw::new(&signed_again).send(&channel).await.unwrap();
}

#[tokio::test]
async fn an_aborted_call_is_not_repeated_with_its_signature() {
    let server = Setup::new(CLIENTS).start().await;
    let channel = server.channel().await;
    server.api.hang();
    let signature = signed("new", SECRET, START, &nonce(1));
    let call = async { Raw::new(&signature).send(&channel).await };
    let abort = async {
        while server.api.calls() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.abort_calls();
    };
    let (outcome, ()) = tokio::join!(call, abort);
    let status = outcome.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(pushback(&status), "-1");
}

#[tokio::test]
async fn a_call_whose_signature_was_not_used_may_be_repeated() {
    let mut setup = Setup::new(CLIENTS);
    setup.server.max_calls = 0;
    let server = setup.start().await;
    let signature = signed("new", SECRET, START, &nonce(1));
    let status = Raw::new(&signature).send(&server.channel().await).await;
    let status = status.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(pushback(&status), "1000");
}

#[tokio::test]
async fn the_tolerance_is_300_seconds_and_not_301_in_both_directions() {
    let server = Setup::new(CLIENTS).start().await;
    let channel = server.channel().await;
    for time in [START - 300, START, START + 300] {
        let signature = signed("new", SECRET, time, &nonce(time));
        Raw::new(&signature).send(&channel).await.unwrap();
    }
    for time in [START - 301, START + 301, 0, u64::MAX] {
        let signature = signed("new", SECRET, time, &nonce(1));
        refused(
            &server,
            Raw::new(&signature),
            RejectReason::OutsideTolerance,
        )
        .await;
    }
}

#[tokio::test]
async fn a_flipped_bit_a_wrong_method_and_a_swapped_message_are_refused() {
    let server = Setup::new(CLIENTS).start().await;
    let good = signed("new", SECRET, START, &nonce(1));
    let header = SignatureHeader::parse(&good).unwrap();
    for bit in [0, 7, 100, 255] {
        let mut flipped = header.clone();
        flipped.mac[bit / 8] ^= 1 << (bit % 8);
        let text = flipped.to_string();
        refused(&server, Raw::new(&text), RejectReason::WrongSignature).await;
    }
    for bit in 0..8 {
        let mut call = Raw::new(&good);
        let last = call.body.len() - 1;
        call.body[last] ^= 1 << bit;
        refused(&server, call, RejectReason::WrongSignature).await;
    }
    let path = "/claude.v1.ClaudeService/GenerateStream";
    let call = Raw {
        path,
        ..Raw::new(&good)
    };
    refused(&server, call, RejectReason::WrongSignature).await;
    let swapped = framed(0, b"\x0a\x00");
    let call = Raw {
        body: swapped,
        ..Raw::new(&good)
    };
    refused(&server, call, RejectReason::WrongSignature).await;
    let moved = SignatureHeader {
        time: START + 1,
        ..header.clone()
    }
    .to_string();
    refused(&server, Raw::new(&moved), RejectReason::WrongSignature).await;
    let renonced = SignatureHeader {
        nonce: nonce(2),
        ..header
    }
    .to_string();
    refused(&server, Raw::new(&renonced), RejectReason::WrongSignature).await;
    // None of them has used up the nonce.
    Raw::new(&good).send(&server.channel().await).await.unwrap();
}

#[tokio::test]
async fn unknown_and_expired_keys_are_refused_and_two_are_good_during_a_rotation() {
    let server = Setup::new(CLIENTS).start().await;
    let channel = server.channel().await;
    let unknown = signed("nobody", SECRET, START, &nonce(1));
    refused(&server, Raw::new(&unknown), RejectReason::WrongSignature).await;
    let others = signed("old", SECRET, START, &nonce(1));
    refused(&server, Raw::new(&others), RejectReason::WrongSignature).await;
    let expired = signed("expired", SECRET, START, &nonce(1));
    refused(&server, Raw::new(&expired), RejectReason::ExpiredClient).await;

    server.hands.set(START + 60);
    for (key_id, secret) in [("new", SECRET), ("old", OTHER_SECRET)] {
        let signature = signed(key_id, secret, START, &nonce(2));
        Raw::new(&signature).send(&channel).await.unwrap();
    }
    server.hands.set(START + 61);
    let ended = signed("old", OTHER_SECRET, START, &nonce(3));
    refused(&server, Raw::new(&ended), RejectReason::ExpiredKey).await;
}

#[tokio::test]
async fn a_full_store_of_nonces_refuses_until_one_is_forgotten() {
    let mut setup = Setup::new(CLIENTS);
    setup.signatures.max_nonces = 2;
    let server = setup.start().await;
    let channel = server.channel().await;
    for number in [1, 2] {
        let signature = signed("new", SECRET, START, &nonce(number));
        Raw::new(&signature).send(&channel).await.unwrap();
    }
    let third = signed("new", SECRET, START, &nonce(3));
    refused(&server, Raw::new(&third), RejectReason::NoncesFull).await;
    server.hands.set(START + 601);
    let later = signed("new", SECRET, START + 601, &nonce(3));
    Raw::new(&later).send(&channel).await.unwrap();
}

#[tokio::test]
async fn a_compressed_message_is_signed_as_it_was_before() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&message()).unwrap();
    let gzip = framed(1, &gzip.finish().unwrap());
    let zstd = framed(1, &zstd::encode_all(&message()[..], 3).unwrap());
    let server = Setup::new(CLIENTS).start().await;
    let channel = server.channel().await;
    for (number, encoding, body) in [(1, "gzip", gzip), (2, "zstd", zstd)] {
        let signature = signed("new", SECRET, START, &nonce(number));
        let call = Raw {
            encoding,
            body: body.clone(),
            ..Raw::new(&signature)
        };
        call.send(&channel).await.unwrap();
        // Over the compressed bytes it is another message.
        let wrong = signer("new", SECRET).sign_with(GENERATE, &body[5..], START, &nonce(9));
        let call = Raw {
            encoding,
            body,
            ..Raw::new(&wrong)
        };
        refused(&server, call, RejectReason::WrongSignature).await;
    }
    let bomb = zstd::encode_all(&vec![0; 10_000_000][..], 3).unwrap();
    let signature = signed("new", SECRET, START, &nonce(4));
    let call = Raw {
        encoding: "zstd",
        body: framed(1, &bomb),
        ..Raw::new(&signature)
    };
    let status = call.send(&channel).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(server.api.calls(), 2);
}

#[tokio::test]
async fn a_body_that_never_ends_ends_at_the_deadline() {
    let mut setup = Setup::new(CLIENTS);
    setup.server.max_deadline = Duration::from_millis(200);
    let server = setup.start().await;
    let signature = signed("new", SECRET, START, &nonce(1));
    let body = http_body_util::StreamBody::new(futures::stream::pending::<
        Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>,
    >());
    let request = http::Request::post(GENERATE)
        .header("content-type", "application/grpc")
        .header("x-signature", &signature)
        .body(Body::new(body))
        .unwrap();
    let response = server.channel().await.oneshot(request).await.unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[derive(serde::Deserialize)]
struct Vector {
    name: String,
    secret: String,
    path: String,
    key_id: String,
    time: u64,
    nonce: String,
    message_hex: String,
    signed_text: String,
    header: String,
}

/// Written by another implementation; the examples in Python, Go and
/// JavaScript check themselves against the same file.
#[test]
fn the_test_vectors_hold() {
    let text = include_str!("../vectors/signature.json");
    let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
    assert!(vectors.len() >= 5);
    for vector in vectors {
        let digits: Vec<char> = vector.message_hex.chars().collect();
        let message: Vec<u8> = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap())
            .collect();
        let signed = Signed {
            path: &vector.path,
            key_id: &vector.key_id,
            time: vector.time,
            nonce: &vector.nonce,
            message: &message,
        };
        assert_eq!(signed.text(), vector.signed_text, "{}", vector.name);
        let header = signer(&vector.key_id, &vector.secret).sign_with(
            &vector.path,
            &message,
            vector.time,
            &vector.nonce,
        );
        assert_eq!(header, vector.header, "{}", vector.name);
    }
}
