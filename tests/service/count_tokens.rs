//! CountTokens. What goes up is in the corpus.

use crate::{
    sample_requests, samples,
    support::{World, ask, reason, soon, wrong_fields},
};
use claude_grpc::{proto::v1, simulator::Behaviour};
use tonic::{Code, Status};

async fn count(
    world: &World,
    request: Option<v1::GenerateRequest>,
) -> Result<v1::CountTokensResponse, Status> {
    let mut grpc = world.grpc.clone();
    let call = grpc.count_tokens(v1::CountTokensRequest { request });
    Ok(soon(call).await?.into_inner())
}

#[tokio::test]
async fn the_count_is_what_the_answer_is_then_billed_for() {
    // The samples name containers and more that are nowhere.
    let world = World::with(|setup| setup.simulator.shapes_only = true).await;
    for (name, request) in samples::samples() {
        let counted = count(&world, Some(request.clone())).await.unwrap();
        let answer = soon(world.grpc.clone().generate(request))
            .await
            .unwrap()
            .into_inner();
        let usage = answer.usage.unwrap();
        assert_eq!(counted.input_tokens, usage.total_input_tokens, "{name}");
        assert_eq!(counted.model, answer.model, "{name}");
        assert!(counted.request_id.starts_with("req_"));
    }
    let paths = world.simulator.requests();
    assert_eq!(paths[0].path, "/v1/messages/count_tokens");
}

#[tokio::test]
async fn what_does_not_change_the_count_is_not_sent() {
    let world = World::start().await;
    count(&world, Some(sample_requests::everything()))
        .await
        .unwrap();
    let body = world.bodies().pop().unwrap();
    for field in [
        "max_tokens",
        "stop_sequences",
        "metadata",
        "service_tier",
        "container",
        "diagnostics",
        "inference_geo",
        "stream",
    ] {
        assert!(body.get(field).is_none(), "{field} was sent");
    }
    for field in [
        "system",
        "tools",
        "tool_choice",
        "messages",
        "thinking",
        "output_config",
    ] {
        assert!(body.get(field).is_some(), "{field} was not sent");
    }
}

#[tokio::test]
async fn a_bad_request_is_named_below_its_wrapper() {
    let world = World::start().await;
    let status = count(&world, None).await.unwrap_err();
    assert_eq!(wrong_fields(&status), ["request"]);
    let request = v1::GenerateRequest {
        model: "no model".to_owned(),
        messages: Vec::new(),
        max_tokens: Some(-1),
        ..v1::GenerateRequest::default()
    };
    let status = count(&world, Some(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let mut named = wrong_fields(&status);
    named.sort();
    assert_eq!(
        named,
        ["request.max_tokens", "request.messages", "request.model"]
    );
    assert_eq!(world.attempts(), 0);
}

#[tokio::test]
async fn it_is_retried_like_any_other_call() {
    let world = World::start().await;
    world
        .simulator
        .next([Behaviour::Overloaded, Behaviour::Drop]);
    count(&world, Some(ask("Hello"))).await.unwrap();
    assert_eq!(world.attempts(), 3);
    world.simulator.next([Behaviour::Garbage]);
    let status = count(&world, Some(ask("Hello"))).await.unwrap_err();
    assert_eq!(reason(&status), "UPSTREAM_MALFORMED");
}
