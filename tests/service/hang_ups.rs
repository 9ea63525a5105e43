//! A caller that hangs up closes the upstream connection at once.
//!
//! The simulator notes when the client of a request closes before its answer
//! is complete; the bound of 100 ms is the product's promise.

use crate::support::{World, ask, connect, soon, streamed, within};
use claude_grpc::{
    proto::v1::{self, generate_stream_response::Event},
    simulator::Behaviour,
};
use std::time::{Duration, Instant};
use tokio_stream::StreamExt;
use tonic::Code;

const PROMISE: Duration = Duration::from_millis(100);

async fn seen_upstream(world: &World, hung_up_at: Instant) {
    soon(world.simulator.until(|counts| counts.hung_up == 1)).await;
    let took = hung_up_at.elapsed();
    assert!(took < PROMISE, "the upstream saw it after {took:?}");
    assert_eq!(
        world.upstream.hosts[0].concurrency_limit.in_use(),
        0,
        "a place leaked"
    );
    assert_eq!(world.attempts(), 1);
}

#[tokio::test]
async fn a_unary_caller_before_the_answer() {
    let mut world = World::start().await;
    world.simulator.always(Some(Behaviour::Hang));
    let mut grpc = world.grpc.clone();
    let call = tokio::spawn(async move { grpc.generate(ask("hello")).await });
    soon(world.simulator.until(|counts| counts.in_flight == 1)).await;
    call.abort();
    seen_upstream(&world, Instant::now()).await;
    // The service goes on.
    world.simulator.always(None);
    world.grpc.generate(ask("hello")).await.unwrap();
}

#[tokio::test]
async fn a_unary_caller_while_its_answer_is_gathered() {
    let world = World::start().await;
    world
        .simulator
        .always(Some(Behaviour::HangAfter { events: 4 }));
    let mut grpc = world.grpc.clone();
    let call = tokio::spawn(async move {
        let request = v1::GenerateRequest {
            max_tokens: Some(64_000),
            ..ask("hello")
        };
        grpc.generate(request).await
    });
    soon(world.simulator.until(|counts| counts.in_flight == 1)).await;
    call.abort();
    seen_upstream(&world, Instant::now()).await;
}

#[tokio::test]
async fn a_streaming_caller_before_the_first_token() {
    let world = World::start().await;
    world.simulator.always(Some(Behaviour::Hang));
    let mut grpc = world.grpc.clone();
    let call = tokio::spawn(async move { grpc.generate_stream(streamed(ask("hello"))).await });
    soon(world.simulator.until(|counts| counts.in_flight == 1)).await;
    call.abort();
    seen_upstream(&world, Instant::now()).await;
}

#[tokio::test]
async fn a_streaming_caller_in_the_middle() {
    let mut world = World::start().await;
    world
        .simulator
        .always(Some(Behaviour::Deltas(1_000_000_000)));
    let mut events = world
        .grpc
        .generate_stream(streamed(ask("count")))
        .await
        .unwrap()
        .into_inner();
    while let Some(event) = soon(events.next()).await {
        if matches!(event.unwrap().event, Some(Event::TextDelta(_))) {
            break;
        }
    }
    drop(events);
    seen_upstream(&world, Instant::now()).await;
}

#[tokio::test]
async fn a_caller_that_vanishes_with_its_connection() {
    let world = World::start().await;
    world.simulator.always(Some(Behaviour::Hang));
    let mut grpc = connect(world.address);
    let call = tokio::spawn(async move { grpc.generate(ask("hello")).await });
    soon(world.simulator.until(|counts| counts.in_flight == 1)).await;
    call.abort();
    let _ = call.await;
    seen_upstream(&world, Instant::now()).await;
}

#[tokio::test]
async fn a_deadline_hangs_up_too() {
    let mut world = World::start().await;
    world.simulator.always(Some(Behaviour::Hang));
    let deadline = Duration::from_millis(200);
    let began = Instant::now();
    let status = world
        .grpc
        .generate(within(deadline, ask("hello")))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    seen_upstream(&world, began + deadline).await;
}

#[tokio::test]
async fn one_caller_of_a_shared_call_does_not_cancel_the_others() {
    let mut world = World::with(|setup| {
        setup.simulator.time_to_first_token = Duration::from_millis(300);
    })
    .await;
    let request = v1::SummarizeRequest {
        text: "One sentence. Another one.".to_owned(),
        ..v1::SummarizeRequest::default()
    };
    let (mut first, asked) = (world.grpc.clone(), request.clone());
    let leader = tokio::spawn(async move { first.summarize(asked).await });
    soon(world.simulator.until(|counts| counts.in_flight == 1)).await;
    let (mut second, asked) = (world.grpc.clone(), request.clone());
    // Its deadline has to be no later than the leader's to join.
    let joined = tokio::spawn(async move {
        second
            .summarize(within(Duration::from_secs(60), asked))
            .await
    });
    while world.upstream.coalesced.count() == 0 {
        tokio::task::yield_now().await;
    }
    leader.abort();
    let answer = soon(joined).await.unwrap().unwrap().into_inner();
    assert!(!answer.summary.is_empty());
    assert_eq!((world.attempts(), world.simulator.counts().hung_up), (1, 0));
    // Later calls ask anew.
    world.grpc.summarize(request).await.unwrap();
    assert_eq!(world.attempts(), 2);
}
