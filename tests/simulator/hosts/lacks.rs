//! What a host lacks of a request, it refuses in its own form.

use super::{bare, bearer, exception, signed, speaking, status_and_body, with_version};
use claude_grpc::simulator::SimulatedHost;
use serde_json::json;

#[tokio::test]
async fn what_a_host_lacks_is_refused_in_its_form() {
    let search = json!([{"type": "web_search_20260318", "name": "web_search"}]);
    let running = speaking(SimulatedHost::BedrockRuntime).await;
    let path = "/model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke";
    let body = with_version(json!({"tools": search}));
    let refused = exception(signed(bare(&running, path, &body), "bedrock")).await;
    assert_eq!(refused, (400, "ValidationException".to_owned()));

    let running = speaking(SimulatedHost::Foundry).await;
    let ask = |fields| {
        let mut body = super::with_model("claude-haiku-4-5");
        body.as_object_mut().unwrap().extend(fields);
        bearer(&running, "/anthropic/v1/messages", &body)
    };
    let fields = |json: serde_json::Value| json.as_object().unwrap().clone();
    let (status, said) = status_and_body(ask(fields(json!({"inference_geo": "us"})))).await;
    assert_eq!(status, 400);
    assert_eq!(said["error"]["type"], "invalid_request_error");
    let message = said["error"]["message"].as_str().unwrap();
    assert!(message.contains("inference_geo"), "{message}");
    let (status, said) = status_and_body(ask(fields(json!({"tools": search})))).await;
    assert_eq!(status, 200, "{said}");
}
