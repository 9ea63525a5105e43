//! Calls that go to another host of Claude when one fails.

use crate::{
    generate_calls::generate,
    host_world::{HostWorld, nowhere, route},
    sample_requests::thinking,
    summarize::summary_of,
    support::{PATIENCE, ask, dead_address, reason, soon, streamed, within},
};
use claude_grpc::{
    proto::v1::{self, content_block::Block, thinking::Mode},
    simulator::Behaviour,
    upstream::{CircuitState, HostKind, RouteConfig, RoutedRpc, TargetConfig},
};
use std::time::Duration;
use tonic::{Code, Request};

const HOSTS: [HostKind; 2] = [HostKind::Claude, HostKind::BedrockRuntime];

#[tokio::test]
async fn a_call_moves_on_when_its_host_fails() {
    let mut world = HostWorld::with(&HOSTS, |_| {}).await;
    let failures = [
        Behaviour::Overloaded,
        Behaviour::Error(500),
        Behaviour::SpendLimit,
        Behaviour::Error(403),
        Behaviour::HtmlError,
        Behaviour::RateLimited {
            retry_after: Duration::from_secs(3600),
        },
    ];
    for (index, failure) in failures.into_iter().enumerate() {
        let what = format!("{failure:?}");
        world.hosts[0].next([failure]);
        let answer = generate(&mut world.grpc, ask("Hello")).await;
        assert_eq!(answer.host, "bedrock-runtime", "{what}");
        assert_eq!(
            world.upstream.hosts[0].failovers(),
            index as u64 + 1,
            "{what}"
        );
        // One that was rejected is quarantined, or held back.
        let key = world.upstream.hosts[1].keys.current();
        assert_eq!(key.len(), 1);
        if matches!(what.as_str(), "SpendLimit" | "Error(403)") {
            world.upstream.hosts[0]
                .keys
                .replace([crate::hosts::fresh_key(HostKind::Claude)]);
        }
    }
}

#[tokio::test]
async fn a_wrong_request_is_told_by_the_first_host() {
    let mut world = HostWorld::with(&HOSTS, |_| {}).await;
    world.hosts[0].next([Behaviour::Error(400)]);
    let failed = world.grpc.generate(ask("Hello")).await.unwrap_err();
    assert_eq!(reason(&failed), "UPSTREAM_INVALID_REQUEST");
    assert_eq!(world.requests(), [1, 0]);
}

#[tokio::test]
async fn an_open_circuit_is_passed_at_once_and_opens_no_other() {
    let mut world = HostWorld::with(&HOSTS, |setup| {
        setup.upstream.hosts[0].base_url = nowhere(dead_address());
    })
    .await;
    for _ in 0..20 {
        let answer = generate(&mut world.grpc, ask("Hello")).await;
        assert_eq!(answer.host, "bedrock-runtime");
    }
    let [claude, bedrock] = &world.upstream.hosts[..] else {
        panic!("two hosts");
    };
    assert_eq!(claude.breaker.state(), CircuitState::Open);
    assert_eq!(bedrock.breaker.state(), CircuitState::Closed);
    assert_eq!(world.requests(), [0, 20]);
}

#[tokio::test]
async fn after_the_first_event_a_call_stays_where_it_is() {
    let mut world = HostWorld::with(&HOSTS, |_| {}).await;
    world.hosts[0].next([Behaviour::ErrorEvent { after_events: 4 }]);
    let stream = world.grpc.generate_stream(streamed(ask("Hello")));
    let mut stream = stream.await.unwrap().into_inner();
    let failed = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without an error"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(&failed), "UPSTREAM_OVERLOADED");
    assert_eq!(world.requests(), [1, 0]);
}

/// A file is in one account.
#[tokio::test]
async fn a_call_about_what_one_account_has_does_not_move_on() {
    let mut world = HostWorld::with(&HOSTS, |setup| {
        setup.upstream.retry.max_retries = 0;
    })
    .await;
    let mut request = ask("Hello");
    let source = v1::image_block::Source::FileId("file_1".to_owned());
    request.messages[0].content.push(v1::ContentBlock {
        block: Some(Block::Image(v1::ImageBlock {
            source: Some(source),
            ..v1::ImageBlock::default()
        })),
        ..v1::ContentBlock::default()
    });
    request.messages[0].text.clear();
    world.hosts[0].next([Behaviour::Overloaded]);
    let failed = world.grpc.generate(request).await.unwrap_err();
    assert_eq!(reason(&failed), "UPSTREAM_OVERLOADED");
    assert_eq!(world.requests(), [1, 0]);
}

#[tokio::test]
async fn a_caller_may_name_the_host() {
    let mut world = HostWorld::with(&HOSTS, |setup| {
        setup.upstream.retry.max_retries = 0;
    })
    .await;
    let named = |host: &str| {
        let mut request = Request::new(ask("Hello"));
        let metadata = request.metadata_mut();
        metadata.insert("claude-host", host.parse().unwrap());
        request
    };
    let answer = world.grpc.generate(named("bedrock-runtime")).await;
    assert_eq!(answer.unwrap().into_inner().host, "bedrock-runtime");
    world.hosts[1].next([Behaviour::Overloaded]);
    let failed = world.grpc.generate(named("bedrock-runtime")).await;
    assert_eq!(reason(&failed.unwrap_err()), "UPSTREAM_OVERLOADED");
    assert_eq!(world.requests(), [0, 2]);
    let unknown = world.grpc.generate(named("nowhere")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::FailedPrecondition);
    assert_eq!(reason(&unknown), "HOST_UNAVAILABLE");
}

/// The next target of a route may have another model, which is on the host under its
/// own id.
#[tokio::test]
async fn a_route_may_go_on_with_another_model() {
    let mut world = HostWorld::with(&HOSTS, |setup| {
        setup.upstream.routes = vec![route(&[
            ("claude", None),
            ("claude", Some("claude-haiku-4-5")),
            ("bedrock-runtime", Some("claude-sonnet-4-5")),
        ])];
    })
    .await;
    world.hosts[0].next([Behaviour::Overloaded]);
    let answer = generate(&mut world.grpc, ask("Hello")).await;
    assert_eq!(
        (&*answer.host, &*answer.model),
        ("claude", "claude-haiku-4-5-20251001")
    );
    world.hosts[0].next([Behaviour::Overloaded, Behaviour::Overloaded]);
    let answer = generate(&mut world.grpc, ask("Hello")).await;
    assert_eq!(answer.host, "bedrock-runtime");
    assert!(
        answer.model.contains("claude-sonnet-4-5"),
        "{}",
        answer.model
    );
}

#[tokio::test]
async fn each_rpc_has_its_route() {
    let mut world = HostWorld::with(&HOSTS, |setup| {
        setup.upstream.routes = vec![
            RouteConfig {
                rpcs: vec![RoutedRpc::Summarize],
                ..route(&[("bedrock-runtime", None)])
            },
            route(&[("claude", None)]),
        ];
    })
    .await;
    let summary = world.grpc.summarize(v1::SummarizeRequest {
        text: "A text that is long enough to be summarized in fewer words.".to_owned(),
        ..v1::SummarizeRequest::default()
    });
    assert_eq!(summary.await.unwrap().into_inner().host, "bedrock-runtime");
    let answer = generate(&mut world.grpc, ask("Hello")).await;
    assert_eq!(answer.host, "claude");
}

#[tokio::test]
async fn weights_divide_the_calls() {
    let mut world = HostWorld::with(&HOSTS, |setup| {
        let target = |host: &str, weight| TargetConfig {
            host: host.to_owned(),
            weight: Some(weight),
            ..TargetConfig::default()
        };
        setup.upstream.routes = vec![RouteConfig {
            rpcs: Vec::new(),
            targets: vec![target("claude", 3), target("bedrock-runtime", 1)],
        }];
    })
    .await;
    for call in 0..200 {
        generate(&mut world.grpc, ask(&format!("conversation {call}"))).await;
    }
    let requests = world.requests();
    assert!((120..=180).contains(&requests[0]), "{requests:?}");
}

#[tokio::test]
async fn a_host_that_is_away_takes_no_retries_from_the_first() {
    let mut world = HostWorld::with(&HOSTS, |setup| {
        setup.upstream.hosts[1].base_url = nowhere(dead_address());
    })
    .await;
    while world.upstream.hosts[1].breaker.state() == CircuitState::Closed {
        let mut elsewhere = Request::new(ask("Hello"));
        let metadata = elsewhere.metadata_mut();
        metadata.insert("claude-host", "bedrock-runtime".parse().unwrap());
        world.grpc.generate(elsewhere).await.unwrap_err();
    }
    world.hosts[0].next([Behaviour::Overloaded, Behaviour::Overloaded]);
    let answer = generate(&mut world.grpc, ask("Hello")).await;
    assert_eq!(answer.host, "claude");
    assert_eq!(world.requests(), [3, 0]);
}

#[tokio::test]
async fn what_the_first_host_said_counts_when_the_next_one_cannot_serve() {
    let mut world = HostWorld::with(&HOSTS, |setup| {
        setup.upstream.retry.max_retries = 0;
    })
    .await;
    world.hosts[0].next([Behaviour::Overloaded]);
    world.hosts[1].next([Behaviour::Error(404)]);
    let failed = world.grpc.generate(ask("Hello")).await.unwrap_err();
    assert_eq!(reason(&failed), "UPSTREAM_OVERLOADED");
    assert_eq!(world.requests(), [1, 1]);
}

/// What came is paid for, and nobody has seen it: it is asked for once more where it
/// was, as without other hosts.
#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again_at_its_host() {
    let mut world = HostWorld::with(&HOSTS, |_| {}).await;
    world.hosts[0].next([Behaviour::Cut { after_events: 3 }]);
    let answer = generate(&mut world.grpc, ask("Hello")).await;
    assert_eq!(answer.host, "claude");
    assert_eq!(world.requests(), [2, 0]);
}

/// The deadline is that of the call, whatever host it is at.
#[tokio::test]
async fn the_deadline_covers_all_hosts() {
    let mut world = HostWorld::with(&HOSTS, |_| {}).await;
    world.hosts[0].next([Behaviour::Hang]);
    world.hosts[1].next([Behaviour::Hang]);
    let began = tokio::time::Instant::now();
    let call = within(Duration::from_millis(500), ask("Hello"));
    let failed = world.grpc.generate(call).await.unwrap_err();
    assert_eq!(failed.code(), Code::DeadlineExceeded);
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(world.requests(), [1, 0]);
}

/// The route names an older model: it is not asked for the effort, which it rejects, and
/// not at all for what only the first one accepts.
#[tokio::test]
async fn a_model_of_the_route_is_asked_for_what_it_accepts() {
    let mut world = HostWorld::with(&HOSTS, |setup| {
        let older = ("bedrock-runtime", Some("claude-haiku-4-5"));
        setup.upstream.routes = vec![route(&[("claude", None), older])];
    })
    .await;
    world.hosts[0].next([const { Behaviour::Overloaded }; 3]);
    let summary = summary_of("It rains. The river rises.");
    let answer = soon(world.grpc.summarize(summary)).await.unwrap();
    assert_eq!(answer.into_inner().host, "bedrock-runtime");
    let label = |name: &str| v1::Label {
        name: name.to_owned(),
        ..v1::Label::default()
    };
    let classify = v1::ClassifyRequest {
        text: "It rains.".to_owned(),
        labels: vec![label("weather"), label("other")],
        ..v1::ClassifyRequest::default()
    };
    let answer = soon(world.grpc.classify(classify)).await.unwrap();
    assert_eq!(answer.into_inner().host, "bedrock-runtime");
    let mut with_effort = ask("Hello");
    with_effort.effort = v1::Effort::Max.into();
    let answer = generate(&mut world.grpc, with_effort).await;
    assert_eq!(answer.host, "bedrock-runtime");

    // Repeated where it is: the other one is not asked.
    world.hosts[0].next([Behaviour::Overloaded]);
    let mut adaptive = ask("Hello");
    adaptive.thinking = thinking(Mode::Adaptive(v1::AdaptiveThinking::default()));
    let answer = generate(&mut world.grpc, adaptive).await;
    assert_eq!(answer.host, "claude");
    assert_eq!(world.requests()[1], 3);
}
