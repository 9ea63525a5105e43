use super::*;
use crate::memory::MessageBudget;
use futures::poll;
use http::HeaderValue;
use std::{convert::Infallible, future::poll_fn, io::Write, time::Duration};

fn framed(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[0], &length[..], content].concat()
}

/// A body that arrives in pieces of this size.
fn body(
    sent: &[u8],
    piece: usize,
    count: MessageCount,
    budget: &MessageBudget,
) -> Pin<Box<impl http_body::Body<Data = Bytes, Error = Status> + Send + use<>>> {
    let pieces: Vec<_> = sent
        .chunks(piece)
        .map(|it| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(it))))
        .collect();
    let body = StreamBody::new(stream::iter(pieces));
    let bytes = Arc::new(budget.message(None, 1));
    Box::pin(GatheredBody::new(
        body,
        &HeaderMap::new(),
        count,
        bytes,
        DecodedSize::of_request("of nothing that is known"),
        100,
        DecompressionTurns::on_half_of_the_processors(),
    ))
}

#[tokio::test]
async fn each_message_of_a_stream_is_gathered_and_holds_its_own_bytes() {
    let messages = [b"one".to_vec(), Vec::new(), vec![7; 60], b"four".to_vec()];
    let sent: Vec<u8> = messages.iter().flat_map(|it| framed(it)).collect();
    for piece in [1, 2, 5, 7, 64, sent.len()] {
        let budget = MessageBudget::new(70, Duration::from_secs(1));
        let mut body = body(&sent, piece, MessageCount::Stream, &budget);
        let mut received = Vec::new();
        while let Some(frame) = body.frame().await {
            // The first one is held by the test, as by a call.
            assert!(budget.in_use() <= 70);
            received.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        assert_eq!(received, sent, "{piece}");
    }
}

#[tokio::test]
async fn the_first_message_of_a_stream_is_read_and_passed_on() {
    let sent = [framed(b"one"), framed(b"two"), framed(b"")].concat();
    for piece in [1, 5, 9, sent.len()] {
        let budget = MessageBudget::new(100, Duration::from_secs(1));
        let (first, all) =
            first_gathered_message(body(&sent, piece, MessageCount::Stream, &budget))
                .await
                .unwrap();
        assert_eq!(first, "one");
        assert_eq!(all.collect().await.unwrap().to_bytes(), sent);
    }
    let budget = MessageBudget::new(100, Duration::from_secs(1));
    let cut = first_gathered_message(body(&sent[..7], 7, MessageCount::Stream, &budget)).await;
    assert_eq!(cut.unwrap_err().code(), tonic::Code::Internal);
}

#[tokio::test]
async fn a_single_message_is_followed_by_nothing() {
    let sent = [framed(b"one"), framed(b"")].concat();
    for piece in [1, 3, 5, 8, sent.len()] {
        let budget = MessageBudget::new(100, Duration::from_secs(1));
        let collected = gathered_message(body(&sent, piece, MessageCount::One, &budget)).await;
        assert_eq!(
            collected.unwrap_err().code(),
            tonic::Code::Internal,
            "{piece}"
        );
    }
    let budget = MessageBudget::new(100, Duration::from_secs(1));
    let one = body(&framed(b"one"), 3, MessageCount::One, &budget);
    assert_eq!(gathered_message(one).await.unwrap(), "one");
}

#[tokio::test]
async fn a_message_of_a_stream_that_is_cut_off_or_too_large_fails() {
    let budget = MessageBudget::new(1000, Duration::from_secs(1));
    let too_large = [framed(b"one"), framed(&[0; 101])].concat();
    let failed = body(&too_large, 9, MessageCount::Stream, &budget)
        .collect()
        .await;
    assert_eq!(failed.unwrap_err().code(), tonic::Code::ResourceExhausted);
    let cut = &framed(b"one")[..7];
    let collected = body(cut, 9, MessageCount::Stream, &budget)
        .collect()
        .await
        .unwrap();
    // The library says that it is cut off.
    assert_eq!(collected.to_bytes(), cut);
}

/// A body with one message of this many bytes, compressed.
fn compressed(
    length: usize,
    turns: &DecompressionTurns,
    budget: &MessageBudget,
) -> Pin<Box<impl http_body::Body<Data = Bytes, Error = Status> + Send + use<>>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let text: Vec<u8> = (b'a'..=b'z').cycle().take(length).collect();
    encoder.write_all(&text).unwrap();
    let mut sent = framed(&encoder.finish().unwrap());
    sent[0] = 1;
    let frame = Ok::<_, Infallible>(Frame::data(Bytes::from(sent)));
    let headers = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-encoding"),
        HeaderValue::from_static("gzip"),
    )]);
    Box::pin(GatheredBody::new(
        StreamBody::new(stream::iter([frame])),
        &headers,
        MessageCount::One,
        Arc::new(budget.message(None, 1)),
        DecodedSize::of_request("of nothing that is known"),
        length,
        turns.clone(),
    ))
}

const LARGE: usize = 4 << 20;

#[tokio::test]
async fn large_messages_are_decompressed_one_after_another() {
    let budget = MessageBudget::new(100 * LARGE, Duration::from_secs(60));
    let turns = DecompressionTurns::one();
    let mut first = compressed(LARGE, &turns, &budget);
    assert!(poll!(first.frame()).is_pending());
    let of_first = budget.in_use();
    let mut second = compressed(LARGE, &turns, &budget);
    for _ in 0..100 {
        assert!(poll!(second.frame()).is_pending());
    }
    // It has begun, and waits.
    let of_second = budget.in_use() - of_first;
    assert!((1..LARGE / 8).contains(&of_second), "{of_second}");
    drop(first);
    let second = second.collect().await.unwrap().to_bytes();
    assert_eq!(second.len(), HEADER + LARGE);
}

#[tokio::test]
async fn a_message_that_waits_for_memory_leaves_its_turn() {
    let budget = MessageBudget::new(LARGE, Duration::from_secs(60));
    let turns = DecompressionTurns::one();
    let other = budget.message(None, 1);
    other.draw(LARGE / 2).await.unwrap();
    let mut first = compressed(LARGE / 4 * 3, &turns, &budget);
    while budget.waiting() == 0 {
        assert!(poll!(first.frame()).is_pending());
    }
    let mut turn = turns.turn();
    poll_fn(|cx| turn.poll_taken(cx, LARGE)).await;
    drop(other);
    assert!(poll!(first.frame()).is_pending());
    assert_eq!(budget.waiting(), 0);
    turn.leave();
    let first = first.collect().await.unwrap().to_bytes();
    assert_eq!(first.len(), HEADER + LARGE / 4 * 3);
}
