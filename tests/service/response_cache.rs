//! Responses that are kept for the next call with exactly the same request.

use crate::{
    classify::question,
    summarize::summary_of,
    support::{World, ask, soon, wrong_fields},
};
use claude_grpc::{proto::v1, simulator::Behaviour};
use std::time::Duration;
use tonic::Request;

fn accepting<T>(seconds: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let seconds = seconds.parse().unwrap();
    request
        .metadata_mut()
        .insert("claude-cache-max-age", seconds);
    request
}

/// Whether a response is from the cache, and what it used and saved.
type Found = (bool, v1::Usage);

async fn generate(world: &World, request: Request<v1::GenerateRequest>) -> Found {
    let answer = soon(world.grpc.clone().generate(request)).await.unwrap();
    let answer = answer.into_inner();
    (answer.cached, answer.usage.unwrap())
}

async fn summarize(world: &World, request: Request<v1::SummarizeRequest>) -> Found {
    let answer = soon(world.grpc.clone().summarize(request)).await.unwrap();
    let answer = answer.into_inner();
    (answer.cached, answer.usage.unwrap())
}

async fn classify(world: &World, request: Request<v1::ClassifyRequest>) -> Found {
    let answer = soon(world.grpc.clone().classify(request)).await.unwrap();
    let answer = answer.into_inner();
    (answer.cached, answer.usage.unwrap())
}

#[tokio::test]
async fn a_call_that_accepts_it_gets_the_response_of_an_earlier_one() {
    let world = World::start().await;
    let requests = || world.simulator.counts().requests;
    let text = "It rained all day. The harvest was late.";
    for (name, first, second, plain) in [
        (
            "generate",
            generate(&world, accepting("60", ask(text))).await,
            generate(&world, accepting("60", ask(text))).await,
            generate(&world, Request::new(ask(text))).await,
        ),
        (
            "summarize",
            summarize(&world, accepting("60", summary_of(text))).await,
            summarize(&world, accepting("60", summary_of(text))).await,
            summarize(&world, Request::new(summary_of(text))).await,
        ),
        (
            "classify",
            classify(&world, accepting("60", question(text))).await,
            classify(&world, accepting("60", question(text))).await,
            classify(&world, Request::new(question(text))).await,
        ),
    ] {
        assert!(!first.0 && second.0 && !plain.0, "{name}");
        assert_eq!(first.1, plain.1, "{name}");
        let saved = v1::Usage {
            saved_input_tokens: first.1.total_input_tokens,
            saved_output_tokens: first.1.output_tokens,
            ..v1::Usage::default()
        };
        assert!(saved.saved_input_tokens > 0, "{name}");
        assert_eq!(second.1, saved, "{name}");
    }
    assert_eq!(requests(), 6);
}

#[tokio::test]
async fn only_exactly_the_same_request_is_answered_from_the_cache() {
    let world = World::start().await;
    let first = accepting("60", ask("Hello"));
    assert!(!generate(&world, first).await.0);
    let others = [
        ask("Hello!"),
        v1::GenerateRequest {
            max_tokens: Some(100),
            ..ask("Hello")
        },
        v1::GenerateRequest {
            model: "claude-opus-5-5".to_owned(),
            ..ask("Hello")
        },
        v1::GenerateRequest {
            user_id: "someone".to_owned(),
            ..ask("Hello")
        },
    ];
    for other in others {
        assert!(
            !generate(&world, accepting("60", other.clone())).await.0,
            "{other:?}"
        );
    }
    assert!(generate(&world, accepting("60", ask("Hello"))).await.0);
}

#[tokio::test]
async fn an_answer_that_is_not_complete_is_not_kept() {
    let world = World::start().await;
    let cut = v1::GenerateRequest {
        max_tokens: Some(1),
        ..ask("Tell me a long story.")
    };
    for (name, request, behaviour) in [
        ("refused", ask("Hello"), Some(Behaviour::Refusal)),
        ("truncated", cut, None),
    ] {
        world.simulator.next(behaviour);
        for _ in 0..2 {
            let request = accepting("60", request.clone());
            assert!(!generate(&world, request).await.0, "{name}");
        }
    }
}

#[tokio::test]
async fn an_operator_may_accept_it_for_an_rpc_and_a_caller_decides() {
    let world = World::with(|setup| {
        setup.service.classify.cache_max_age = Duration::from_secs(60);
    })
    .await;
    let plain = || Request::new(question("It rained."));
    assert!(!classify(&world, plain()).await.0);
    assert!(classify(&world, plain()).await.0);
    let none = accepting("0", question("It rained."));
    assert!(!classify(&world, none).await.0);
    for wrong in ["", "-1", "1.5", "soon", "99999999999"] {
        let request = accepting(wrong, question("It rained."));
        let status = world.grpc.clone().classify(request).await.unwrap_err();
        assert_eq!(wrong_fields(&status), ["metadata.claude-cache-max-age"]);
    }
}
