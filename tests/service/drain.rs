//! The drain: what runs may finish, what comes is refused, what is left at the
//! end is told so.

use crate::{
    raw_grpc::{GENERATE, framed},
    server::{health, health_of},
    support::{Grpc, World, ask, connect, reason, soon, streamed},
};
use claude_grpc::{
    proto::{
        SERVICE_NAME,
        v1::{self, generate_stream_response::Event},
    },
    simulator::Behaviour,
};
use prost::Message as _;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tonic::{Code, Response, Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_types::StatusExt;

type Unary = JoinHandle<Result<Response<v1::GenerateResponse>, Status>>;

fn unary(grpc: &Grpc) -> Unary {
    let mut grpc = grpc.clone();
    tokio::spawn(async move { grpc.generate(ask("Hello")).await })
}

async fn open(grpc: &Grpc) -> Streaming<v1::GenerateStreamResponse> {
    let mut grpc = grpc.clone();
    let call = grpc.generate_stream(streamed(ask("Hello")));
    soon(call).await.unwrap().into_inner()
}

/// The last event, or the status instead of it.
async fn end(mut events: Streaming<v1::GenerateStreamResponse>) -> Result<Event, Status> {
    let mut last = None;
    while let Some(event) = soon(events.next()).await {
        last = event?.event;
    }
    Ok(last.unwrap())
}

fn assert_draining(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(reason(status), "DRAINING");
    assert!(
        status.get_details_retry_info().is_some(),
        "it may be tried elsewhere"
    );
}

#[tokio::test]
async fn what_runs_finishes_and_what_comes_is_refused() {
    let mut world = World::start().await;
    let slowly = || Behaviour::SlowBody {
        delay: Duration::from_millis(20),
    };
    world.simulator.next([Behaviour::Hang]);
    // Holds the drain open until the test lets go.
    let held = unary(&connect(world.address));
    soon(world.simulator.until(|counts| counts.in_flight == 1)).await;
    world.simulator.next([slowly(), slowly()]);
    let running = unary(&world.grpc);
    let stream = open(&world.grpc).await;
    soon(world.simulator.until(|counts| counts.in_flight == 3)).await;

    world.drain.begin();
    soon(world.simulator.until(|counts| counts.answered == 2)).await;
    soon(running).await.unwrap().unwrap();
    assert!(matches!(end(stream).await, Ok(Event::Finished(_))));

    // On a new connection, and on one that was told to close.
    let before = world.attempts();
    for mut grpc in [connect(world.address), world.grpc.clone()] {
        let status = soon(grpc.generate(ask("Hello"))).await.unwrap_err();
        assert_draining(&status);
        let call = grpc.generate_stream(streamed(ask("Hello")));
        assert_draining(&soon(call).await.unwrap_err());
    }
    assert_eq!(world.attempts(), before);
    for name in ["", SERVICE_NAME] {
        let answer = soon(health(&world).check(health_of(name))).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::NotServing);
    }

    assert!(!world.server.is_finished());
    held.abort();
    soon(&mut world.server).await.unwrap();
    assert_eq!(world.upstream.hosts[0].concurrency_limit.in_use(), 0);
}

/// Also over the channel of the gRPC library, which fails calls on a connection
/// that closes with statuses of its own.
#[tokio::test]
async fn each_call_on_a_new_connection_is_refused_with_details() {
    let world = World::start().await;
    world.simulator.next([Behaviour::Hang]);
    let held = unary(&world.grpc);
    soon(world.simulator.until(|counts| counts.in_flight == 1)).await;
    world.drain.begin();
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", world.address));
    let endpoint = endpoint.unwrap();
    for _ in 0..20 {
        let channel = soon(endpoint.connect()).await.unwrap();
        let mut grpc = v1::claude_service_client::ClaudeServiceClient::new(channel);
        // The first, and one on a connection that has had an answer.
        for _ in 0..2 {
            assert_draining(&soon(grpc.generate(ask("Hello"))).await.unwrap_err());
        }
    }
    held.abort();
}

#[tokio::test]
async fn a_connection_from_before_the_drain_may_send_its_first_call() {
    let mut world = World::start().await;
    world.simulator.next([Behaviour::Hang]);
    let held = unary(&world.grpc);
    soon(world.simulator.until(|counts| counts.in_flight == 1)).await;
    let stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    // Accepted before the drain: later ones are accepted after it.
    soon(connect(world.address).generate(ask("Hello")))
        .await
        .unwrap();
    world.drain.begin();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut sender = soon(sender.ready()).await.unwrap();
    let request = http::Request::post(format!("http://localhost{GENERATE}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    let message = framed(&ask("Hello").encode_to_vec());
    body.send_data(message, true).unwrap();
    let response = soon(response).await.unwrap();
    assert!(
        response.headers().get("grpc-status").is_none(),
        "{response:?}"
    );
    drop(response);
    // And then it closes.
    soon(connection).await.unwrap().unwrap();
    held.abort();
    soon(&mut world.server).await.unwrap();
}

#[tokio::test]
async fn what_is_left_at_the_end_gets_a_status() {
    let time = Duration::from_millis(300);
    for cut_early in [false, true] {
        let mut world = World::with(|setup| {
            setup.server.drain_timeout = if cut_early { time * 1000 } else { time };
        })
        .await;
        world
            .simulator
            .next([Behaviour::Hang, Behaviour::HangAfter { events: 3 }]);
        let running = unary(&world.grpc);
        soon(world.simulator.until(|counts| counts.in_flight == 1)).await;
        let mut stream = open(&world.grpc).await;
        soon(stream.next()).await.unwrap().unwrap();
        let began = std::time::Instant::now();
        world.drain.begin();
        if cut_early {
            world.drain.abort();
        }
        assert_draining(&soon(running).await.unwrap().unwrap_err());
        assert_draining(&end(stream).await.unwrap_err());
        assert!(cut_early || began.elapsed() >= time);
        soon(&mut world.server).await.unwrap();
        soon(world.simulator.until(|counts| counts.hung_up == 2)).await;
        assert_eq!(world.upstream.hosts[0].concurrency_limit.in_use(), 0);
    }
}

#[tokio::test]
async fn an_idle_server_ends_with_its_connections_and_watchers_open() {
    let mut world = World::start().await;
    soon(world.grpc.generate(ask("Hello"))).await.unwrap();
    let watch = soon(health(&world).watch(health_of(""))).await.unwrap();
    let mut watched = watch.into_inner();
    soon(watched.next()).await.unwrap().unwrap();
    world.drain.begin();
    world.drain.begin();
    soon(&mut world.server).await.unwrap();
}
