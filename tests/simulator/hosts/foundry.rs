//! Microsoft Foundry.

use super::{RATE_LIMIT, bare, bearer, json_of, sent, speaking, status_and_body, with_model};
use claude_grpc::simulator::{Behaviour, SimulatedHost};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn foundry_accepts_keys_and_tokens() {
    let running = speaking(SimulatedHost::Foundry).await;
    let path = "/anthropic/v1/messages";
    let body = with_model("claude-haiku-5-5");
    let versioned = || bare(&running, path, &body).header("anthropic-version", "2026-10-21");
    for request in [
        versioned().header("x-api-key", "key"),
        versioned().header("api-key", "key"),
        versioned().bearer_auth("token"),
    ] {
        let response = sent(request).await;
        assert_eq!(response.status(), 200);
        assert!(response.headers().contains_key("apim-request-id"));
        assert!(!response.headers().contains_key(RATE_LIMIT));
    }
    let (status, error) = status_and_body(versioned()).await;
    assert_eq!((status, &error["error"]["code"]), (401, &json!("401")));
    let (status, error) = status_and_body(bearer(&running, path, &with_model("own"))).await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (404, &json!("DeploymentNotFound"))
    );
    running.handle.next([Behaviour::RateLimited {
        retry_after: Duration::from_secs(2),
    }]);
    let response = sent(bearer(&running, path, &body)).await;
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(json_of(response).await["error"]["code"], "429");
}
