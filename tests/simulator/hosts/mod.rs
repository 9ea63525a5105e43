//! The dialects of the hosts, as requests over a socket.

mod aws;
mod bedrock_runtime;
mod foundry;
mod google;
mod lacks;

use super::{Running, json_of, start};
use claude_grpc::simulator::{SimulatedHost, SimulatorConfig, SimulatorToken};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use std::time::Duration;

const RATE_LIMIT: &str = "anthropic-ratelimit-requests-limit";

async fn speaking(host: SimulatedHost) -> Running {
    start(SimulatorConfig {
        host,
        ..SimulatorConfig::default()
    })
    .await
}

fn body(extra: Value) -> Value {
    let mut body = json!({
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Tell me about the harbour of Oldport."}],
    });
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn with_model(model: &str) -> Value {
    body(json!({"model": model}))
}

fn with_version(extra: Value) -> Value {
    let mut body = body(extra);
    body["anthropic_version"] = json!("2026-10-21");
    body
}

/// A request without credentials or a version.
fn bare(running: &Running, path: &str, body: &Value) -> RequestBuilder {
    let request = running.client.post(format!("{}{path}", running.base));
    request
        .header("content-type", "application/json")
        .body(body.to_string())
}

/// A request with a token, and with the version in the header.
fn bearer(running: &Running, path: &str, body: &Value) -> RequestBuilder {
    bare(running, path, body)
        .bearer_auth("token")
        .header("anthropic-version", "2026-10-21")
}

/// `Authorization` and the date of a signature that has the right form.
fn signed(request: RequestBuilder, service: &str) -> RequestBuilder {
    let signature = "0".repeat(64);
    let value = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261128/eu-west-1/{service}/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={signature}"
    );
    request
        .header("authorization", value)
        .header("x-amz-date", "20261128T060000Z")
}

async fn sent(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

/// Status, and the JSON of the body.
async fn status_and_body(request: RequestBuilder) -> (u16, Value) {
    let response = sent(request).await;
    (response.status().as_u16(), json_of(response).await)
}

/// Status and name of an exception of AWS, whose body is only a message.
async fn exception(request: RequestBuilder) -> (u16, String) {
    let response = sent(request).await;
    let status = response.status().as_u16();
    let kind = response.headers()["x-amzn-errortype"].to_str().unwrap();
    let kind = kind.split(':').next().unwrap().to_owned();
    let body = json_of(response).await;
    assert!(body["message"].is_string(), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    (status, kind)
}

#[tokio::test]
async fn a_token_expires_when_a_test_says_so() {
    let running = start(SimulatorConfig {
        host: SimulatedHost::GoogleCloud,
        api_keys: vec!["token".to_owned(), "next".to_owned()],
        ..SimulatorConfig::default()
    })
    .await;
    let body = with_model("claude-haiku-5-5");
    let path = google::ON_GOOGLE_CLOUD;
    assert_eq!(sent(bearer(&running, path, &body)).await.status(), 200);
    running.handle.expire("token");
    assert_eq!(sent(bearer(&running, path, &body)).await.status(), 401);
    let next = bare(&running, path, &body).header("anthropic-version", "2026-10-21");
    assert_eq!(sent(next.bearer_auth("next")).await.status(), 200);
}

#[tokio::test]
async fn each_cloud_refuses_an_expired_token_in_its_own_way() {
    for (host, path, expected) in [
        (
            SimulatedHost::Claude,
            "/v1/messages",
            (401, "/error/type", "authentication_error"),
        ),
        (
            SimulatedHost::BedrockMantle,
            "/anthropic/v1/messages",
            (403, "/message", "Bearer Token has expired"),
        ),
        (
            SimulatedHost::GoogleCloud,
            google::ON_GOOGLE_CLOUD,
            (401, "/error/details/0/reason", "ACCESS_TOKEN_EXPIRED"),
        ),
        (
            SimulatedHost::Foundry,
            "/anthropic/v1/messages",
            (401, "/error/code", "401"),
        ),
    ] {
        let running = start(SimulatorConfig {
            host,
            tokens: vec![SimulatorToken {
                token: "token".to_owned(),
                expires_after: Duration::ZERO,
            }],
            ..SimulatorConfig::default()
        })
        .await;
        let (status, error) = status_and_body(bearer(&running, path, &with_model("any"))).await;
        let (expected_status, pointer, text) = expected;
        assert_eq!(status, expected_status, "{host}: {error}");
        assert_eq!(
            error.pointer(pointer),
            Some(&json!(text)),
            "{host}: {error}"
        );
    }
}
