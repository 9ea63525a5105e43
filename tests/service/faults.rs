//! The fault matrix: what each failure of the API becomes for the caller.

use crate::support::{
    PROTOCOLS, Protocol, World, ask, dead_address, pushback, reason, soon, streamed, within,
};
use claude_grpc::{proto::v1, simulator::Behaviour, upstream::CircuitState};
use std::time::{Duration, Instant};
use tokio_stream::StreamExt;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// How a call is made.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Unary,
    Gathered,
    Streamed,
}

const WAYS: [Way; 3] = [Way::Unary, Way::Gathered, Way::Streamed];

/// Far enough for every fault that is not about time.
const AMPLE: Duration = Duration::from_secs(15);

/// Each way to make a call, over each way to the API.
fn ways() -> impl Iterator<Item = (Protocol, Way)> {
    PROTOCOLS
        .into_iter()
        .flat_map(|protocol| WAYS.map(|way| (protocol, way)))
}

/// Makes a call to its end.
async fn call(world: &World, way: Way, deadline: Option<Duration>) -> Result<(), Status> {
    let mut grpc = world.grpc.clone();
    let bounded = |request: v1::GenerateRequest| match deadline {
        Some(deadline) => within(deadline, request),
        None => tonic::Request::new(request),
    };
    match way {
        Way::Unary => grpc.generate(bounded(ask("hello"))).await.map(drop),
        Way::Gathered => {
            let long = v1::GenerateRequest {
                max_tokens: Some(64_000),
                ..ask("hello")
            };
            grpc.generate(bounded(long)).await.map(drop)
        }
        Way::Streamed => {
            let mut events = grpc
                .generate_stream(bounded(ask("hello")).map(streamed))
                .await?
                .into_inner();
            while let Some(event) = events.next().await {
                event?;
            }
            Ok(())
        }
    }
}

/// One row: what happens upstream for ever, and what becomes of it.
struct Fault {
    behaviour: Behaviour,
    code: Code,
    reason: &'static str,
    attempts: [u64; 3],
}

/// The same number of attempts whichever way the call is made.
fn fault(behaviour: Behaviour, code: Code, reason: &'static str, attempts: u64) -> Fault {
    Fault {
        behaviour,
        code,
        reason,
        attempts: [attempts; 3],
    }
}

fn matrix() -> Vec<Fault> {
    use Behaviour::{
        Cut, Disconnect, Drop, Error, ErrorEvent, Garbage, HtmlError, Overloaded, RefusedStream,
        ShouldRetry, SpendLimit,
    };
    let mut faults = vec![
        fault(Overloaded, Code::Unavailable, "UPSTREAM_OVERLOADED", 4),
        fault(
            SpendLimit,
            Code::ResourceExhausted,
            "UPSTREAM_SPEND_LIMIT",
            1,
        ),
        fault(HtmlError, Code::Unavailable, "UPSTREAM_ERROR", 4),
        fault(Drop, Code::Unavailable, "UPSTREAM_CONNECTION_BROKEN", 4),
        fault(
            Disconnect,
            Code::Unavailable,
            "UPSTREAM_CONNECTION_BROKEN",
            4,
        ),
        fault(
            RefusedStream,
            Code::Unavailable,
            "UPSTREAM_CONNECTION_BROKEN",
            4,
        ),
        fault(Garbage, Code::Internal, "UPSTREAM_MALFORMED", 1),
        fault(
            ShouldRetry(false, 529),
            Code::Unavailable,
            "UPSTREAM_OVERLOADED",
            1,
        ),
        fault(
            ShouldRetry(true, 400),
            Code::InvalidArgument,
            "UPSTREAM_INVALID_REQUEST",
            4,
        ),
        // What has begun for the caller is not repeated; what was only
        // gathered is, once.
        Fault {
            attempts: [2, 2, 1],
            ..fault(
                Cut { after_events: 4 },
                Code::Unavailable,
                "UPSTREAM_CONNECTION_BROKEN",
                0,
            )
        },
        Fault {
            attempts: [4, 2, 1],
            ..fault(
                ErrorEvent { after_events: 4 },
                Code::Unavailable,
                "UPSTREAM_OVERLOADED",
                0,
            )
        },
        // Before its first event a stream can be repeated as well; a whole
        // answer that breaks off was paid for.
        Fault {
            attempts: [2, 4, 4],
            ..fault(
                Cut { after_events: 0 },
                Code::Unavailable,
                "UPSTREAM_CONNECTION_BROKEN",
                0,
            )
        },
    ];
    let by_status = [
        (400, Code::InvalidArgument, "UPSTREAM_INVALID_REQUEST", 1),
        (401, Code::Internal, "UPSTREAM_AUTH", 1),
        (402, Code::FailedPrecondition, "UPSTREAM_BILLING", 1),
        (403, Code::Internal, "UPSTREAM_AUTH", 1),
        (404, Code::NotFound, "UPSTREAM_NOT_FOUND", 1),
        (408, Code::Unavailable, "UPSTREAM_ERROR", 4),
        (409, Code::Unavailable, "UPSTREAM_ERROR", 4),
        (413, Code::InvalidArgument, "REQUEST_TOO_LARGE", 1),
        (422, Code::InvalidArgument, "UPSTREAM_INVALID_REQUEST", 1),
        (500, Code::Unavailable, "UPSTREAM_ERROR", 4),
        (502, Code::Unavailable, "UPSTREAM_ERROR", 4),
        (503, Code::Unavailable, "UPSTREAM_ERROR", 4),
        (504, Code::Unavailable, "UPSTREAM_ERROR", 4),
        (529, Code::Unavailable, "UPSTREAM_OVERLOADED", 4),
    ];
    faults.extend(
        by_status
            .map(|(status, code, reason, attempts)| fault(Error(status), code, reason, attempts)),
    );
    faults
}

#[tokio::test]
async fn each_fault_has_its_status_and_its_number_of_attempts_over_http1() {
    assert_faults(Protocol::Http1).await;
}

#[tokio::test]
async fn each_fault_has_its_status_and_its_number_of_attempts_over_http2() {
    assert_faults(Protocol::Http2).await;
}

async fn assert_faults(protocol: Protocol) {
    for row in matrix() {
        for (way, attempts) in WAYS.into_iter().zip(row.attempts) {
            for deadline in [None, Some(AMPLE)] {
                assert_fault(protocol, &row, way, deadline, attempts).await;
            }
        }
    }
}

async fn assert_fault(
    protocol: Protocol,
    row: &Fault,
    way: Way,
    deadline: Option<Duration>,
    attempts: u64,
) {
    // A stream that the peer refused was not processed: each attempt sends it
    // again at once, three times.
    let requests = match (protocol, &row.behaviour) {
        (Protocol::Http2, Behaviour::RefusedStream) => attempts * 4,
        _ => attempts,
    };
    let world = World::over(protocol, |_| {}).await;
    world.simulator.always(Some(row.behaviour.clone()));
    let status = soon(call(&world, way, deadline)).await.unwrap_err();
    let what = format!(
        "{protocol:?} {} {way:?} {deadline:?}: {status:?}",
        row.behaviour
    );
    assert_eq!(status.code(), row.code, "{what}");
    assert_eq!(reason(&status), row.reason, "{what}");
    assert_eq!(world.attempts(), requests, "{what}");
    assert_eq!(
        world.upstream.hosts[0].concurrency_limit.in_use(),
        0,
        "{what}"
    );
    assert_eq!(
        world.upstream.hosts[0].breaker.state(),
        CircuitState::Closed,
        "{what}"
    );
}

#[tokio::test]
async fn a_fault_that_passes_is_never_seen() {
    use Behaviour::{Cut, Disconnect, Drop, Error, Overloaded, RefusedStream};
    for (protocol, way) in ways() {
        let what = format!("{protocol:?} {way:?}");
        let world = World::over(protocol, |_| {}).await;
        world.simulator.next([Overloaded, Drop, Error(500)]);
        soon(call(&world, way, None)).await.unwrap();
        assert_eq!(world.attempts(), 4, "{what}");
        world.simulator.next([Disconnect, RefusedStream]);
        soon(call(&world, way, None)).await.unwrap();
        assert_eq!(world.attempts(), 7, "{what}");
        world.simulator.next([Cut { after_events: 0 }]);
        soon(call(&world, way, None)).await.unwrap();
        assert_eq!(world.attempts(), 9, "{what}");
    }
}

async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let outcome = future.await;
    (outcome, began.elapsed())
}

#[tokio::test]
async fn a_hanging_upstream_costs_the_deadline_and_no_more() {
    for (protocol, way) in ways() {
        for behaviour in [Behaviour::Hang, Behaviour::HangAfter { events: 4 }] {
            // What is late by design is late each time; a busy machine is not.
            let mut late = Vec::new();
            while late.len() < 5 {
                let call = past_its_deadline(protocol, way, &behaviour);
                let lateness = Box::pin(call).await;
                if lateness < Duration::from_millis(100) {
                    break;
                }
                late.push(lateness);
            }
            assert!(late.len() < 5, "{protocol:?} {way:?} {behaviour}: {late:?}");
        }
    }
}

/// By how much later than its deadline a call ends. A timer that runs next to it
/// shows by how much this machine is late.
async fn past_its_deadline(protocol: Protocol, way: Way, behaviour: &Behaviour) -> Duration {
    const DEADLINE: Duration = Duration::from_millis(300);
    let world = World::over(protocol, |_| {}).await;
    world.simulator.always(Some(behaviour.clone()));
    let ((outcome, took), ((), timer)) = tokio::join!(
        timed(soon(call(&world, way, Some(DEADLINE)))),
        timed(tokio::time::sleep(DEADLINE)),
    );
    let status = outcome.unwrap_err();
    assert_eq!(
        status.code(),
        Code::DeadlineExceeded,
        "{protocol:?} {way:?} {behaviour}: {status:?}"
    );
    soon(world.simulator.until(|counts| counts.hung_up == 1)).await;
    assert_eq!(world.attempts(), 1);
    took.saturating_sub(timer)
}

#[tokio::test]
async fn the_servers_own_deadline_covers_callers_that_send_none() {
    let world = World::with(|setup| setup.server.max_deadline = Duration::from_millis(300)).await;
    world.simulator.always(Some(Behaviour::Hang));
    for way in WAYS {
        let status = soon(call(&world, way, None)).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{way:?}: {status:?}");
    }
}

#[tokio::test]
async fn silence_on_the_line_is_noticed_without_a_deadline() {
    let silences = [
        (Way::Unary, Behaviour::Hang),
        (Way::Streamed, Behaviour::HangAfter { events: 4 }),
    ];
    let over = |protocol| {
        silences
            .clone()
            .map(|(way, silence)| (protocol, way, silence))
    };
    for (protocol, way, behaviour) in PROTOCOLS.into_iter().flat_map(over) {
        let world = World::over(protocol, |setup| {
            setup.upstream.read_timeout = Duration::from_secs(4);
        })
        .await;
        world.simulator.always(Some(behaviour));
        let call = call(&world, way, None);
        tokio::pin!(call);
        tokio::select! {
            outcome = &mut call => panic!("{way:?} ended before the silence was over: {outcome:?}"),
            () = world.simulator.until(|counts| counts.in_flight == 1) => {}
        }
        let status = soon(call).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{way:?}: {status:?}");
        assert_eq!(reason(&status), "UPSTREAM_TIMEOUT");
    }
}

#[tokio::test]
async fn retry_after_is_waited_for_exactly_when_there_is_time() {
    const WAIT: Duration = Duration::from_secs(1);
    let world = World::start().await;
    world
        .simulator
        .next([Behaviour::RateLimited { retry_after: WAIT }]);
    let began = Instant::now();
    soon(call(&world, Way::Unary, None)).await.unwrap();
    assert!(began.elapsed() >= WAIT, "{:?}", began.elapsed());
    assert_eq!(world.attempts(), 2);
}

#[tokio::test]
async fn a_retry_after_beyond_the_deadline_is_told_at_once() {
    let world = World::start().await;
    let wait = Duration::from_secs(30);
    world
        .simulator
        .always(Some(Behaviour::RateLimited { retry_after: wait }));
    let began = Instant::now();
    let deadline = Some(Duration::from_secs(5));
    let status = soon(call(&world, Way::Unary, deadline)).await.unwrap_err();
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(status.code(), Code::ResourceExhausted);
    let retry = status.get_details_retry_info().unwrap();
    assert_eq!(retry.retry_delay, Some(wait));
    assert_eq!(pushback(&status), Some("30000"));
    assert_eq!(world.attempts(), 1);
}

#[tokio::test]
async fn clients_are_told_not_to_retry_what_was_retried() {
    let world = World::start().await;
    world.simulator.always(Some(Behaviour::Overloaded));
    let status = soon(call(&world, Way::Streamed, None)).await.unwrap_err();
    assert_eq!(pushback(&status), Some("-1"));
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["attempts"], "4");
    assert_eq!(info.metadata["upstreamStatus"], "529");
    assert_eq!(info.metadata["upstreamType"], "overloaded_error");
    let request = status.get_details_request_info().unwrap();
    assert!(!request.request_id.is_empty());
}

#[tokio::test]
async fn nothing_listens() {
    let dead = dead_address();
    let mut world = World::start().await;
    let config = claude_grpc::upstream::UpstreamConfig {
        base_url: format!("http://{dead}"),
        retry: claude_grpc::upstream::RetryConfig {
            initial_backoff: Duration::from_millis(1),
            ..claude_grpc::upstream::RetryConfig::default()
        },
        ..claude_grpc::upstream::UpstreamConfig::default()
    };
    let upstream =
        claude_grpc::upstream::Upstream::new(&config, world.upstream.hosts[0].keys.clone())
            .unwrap();
    world.upstream = upstream.clone();
    let service = claude_grpc::service::Rpcs::new(
        upstream.client,
        claude_grpc::service::ServiceConfig::default(),
    );
    use claude_grpc::proto::v1::claude_service_server::ClaudeService;
    let status = ClaudeService::generate(&service, within(AMPLE, ask("hello")))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(reason(&status), "UPSTREAM_UNREACHABLE");
    assert!(
        !status.message().contains(&dead.to_string()),
        "an address leaked"
    );
}

#[tokio::test]
async fn the_breaker_opens_after_five_failed_calls_and_closes_after_a_probe() {
    let open_duration = Duration::from_secs(1);
    let world = World::with(|setup| {
        setup.upstream.retry.max_retries = 0;
        setup.upstream.breaker.open_duration = open_duration;
    })
    .await;
    world.simulator.always(Some(Behaviour::Overloaded));
    for _ in 0..5 {
        assert_eq!(
            world.upstream.hosts[0].breaker.state(),
            CircuitState::Closed
        );
        let status = soon(call(&world, Way::Unary, None)).await.unwrap_err();
        assert_eq!(reason(&status), "UPSTREAM_OVERLOADED");
    }
    let opened = Instant::now();
    let status = soon(call(&world, Way::Streamed, None)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(reason(&status), "CIRCUIT_OPEN");
    let retry = status
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    assert!(
        retry <= open_duration && retry > Duration::ZERO,
        "{retry:?}"
    );
    assert_eq!(world.attempts(), 5, "an open breaker lets nothing through");

    world.simulator.always(None);
    tokio::time::sleep(retry).await;
    soon(call(&world, Way::Unary, None)).await.unwrap();
    assert!(opened.elapsed() < open_duration * 3);
    assert_eq!(
        world.upstream.hosts[0].breaker.state(),
        CircuitState::Closed
    );
}

#[tokio::test]
async fn a_refused_key_loses_no_call_while_another_works() {
    let world = World::with(|setup| {
        setup.keys = vec!["sk-bad", "sk-good"];
        setup.simulator.api_keys = vec!["sk-good".to_owned()];
    })
    .await;
    for conversation in 0..16 {
        let request = ask(&format!("conversation {conversation}"));
        soon(world.grpc.clone().generate(request)).await.unwrap();
    }
    for way in WAYS {
        for _ in 0..4 {
            soon(call(&world, way, None)).await.unwrap();
        }
    }
    let refused = world.upstream.hosts[0].keys.refused();
    assert!(
        refused[0].1.is_some() && refused[1].1.is_none(),
        "{refused:?}"
    );
    // One request found out; the rest went to the other key at once.
    assert_eq!(world.attempts(), 16 + 12 + 1);
}

#[tokio::test]
async fn a_key_that_is_spent_or_not_permitted_is_set_aside_too() {
    use Behaviour::{Error, SpendLimit};
    for behaviour in [SpendLimit, Error(402), Error(403), Error(401)] {
        let world = World::with(|setup| setup.keys = vec!["sk-one", "sk-two"]).await;
        world.simulator.next([behaviour.clone()]);
        for _ in 0..3 {
            soon(call(&world, Way::Unary, None)).await.unwrap();
        }
        // The refused attempt, and one for each call.
        assert_eq!(world.attempts(), 4, "{behaviour}");
        let used: std::collections::HashSet<_> = world.simulator.requests()[1..]
            .iter()
            .map(|request| request.headers["authorization"].clone())
            .collect();
        assert_eq!(used.len(), 1, "{behaviour}: the refused key was used again");
    }
}

#[tokio::test]
async fn calls_beyond_the_places_are_shed_after_their_wait() {
    let world = World::with(|setup| {
        setup.upstream.max_in_flight = 2;
        setup.upstream.acquire_timeout = Duration::from_millis(100);
    })
    .await;
    world.simulator.always(Some(Behaviour::Hang));
    let held: Vec<_> = (0..2)
        .map(|_| {
            let mut grpc = world.grpc.clone();
            tokio::spawn(async move { grpc.generate(ask("hello")).await })
        })
        .collect();
    soon(world.simulator.until(|counts| counts.in_flight == 2)).await;
    let status = soon(call(&world, Way::Unary, None)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(reason(&status), "OVERLOADED");
    assert!(status.get_details_retry_info().is_some());
    assert_eq!(world.attempts(), 2);
    held.iter().for_each(tokio::task::JoinHandle::abort);
    soon(world.simulator.until(|counts| counts.in_flight == 0)).await;
    world.simulator.always(None);
    soon(call(&world, Way::Unary, None)).await.unwrap();
}
