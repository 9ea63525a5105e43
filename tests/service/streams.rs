//! Streams: in order, as they come, at the reader's pace.

use crate::{
    raw_grpc::{framed, post},
    support::{World, ask, soon, streamed},
};
use bytes::Bytes;
use claude_grpc::{
    proto::v1::{self, content_block::Block, generate_stream_response::Event},
    simulator::Behaviour,
};
use prost::Message;
use std::time::{Duration, Instant};
use tokio_stream::StreamExt;
use tonic::{Code, Streaming};

async fn open(
    world: &mut World,
    request: v1::GenerateRequest,
) -> Streaming<v1::GenerateStreamResponse> {
    let opened = world.grpc.generate_stream(streamed(request));
    soon(opened).await.unwrap().into_inner()
}

async fn all(mut events: Streaming<v1::GenerateStreamResponse>) -> Vec<Event> {
    let mut read = Vec::new();
    while let Some(event) = soon(events.next()).await {
        read.push(event.unwrap().event.unwrap());
    }
    read
}

#[tokio::test]
async fn ten_thousand_deltas_arrive_in_order() {
    let mut world = World::start().await;
    world.simulator.next([Behaviour::Deltas(10_000)]);
    let events = all(open(&mut world, ask("count")).await).await;
    assert!(matches!(events.first(), Some(Event::Started(_))));
    assert!(matches!(events.last(), Some(Event::Finished(_))));
    let text: String = events
        .iter()
        .filter_map(|event| match event {
            Event::TextDelta(delta) => Some(delta.text.as_str()),
            _ => None,
        })
        .collect();
    let numbers: Vec<u64> = text
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    assert!(
        numbers.iter().copied().eq(0..10_000),
        "{} numbers",
        numbers.len()
    );
}

#[tokio::test]
async fn the_first_event_comes_with_the_first_upstream_frame() {
    let mut world = World::start().await;
    // The upstream sends message_start and then nothing for a long time.
    world
        .simulator
        .always(Some(Behaviour::HangAfter { events: 1 }));
    let mut events = open(&mut world, ask("hello")).await;
    let first = soon(events.next()).await.unwrap().unwrap();
    assert!(matches!(first.event, Some(Event::Started(_))), "{first:?}");
}

/// The status of a stream that never began is in the headers, and nothing comes
/// after them (`post` checks that): clients of Go read no status else.
#[tokio::test]
async fn a_rejected_stream_ends_with_its_headers() {
    let world = World::start().await;
    world.simulator.always(Some(Behaviour::Overloaded));
    let valid = streamed(ask("Hello")).encode_to_vec();
    let summary = v1::SummarizeStreamRequest {
        request: Some(v1::SummarizeRequest::default()),
    };
    for (rpc, message, code) in [
        ("GenerateStream", &valid[..], Code::Unavailable),
        ("GenerateStream", &[], Code::InvalidArgument),
        ("GenerateStream", b"\xff", Code::Internal),
        (
            "SummarizeStream",
            &summary.encode_to_vec(),
            Code::InvalidArgument,
        ),
        ("ClassifyStream", &[], Code::Unimplemented),
    ] {
        let path = format!("/claude.v1.ClaudeService/{rpc}");
        let answer = post(&world, &path, &[], framed(message)).await;
        assert_eq!(answer.status().code(), code, "{rpc}");
    }
}

#[tokio::test]
async fn a_slow_reader_slows_the_upstream() {
    let mut world = World::start().await;
    // Far more than all buffers between the two ends can hold.
    const DELTAS: u64 = 2_000_000;
    world.simulator.next([Behaviour::Deltas(DELTAS)]);
    let mut events = open(&mut world, ask("count")).await;
    soon(events.next()).await.unwrap().unwrap();
    // The reader stops. The simulator makes its deltas as they are taken: if
    // anyone read ahead, the answer would be complete after some seconds.
    let complete = world.simulator.until(|counts| counts.answered == 1);
    let read_ahead = tokio::time::timeout(Duration::from_secs(3), complete).await;
    assert!(
        read_ahead.is_err(),
        "the whole answer was read ahead of the reader"
    );
    assert_eq!(
        world.upstream.hosts[0].concurrency_limit.in_use(),
        1,
        "{:?}",
        world.simulator.counts()
    );
    drop(events);
    soon(world.simulator.until(|counts| counts.hung_up == 1)).await;
}

#[tokio::test]
async fn a_reader_that_stops_for_ever_is_cut_at_its_deadline() {
    let mut world = World::with(|setup| {
        setup.server.max_deadline = Duration::from_millis(500);
    })
    .await;
    world.simulator.next([Behaviour::Deltas(100_000_000)]);
    let began = Instant::now();
    let mut events = open(&mut world, ask("count")).await;
    soon(events.next()).await.unwrap().unwrap();
    soon(world.simulator.until(|counts| counts.hung_up == 1)).await;
    assert!(began.elapsed() >= Duration::from_millis(500));
    assert_eq!(world.upstream.hosts[0].concurrency_limit.in_use(), 0);
    let status = loop {
        match soon(events.next()).await {
            Some(Ok(_)) => {}
            Some(Err(status)) => break status,
            None => panic!("the stream ended as if it were complete"),
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_and_one_that_is_slow_or_waits_is_not() {
    let mut world = World::with(|setup| {
        setup.server.stall_timeout = Duration::from_millis(600);
    })
    .await;
    world.simulator.next([Behaviour::HangAfter { events: 3 }]);
    let mut quiet = open(&mut world, ask("wait")).await;
    soon(quiet.next()).await.unwrap().unwrap();
    world.simulator.next([Behaviour::Deltas(2_000_000)]);
    let mut slow = open(&mut world, ask("count")).await;

    // A window of zero, by the frame.
    world.simulator.next([Behaviour::Deltas(100_000_000)]);
    let stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let handshake = h2::client::Builder::new()
        .initial_window_size(0)
        .handshake::<_, Bytes>(stream);
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!(
        "http://{}/claude.v1.ClaudeService/GenerateStream",
        world.address
    ))
    .header("content-type", "application/grpc")
    .header("te", "trailers")
    .body(())
    .unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    let request = v1::GenerateStreamRequest {
        request: Some(ask("count")),
    };
    body.send_data(framed(&request.encode_to_vec()), true)
        .unwrap();
    let response = soon(response).await.unwrap();
    assert_eq!(world.upstream.hosts[0].concurrency_limit.in_use(), 3);

    let began = Instant::now();
    let cut = world.simulator.until(|counts| counts.hung_up == 1);
    let reading = async {
        loop {
            for _ in 0..1000 {
                slow.next().await.unwrap().unwrap();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        _ = soon(cut) => {}
        () = reading => {}
    }
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(500), "cut after {took:?}");
    assert!(took <= Duration::from_secs(5), "cut after {took:?}");
    // The other two go on: one has waited for the API for as long.
    assert_eq!(world.upstream.hosts[0].concurrency_limit.in_use(), 2);
    slow.next().await.unwrap().unwrap();

    drop((slow, quiet, response));
    soon(world.simulator.until(|counts| counts.hung_up == 3)).await;
    assert_eq!(world.upstream.hosts[0].concurrency_limit.in_use(), 0);
}

#[tokio::test]
async fn every_block_of_an_answer_is_typed_and_what_is_unknown_is_carried() {
    let mut world = World::start().await;
    world.simulator.next([
        Behaviour::Thinking,
        Behaviour::UnknownBlock,
        Behaviour::Citations,
    ]);
    let thinking = all(open(&mut world, ask("hello")).await).await;
    assert!(
        thinking
            .iter()
            .any(|event| matches!(event, Event::ThinkingDelta(_)))
    );
    assert!(
        thinking.iter().any(
            |event| matches!(event, Event::BlockFinished(block) if !block.signature.is_empty())
        )
    );
    let redacted = |event: &Event| match event {
        Event::BlockStarted(started) => {
            matches!(
                started.block.as_ref().and_then(|it| it.block.as_ref()),
                Some(Block::RedactedThinking(block)) if !block.data.is_empty()
            )
        }
        _ => false,
    };
    assert!(thinking.iter().any(redacted));

    let unknown = all(open(&mut world, ask("hello")).await).await;
    let carried = unknown.iter().any(|event| match event {
        Event::BlockStarted(started) => matches!(
            started.block.as_ref().and_then(|it| it.block.as_ref()),
            Some(Block::Other(block)) if block.json.contains("\"type\"")
        ),
        _ => false,
    });
    assert!(carried, "{unknown:?}");
    assert!(
        unknown
            .iter()
            .any(|event| matches!(event, Event::OtherDelta(_)))
    );
    assert!(matches!(unknown.last(), Some(Event::Finished(_))));

    let cited = all(open(&mut world, ask("hello")).await).await;
    assert!(
        cited
            .iter()
            .any(|event| matches!(event, Event::CitationDelta(_)))
    );
}

#[tokio::test]
async fn the_final_usage_covers_the_whole_call() {
    let mut world = World::start().await;
    let events = all(open(&mut world, ask("hello there")).await).await;
    let Some(Event::Finished(finished)) = events.last() else {
        panic!("{events:?}");
    };
    let usage = finished.usage.as_ref().unwrap();
    assert!(
        usage.input_tokens > 0 && usage.output_tokens > 0,
        "{usage:?}"
    );
    assert_eq!(finished.stop_reason(), v1::StopReason::EndTurn);
}
