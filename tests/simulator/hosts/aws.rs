//! Claude Platform on AWS, and Bedrock's endpoint `bedrock-mantle`.

use super::{
    RATE_LIMIT, bare, bearer, exception, sent, signed, speaking, status_and_body, with_model,
};
use claude_grpc::simulator::SimulatedHost;
use serde_json::json;

#[tokio::test]
async fn the_platform_on_aws_needs_a_workspace() {
    let running = speaking(SimulatedHost::ClaudePlatformAws).await;
    let body = with_model("claude-haiku-5-5");
    let (status, error) = status_and_body(bearer(&running, "/v1/messages", &body)).await;
    assert_eq!(status, 400);
    assert_eq!(error["error"]["type"], "invalid_request_error");
    let request = || {
        bare(&running, "/v1/messages", &body)
            .header("anthropic-version", "2026-10-21")
            .header("anthropic-workspace-id", "wrkspc_1")
    };
    let response = sent(signed(request(), "aws-external-anthropic")).await;
    assert_eq!(response.status(), 200);
    for name in ["request-id", "x-amzn-requestid", RATE_LIMIT] {
        assert!(response.headers().contains_key(name), "{name}");
    }
    let unsigned = exception(request()).await;
    assert_eq!(
        unsigned,
        (403, "MissingAuthenticationTokenException".to_owned())
    );
    let misdirected = exception(signed(request(), "bedrock")).await;
    assert_eq!(misdirected, (403, "InvalidSignatureException".to_owned()));
}

#[tokio::test]
async fn mantle_is_the_claude_api_below_a_path() {
    let running = speaking(SimulatedHost::BedrockMantle).await;
    let body = with_model("anthropic.claude-haiku-5-5");
    let path = "/anthropic/v1/messages";
    let response = sent(bearer(&running, path, &body)).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("x-amzn-requestid"));
    assert!(!response.headers().contains_key("request-id"));
    assert!(!response.headers().contains_key(RATE_LIMIT));

    let mut with_profile = body.clone();
    with_profile["user_profile_id"] = json!("uprof_1");
    assert_eq!(
        sent(bearer(&running, path, &with_profile)).await.status(),
        200
    );
    let (status, error) =
        status_and_body(bearer(&running, path, &with_model("claude-haiku-5-5"))).await;
    assert_eq!(
        (status, &error["error"]["type"]),
        (404, &json!("not_found_error"))
    );
    let lacking = sent(bearer(&running, "/anthropic/v1/models", &body)).await;
    assert_eq!(lacking.status(), 404);
}
