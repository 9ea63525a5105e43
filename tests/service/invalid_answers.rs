//! Answers of the model that break what Classify promises.

use crate::{
    classify::{assert_contract, classify, question},
    sample_texts::SUPPORT_MAIL,
    support::{World, reason},
};
use claude_grpc::{proto::v1, simulator::Behaviour};
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt;

/// An answer that keeps the contract of `question`.
fn good() -> Behaviour {
    let sure = json!({"label_1": 0.9, "label_2": 0.0, "label_3": 1});
    Behaviour::Text(json!({"label": "science", "confidences": sure}).to_string())
}

/// Answers that break it, each with the code and the reason of its error.
fn breaches() -> Vec<(Behaviour, Code, &'static str)> {
    let sure = json!({"label_1": 0.9, "label_2": 0.1, "label_3": 0.1});
    let wrong = [
        json!("science"),
        json!({"label": "admin", "confidences": sure}),
        json!({"label": "Science", "confidences": sure}),
        json!({"label": null, "confidences": sure}),
        json!({"label": ["science"], "confidences": sure}),
        json!({"labels": ["science"], "confidences": sure}),
        json!({"confidences": sure}),
        json!({"label": "science"}),
        json!({"label": "science", "confidences": {"label_1": 0.9, "label_2": 0.1}}),
        json!({"label": "science", "confidences": {"label_1": 1.1, "label_2": 0, "label_3": 0}}),
        json!({"label": "science", "confidences": {"label_1": "1", "label_2": 0, "label_3": 0}}),
        json!({"label": "science", "confidences": {"science": 1, "label_2": 0, "label_3": 0}}),
        json!({"label": "science", "reason": "unasked", "confidences": sure}),
        json!({"label": "science", "confidences": {
            "label_1": 0, "label_2": 0, "label_3": 0, "label_4": 0,
        }}),
        json!({"label": "science", "extra": 1, "confidences": sure}),
    ]
    .map(|answer| answer.to_string());
    let not_json = [
        "The label is science.",
        "",
        "```json\n{}\n```",
        "{\"label\": \"science\"",
    ];
    let texts = wrong.into_iter().chain(not_json.map(str::to_owned));
    let mismatch = |text| (Behaviour::Text(text), Code::Internal, "ANSWER_INVALID");
    let mut breaches: Vec<_> = texts.map(mismatch).collect();
    breaches.push((
        Behaviour::Refusal,
        Code::FailedPrecondition,
        "ANSWER_REFUSED",
    ));
    breaches.push((
        Behaviour::MaxTokens,
        Code::FailedPrecondition,
        "ANSWER_TRUNCATED",
    ));
    breaches
}

#[tokio::test]
async fn a_breach_is_asked_once_more_and_the_usage_adds_up() {
    let world = World::start().await;
    world.simulator.next([good()]);
    let once = classify(&world, question(SUPPORT_MAIL)).await.unwrap();
    assert_eq!(once.labels, ["science"]);
    let tokens = once.usage.unwrap().input_tokens;
    for (breach, ..) in breaches() {
        let before = world.attempts();
        world.simulator.next([breach.clone(), good()]);
        let request = question(SUPPORT_MAIL);
        let response = classify(&world, request.clone()).await.unwrap();
        assert_contract(&request, &response);
        assert_eq!(response.labels, once.labels, "{breach}");
        assert_eq!(response.confidences[2].confidence, 1.0);
        assert_eq!(
            (response.model_calls, world.attempts() - before),
            (2, 2),
            "{breach}"
        );
        let usage = response.usage.unwrap();
        assert_eq!(usage.input_tokens, 2 * tokens, "{breach}");
        assert_eq!(usage.total_input_tokens, 2 * tokens, "{breach}");
        assert_eq!(usage.service_tier, "standard");
    }
}

#[tokio::test]
async fn a_second_breach_is_an_error_that_says_so() {
    let world = World::start().await;
    for (breach, code, expected) in breaches() {
        let before = world.attempts();
        world.simulator.next([breach.clone(), breach.clone()]);
        let status = classify(&world, question(SUPPORT_MAIL)).await.unwrap_err();
        assert_eq!(status.code(), code, "{breach}: {status:?}");
        assert_eq!(reason(&status), expected, "{breach}");
        assert_eq!(world.attempts() - before, 2, "{breach}");
        let request = status.get_details_request_info().unwrap();
        assert!(request.request_id.starts_with("req_"));
        assert!(
            !status.message().contains("admin"),
            "answer text in an error"
        );
    }
    // The last breach decides.
    let wrong = Behaviour::Text("no".to_owned());
    world.simulator.next([wrong, Behaviour::Refusal]);
    let status = classify(&world, question(SUPPORT_MAIL)).await.unwrap_err();
    assert_eq!(reason(&status), "ANSWER_REFUSED");
    assert!(status.message().contains("general_harms"), "{status:?}");
}

#[tokio::test]
async fn what_was_cut_gets_more_room_unless_the_caller_set_the_limit() {
    let world = World::start().await;
    for (max_tokens, limits) in [(None, [1024, 2048]), (Some(500), [500, 500])] {
        world.simulator.next([Behaviour::MaxTokens, good()]);
        let request = v1::ClassifyRequest {
            max_tokens,
            ..question(SUPPORT_MAIL)
        };
        classify(&world, request).await.unwrap();
        let bodies = world.bodies();
        let asked: Vec<u64> = bodies[bodies.len() - 2..]
            .iter()
            .map(|body| body["max_tokens"].as_u64().unwrap())
            .collect();
        assert_eq!(asked, limits);
    }
}
