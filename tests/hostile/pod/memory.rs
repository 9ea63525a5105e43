//! Attacks on memory.

use super::{
    attacker::Attacker,
    measure::{TEN_MB, withstands, withstands_bytes},
    process::Variant,
};
use crate::{
    attacker::{CHECK, CLASSIFY, GENERATE, SUBMIT_BATCH, SUMMARIZE_DOCUMENT, WATCH},
    support::ask,
};
use bytes::Bytes;
use claude_grpc::proto::v1::{
    SummarizeDocumentRequest, SummarizeDocumentStart, SummarizeRequest, SummarizedPart,
    summarize_document_request::Content,
};
use futures::future::join_all;
use prost::Message as _;
use std::io::Write;

/// A message as gRPC frames it, compressed or not.
fn framed(compressed: bool, message: &[u8]) -> Bytes {
    let mut frame = vec![u8::from(compressed)];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

/// 250 streams a connection, each with the beginning of a message.
async fn declare(attacker: &Attacker, paths: &[&str], connections: usize) {
    let connections = (0..connections).map(|_| async {
        let Some(sender) = attacker.http2(65_535).await else {
            return;
        };
        let sender = &sender;
        let calls = paths.iter().cycle().take(250).map(|path| async move {
            // 4 MiB.
            let declared = Bytes::from_static(b"\0\0\x40\0\0");
            match attacker.begin(sender, path, &[], declared).await {
                Ok((response, _stream)) => attacker.end(response).await,
                Err(_) => attacker.note("closed"),
            }
        });
        join_all(calls).await;
    });
    join_all(connections).await;
}

#[test]
#[ignore = "an attack on a pod"]
fn lengths_that_are_only_declared() {
    withstands(Variant::default(), async |attacker: Attacker| {
        declare(&attacker, &[CHECK, WATCH], 20).await;
    });
}

#[test]
#[ignore = "an attack on a pod"]
fn lengths_that_are_only_declared_with_credentials() {
    withstands(Variant::default(), async |attacker: Attacker| {
        declare(&attacker, &[GENERATE], 20).await;
    });
}

#[test]
#[ignore = "an attack on a pod"]
fn watches_without_end() {
    withstands(Variant::default(), async |attacker: Attacker| {
        let connections = (0..171).map(|_| async {
            let Some(sender) = attacker.http2(65_535).await else {
                return;
            };
            let mut held = Vec::new();
            for _ in 0..250 {
                if !attacker.goes_on() {
                    break;
                }
                let body = framed(false, &[]);
                let Ok((response, mut stream)) = attacker.begin(&sender, WATCH, &[], body).await
                else {
                    return attacker.note("closed");
                };
                let _ = stream.send_data(Bytes::new(), true);
                let Ok(response) = response.await else {
                    return attacker.note("closed");
                };
                match tonic::Status::from_header_map(response.headers()) {
                    Some(status) => attacker.note(format!("{:?}", status.code())),
                    None => {
                        attacker.note("watch");
                        held.push(response.into_body());
                    }
                }
            }
            while attacker.goes_on() {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        });
        join_all(connections).await;
    });
}

/// A prompt of one letter, 30 MiB of it.
fn bomb() -> Vec<u8> {
    ask(&"a".repeat(30 << 20)).encode_to_vec()
}

fn explodes(encoding: &str, compressed: Vec<u8>) {
    let message = framed(true, &compressed);
    withstands(Variant::default(), async |attacker: Attacker| {
        while attacker.goes_on() {
            let Some(sender) = attacker.http2(65_535).await else {
                continue;
            };
            let headers = [("grpc-encoding", encoding)];
            let calls =
                (0..12).map(|_| attacker.call(&sender, GENERATE, &headers, message.clone()));
            join_all(calls).await;
        }
    });
}

#[test]
#[ignore = "an attack on a pod"]
fn bombs_of_gzip() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&bomb()).unwrap();
    explodes("gzip", encoder.finish().unwrap());
}

#[test]
#[ignore = "an attack on a pod"]
fn bombs_of_zstd() {
    explodes("zstd", zstd::encode_all(&bomb()[..], 19).unwrap());
}

/// 5 MiB that compress 150-fold: within all limits, a hundred at once.
#[test]
#[ignore = "an attack on a pod"]
fn messages_that_compress_well() {
    let letters: String = ('a'..='z').cycle().take(5 << 20).collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&ask(&letters).encode_to_vec()).unwrap();
    let message = framed(true, &encoder.finish().unwrap());
    withstands(Variant::default(), async |attacker: Attacker| {
        let Some(sender) = attacker.http2(65_535).await else {
            return;
        };
        let headers = [("grpc-encoding", "gzip")];
        let calls = (0..100).map(|_| attacker.call(&sender, GENERATE, &headers, message.clone()));
        join_all(calls).await;
    });
}

/// By a client, within its limits: that is why the bytes are not those of an
/// attacker.
#[test]
#[ignore = "an attack on a pod"]
fn honest_texts_of_3_mb() {
    let message = framed(false, &ask(&"a".repeat(3_000_000)).encode_to_vec());
    withstands_bytes(1 << 30, Variant::default(), async |attacker: Attacker| {
        let Some(sender) = attacker.http2(65_535).await else {
            return;
        };
        let calls = (0..24).map(|_| attacker.call(&sender, GENERATE, &[], message.clone()));
        join_all(calls).await;
    });
}

/// The same by somebody without credentials.
#[test]
#[ignore = "an attack on a pod"]
fn large_texts_without_credentials() {
    let message = framed(false, &ask(&"a".repeat(3_000_000)).encode_to_vec());
    withstands(Variant::default(), async |attacker: Attacker| {
        while attacker.goes_on() {
            let Some(sender) = attacker.http2(65_535).await else {
                continue;
            };
            let wrong = [("authorization", "Bearer cgk_wrong")];
            let calls = (0..24).map(|_| attacker.call(&sender, GENERATE, &wrong, message.clone()));
            join_all(calls).await;
        }
    });
}

/// The fields of which a message may have many, by the paths of their methods.
const LISTS: [(&str, u8); 6] = [
    (GENERATE, 2),
    (GENERATE, 3),
    (GENERATE, 5),
    (GENERATE, 6),
    (CLASSIFY, 2),
    (SUBMIT_BATCH, 2),
];

/// Elements of two bytes, each of which would be decoded as a struct of hundreds.
#[test]
#[ignore = "an attack on a pod"]
fn elements_of_two_bytes() {
    withstands(Variant::default(), async |attacker: Attacker| {
        let Some(sender) = attacker.http2(65_535).await else {
            return;
        };
        for (path, field) in LISTS {
            let elements = framed(false, &[field << 3 | 2, 0].repeat(400_000));
            attacker.call(&sender, path, &[], elements).await;
        }
    });
}

/// The same, compressed as far as a small message may be.
#[test]
#[ignore = "an attack on a pod"]
fn elements_of_two_bytes_compressed() {
    let messages = LISTS.map(|(path, field)| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let elements = [field << 3 | 2, 0].repeat(500_000);
        encoder.write_all(&elements).unwrap();
        (path, framed(true, &encoder.finish().unwrap()))
    });
    withstands(Variant::default(), async |attacker: Attacker| {
        let Some(sender) = attacker.http2(65_535).await else {
            return;
        };
        let headers = [("grpc-encoding", "gzip")];
        let calls = messages.iter().cycle().take(60);
        let calls =
            calls.map(|(path, message)| attacker.call(&sender, path, &headers, message.clone()));
        join_all(calls).await;
    });
}

/// A schema of many values, which is decoded to be checked.
#[test]
#[ignore = "an attack on a pod"]
fn schemas_of_many_values() {
    let mut request = ask("hello");
    request.output_schema_json = format!("{{\"x\":[0{}]}}", ",0".repeat(600_000));
    let message = framed(false, &request.encode_to_vec());
    withstands(Variant::default(), async |attacker: Attacker| {
        let Some(sender) = attacker.http2(65_535).await else {
            return;
        };
        let calls = (0..4).map(|_| attacker.call(&sender, GENERATE, &[], message.clone()));
        join_all(calls).await;
    });
}

/// Parts of a document that an earlier call has finished, of some bytes each, by a client
/// within its limits.
#[test]
#[ignore = "an attack on a pod"]
fn finished_parts_of_some_bytes() {
    let start = Content::Start(SummarizeDocumentStart {
        settings: Some(SummarizeRequest::default()),
        ..SummarizeDocumentStart::default()
    });
    let parts = (0..500_000_u32).map(|number| {
        Content::FinishedPart(SummarizedPart {
            key: number.to_be_bytes().to_vec().into(),
            ..SummarizedPart::default()
        })
    });
    let messages: Vec<u8> = std::iter::once(start)
        .chain(parts)
        .flat_map(|content| {
            let content = Some(content);
            framed(false, &SummarizeDocumentRequest { content }.encode_to_vec())
        })
        .collect();
    let messages = Bytes::from(messages);
    withstands_bytes(
        2 * TEN_MB,
        Variant::default(),
        async |attacker: Attacker| {
            let Some(sender) = attacker.http2(65_535).await else {
                return;
            };
            attacker
                .call(&sender, SUMMARIZE_DOCUMENT, &[], messages.clone())
                .await;
        },
    );
}
