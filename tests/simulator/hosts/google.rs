//! Vertex AI, and Claude on Google Cloud.

use super::{
    RATE_LIMIT, bare, bearer, body, sent, speaking, status_and_body, with_model, with_version,
};
use claude_grpc::simulator::{Behaviour, SimulatedHost};
use serde_json::{Value, json};

const ON_VERTEX: &str = "/v1/projects/p/locations/global/publishers/anthropic/models";
pub(super) const ON_GOOGLE_CLOUD: &str =
    "/v1/projects/p/locations/global/workspaces/w/invoke/v1/messages";

#[tokio::test]
async fn vertex_has_the_model_in_its_path() {
    let running = speaking(SimulatedHost::Vertex).await;
    let path = |rest: &str| format!("{ON_VERTEX}/{rest}");
    let ask = |rest: &str, body: &Value| bare(&running, &path(rest), body).bearer_auth("token");
    let whole = with_version(json!({}));
    let response = sent(ask("claude-haiku-4-5@20251001:rawPredict", &whole)).await;
    assert_eq!(response.status(), 200);
    assert!(
        response.headers()["request-id"]
            .to_str()
            .unwrap()
            .starts_with("req_vrtx_")
    );
    assert!(!response.headers().contains_key(RATE_LIMIT));

    let streamed = with_version(json!({"stream": true}));
    let response = sent(ask(
        "claude-haiku-4-5%4020251001:streamRawPredict",
        &streamed,
    ))
    .await;
    let events = response.text().await.unwrap();
    assert!(events.starts_with("event: message_start\n"), "{events}");
    let count = json!({
        "anthropic_version": "vertex-2023-10-16",
        "model": "claude-haiku-4-5@20251001",
        "messages": whole["messages"],
    });
    let (status, counted) = status_and_body(ask("count-tokens:rawPredict", &count)).await;
    assert_eq!(status, 200, "{counted}");
    assert!(counted["input_tokens"].is_u64());

    let model = "claude-haiku-4-5@20251001:rawPredict";
    for wrong in [
        body(json!({})),
        with_version(json!({"model": "claude-haiku-5-5"})),
        streamed,
    ] {
        let (status, error) = status_and_body(ask(model, &wrong)).await;
        assert_eq!(
            (status, &error["error"]["type"]),
            (400, &json!("invalid_request_error"))
        );
    }
    let (status, error) = status_and_body(ask("claude-other:rawPredict", &whole)).await;
    assert_eq!(
        (status, &error["error"]["status"]),
        (404, &json!("NOT_FOUND"))
    );
    let (status, error) = status_and_body(bare(&running, &path(model), &whole)).await;
    assert_eq!(
        (status, &error["error"]["status"]),
        (401, &json!("UNAUTHENTICATED"))
    );
    running
        .handle
        .next([Behaviour::Error(429), Behaviour::Overloaded]);
    let (status, error) = status_and_body(ask(model, &whole)).await;
    assert_eq!(status, 429);
    assert_eq!(error["error"]["code"], 429);
    assert_eq!(error["error"]["status"], "RESOURCE_EXHAUSTED");
    let (status, error) = status_and_body(ask(model, &whole)).await;
    assert_eq!(
        (status, &error["error"]["type"]),
        (529, &json!("overloaded_error"))
    );
}

#[tokio::test]
async fn google_cloud_has_the_claude_api_below_a_workspace() {
    let running = speaking(SimulatedHost::GoogleCloud).await;
    let body = with_model("claude-haiku-5-5");
    let response = sent(bearer(&running, ON_GOOGLE_CLOUD, &body)).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key(RATE_LIMIT));
    assert_eq!(
        sent(bearer(&running, "/v1/messages", &body)).await.status(),
        404
    );
    let (status, error) = status_and_body(bare(&running, ON_GOOGLE_CLOUD, &body)).await;
    assert_eq!(
        (status, &error["error"]["status"]),
        (401, &json!("UNAUTHENTICATED"))
    );
}
