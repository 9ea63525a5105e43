//! Each host of Claude in its own dialect, as the simulator speaks it, which the
//! official SDK classes of the hosts confirm.

use crate::{
    generate_calls::{gathered, generate},
    host_world::{HostWorld, KINDS},
    support::{ask, reason, streamed},
};
use claude_grpc::{
    proto::v1,
    simulator::Behaviour,
    upstream::{HostFeature, HostKind, Key},
};
use secrecy::SecretString;
use tonic::Code;

#[tokio::test]
async fn an_answer_is_the_same_from_each_host_whole_and_streamed() {
    for (kind, _) in KINDS {
        let mut world = HostWorld::with(&[kind], |_| {}).await;
        let whole = generate(&mut world.grpc, ask("Hello")).await;
        let name = kind.name().replace('_', "-");
        assert_eq!(whole.host, name);
        assert!(
            whole.content.len() == 1 && !whole.request_id.is_empty(),
            "{kind:?}"
        );
        let gathered = gathered(&mut world.grpc, ask("Hello")).await;
        assert_eq!(gathered.content, whole.content, "{kind:?}");
        assert_eq!(gathered.host, name);
        assert_eq!(gathered.usage, whole.usage, "{kind:?}");

        let counted = world.grpc.count_tokens(v1::CountTokensRequest {
            request: Some(ask("Hello")),
        });
        match (counted.await, kind.has(HostFeature::CountTokens)) {
            (Ok(counted), true) => {
                let counted = counted.into_inner();
                assert!(counted.input_tokens > 0);
                assert_eq!(counted.host, name);
            }
            (Err(status), false) => {
                assert_eq!(reason(&status), "HOST_UNAVAILABLE");
                assert!(status.message().contains("token counting"), "{status:?}");
            }
            (outcome, _) => panic!("{kind:?}: {outcome:?}"),
        }
    }
}

/// What a host says in its own words has the reason that the Claude API's words have.
#[tokio::test]
async fn an_error_has_the_same_reason_from_each_host() {
    for (kind, _) in KINDS {
        let mut world = HostWorld::with(&[kind], |setup| {
            setup.upstream.retry.max_retries = 0;
            setup.upstream.pacing = false;
            setup.upstream.breaker.consecutive_failures = 1000;
            setup.upstream.breaker.min_calls = 1000;
        })
        .await;
        for (status, expected) in [
            (400, &["UPSTREAM_INVALID_REQUEST"][..]),
            (401, &["UPSTREAM_AUTH"]),
            (404, &["UPSTREAM_NOT_FOUND"]),
            (429, &["UPSTREAM_RATE_LIMITED"]),
            (500, &["UPSTREAM_ERROR"]),
            // Bedrock has one exception for both.
            (503, &["UPSTREAM_ERROR", "UPSTREAM_OVERLOADED"]),
            (529, &["UPSTREAM_OVERLOADED"]),
        ] {
            world.hosts[0].next([Behaviour::Error(status)]);
            let failed = world.grpc.generate(ask("Hello")).await.unwrap_err();
            let named = reason(&failed);
            assert!(expected.contains(&&*named), "{kind:?} {status}: {failed:?}");
            // One that was rejected is quarantined.
            world.upstream.hosts[0].keys.replace([fresh_key(kind)]);
        }
    }
}

pub fn fresh_key(kind: HostKind) -> Key {
    let secret = SecretString::from("sk-test-key");
    Key::of(kind.key_scheme(), "key-1", &secret).unwrap()
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream_has_its_reason_from_each_host() {
    for (kind, _) in KINDS {
        let mut world = HostWorld::with(&[kind], |setup| {
            setup.upstream.retry.max_retries = 0;
        })
        .await;
        let error = Behaviour::StreamError {
            after_events: 4,
            status: 500,
        };
        world.hosts[0].next([error]);
        let stream = world.grpc.generate_stream(streamed(ask("Hello")));
        let stream = stream.await.unwrap();
        let mut stream = stream.into_inner();
        let failed = loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{kind:?}: the stream ended without an error"),
                Err(status) => break status,
            }
        };
        assert_eq!(failed.code(), Code::Unavailable, "{kind:?}: {failed:?}");
        assert_eq!(reason(&failed), "UPSTREAM_ERROR", "{kind:?}");
    }
}

#[tokio::test]
async fn a_model_that_a_host_does_not_have_is_refused_by_name() {
    let mut world = HostWorld::with(&[HostKind::BedrockRuntime], |_| {}).await;
    let request = v1::GenerateRequest {
        model: "claude-not-in-the-catalogue".to_owned(),
        ..ask("Hello")
    };
    let failed = world.grpc.generate(request).await.unwrap_err();
    assert_eq!(failed.code(), Code::FailedPrecondition);
    assert_eq!(reason(&failed), "HOST_UNAVAILABLE");
    assert_eq!(world.requests(), [0]);
}
