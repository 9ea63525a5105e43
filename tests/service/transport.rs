//! The connections to the API: kept, reused, and given up in time.

use crate::support::{PATIENCE, PROTOCOLS, Protocol, World, ask, reason, soon, streamed};
use claude_grpc::{
    proto::v1,
    service::{Rpcs, ServiceConfig},
    simulator::Behaviour,
    upstream::{Key, Keys, RetryConfig, Upstream, UpstreamConfig},
};
use secrecy::SecretString;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_stream::StreamExt;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

/// Calls a service whose API is at an address of the test's own.
async fn call(
    api: SocketAddr,
    change: impl FnOnce(&mut UpstreamConfig),
    request: v1::GenerateRequest,
) -> Status {
    use claude_grpc::proto::v1::claude_service_server::ClaudeService;
    let mut config = UpstreamConfig {
        base_url: format!("http://{api}"),
        retry: RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        },
        ..UpstreamConfig::default()
    };
    change(&mut config);
    let key = Key::new("key-1", &SecretString::from("sk-test")).unwrap();
    let upstream = Upstream::new(&config, Keys::new([key])).unwrap();
    let service = Rpcs::new(upstream.client, ServiceConfig::default());
    soon(ClaudeService::generate(&service, Request::new(request)))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn one_connection_serves_one_call_after_the_other() {
    for protocol in PROTOCOLS {
        let mut world = World::over(protocol, |_| {}).await;
        for number in 0..20 {
            let request = v1::GenerateRequest {
                // Whole and gathered answers both give their connection back.
                max_tokens: Some(if number % 2 == 0 { 64 } else { 64_000 }),
                ..ask(&format!("call {number}"))
            };
            soon(world.grpc.generate(request)).await.unwrap();
        }
        let counts = world.simulator.counts();
        let counts = (counts.requests, counts.connections_accepted);
        assert_eq!(counts, (20, 1), "{protocol:?}");
    }
}

#[tokio::test]
async fn an_api_that_closes_connections_gracefully_loses_no_call() {
    for protocol in PROTOCOLS {
        let mut world = World::over(protocol, |setup| {
            setup.upstream.retry.max_retries = 0;
            setup.simulator.connections.max_requests = 3;
        })
        .await;
        for number in 0..12 {
            let request = ask(&format!("call {number}"));
            soon(world.grpc.generate(request)).await.unwrap();
        }
        let counts = world.simulator.counts();
        assert_eq!(counts.requests, 12, "{protocol:?}");
        assert_eq!(counts.connections_accepted, 4, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_peer_of_few_streams_gets_more_connections() {
    let world = World::over(Protocol::Http2, |setup| {
        setup.simulator.connections.max_concurrent_streams = 3;
    })
    .await;
    world
        .simulator
        .always(Some(Behaviour::HangAfter { events: 4 }));
    let mut streams = Vec::new();
    for number in 0..7 {
        let mut grpc = world.grpc.clone();
        let opened = grpc.generate_stream(streamed(ask(&format!("stream {number}"))));
        streams.push(soon(opened).await.unwrap());
    }
    assert_eq!(world.simulator.counts().connections_accepted, 3);
    let counts = world.upstream.hosts[0].http2();
    assert_eq!(
        (counts.active, counts.in_flight, counts.capacity),
        (3, 7, 9)
    );
    assert_eq!((counts.waiting, counts.draining), (0, 0));
}

#[tokio::test]
async fn a_connection_that_breaks_loses_only_its_own_calls() {
    let world = World::over(Protocol::Http2, |_| {}).await;
    world
        .simulator
        .next([Behaviour::HangAfter { events: 4 }, Behaviour::Disconnect]);
    let mut stream = world.grpc.clone();
    let opened = stream.generate_stream(streamed(ask("a stream")));
    let mut events = soon(opened).await.unwrap().into_inner();
    soon(events.next()).await.unwrap().unwrap();

    // On the connection of the stream, which it takes down with it; its second
    // attempt has a connection of its own.
    let mut grpc = world.grpc.clone();
    soon(grpc.generate(ask("hello"))).await.unwrap();
    let status = loop {
        if let Err(status) = soon(events.next()).await.expect("not the end of an answer") {
            break status;
        }
    };
    assert_eq!(reason(&status), "UPSTREAM_CONNECTION_BROKEN");
    assert_eq!(world.simulator.counts().connections_accepted, 2);
}

#[tokio::test]
async fn an_idle_connection_is_given_up_after_its_time() {
    for protocol in PROTOCOLS {
        let mut world = World::over(protocol, |setup| {
            setup.upstream.idle_timeout = Duration::from_millis(200);
        })
        .await;
        soon(world.grpc.generate(ask("hello"))).await.unwrap();
        soon(world.simulator.until(|counts| counts.connections_open == 0)).await;
    }
}

#[tokio::test]
async fn no_more_connections_stay_idle_than_configured() {
    let world = World::with(|setup| {
        setup.upstream.max_idle_connections = 2;
        setup.simulator.time_to_first_token = Duration::from_millis(100);
    })
    .await;
    let calls = (0..8).map(|number| {
        let mut grpc = world.grpc.clone();
        async move { grpc.generate(ask(&format!("call {number}"))).await.unwrap() }
    });
    soon(futures::future::join_all(calls)).await;
    soon(world.simulator.until(|counts| counts.connections_open == 2)).await;
    assert!(world.simulator.counts().connections_accepted > 2);
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_is_given_up_in_time() {
    // A queue of one that nobody takes from: further connections get no answer.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let api = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(api)).await
    {
        queued.push(stream.unwrap());
        assert!(queued.len() < 64, "the queue has no end");
    }
    let began = Instant::now();
    let limit = Duration::from_millis(300);
    let status = call(api, |config| config.connect_timeout = limit, ask("hello")).await;
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(reason(&status), "UPSTREAM_UNREACHABLE");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["connectFailure"], "timed_out");
    assert!(began.elapsed() >= limit && began.elapsed() < PATIENCE / 4);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_api_that_does_not_read_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = listener.local_addr().unwrap();
    // Accepted, and never read.
    let accepted = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
        drop(stream);
    });
    let began = Instant::now();
    // More than the buffers of both ends take.
    let large = ask(&"a word ".repeat(3_000_000));
    let limit = Duration::from_secs(1);
    let status = call(api, |config| config.write_timeout = limit, large).await;
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(reason(&status), "UPSTREAM_CONNECTION_BROKEN");
    assert!(began.elapsed() >= limit && began.elapsed() < PATIENCE);
    accepted.abort();
}
