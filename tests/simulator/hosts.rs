//! The dialects of the hosts, as requests over a socket.

use super::{Running, json_of, start};
use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use aws_smithy_types::event_stream::Message;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use claude_grpc::simulator::{
    Behaviour, SimulatedHost, SimulatorConfig, SimulatorLimitsConfig, SimulatorToken,
};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use std::time::Duration;

const MODEL_ON_BEDROCK: &str = "eu.anthropic.claude-haiku-4-5-20251001-v1%3A0";
const ON_VERTEX: &str = "/v1/projects/p/locations/global/publishers/anthropic/models";
const ON_GOOGLE_CLOUD: &str = "/v1/projects/p/locations/global/workspaces/w/invoke/v1/messages";

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
    for name in [
        "request-id",
        "x-amzn-requestid",
        "anthropic-ratelimit-requests-limit",
    ] {
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
    let limit = "anthropic-ratelimit-requests-limit";
    assert!(!response.headers().contains_key(limit));

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

#[tokio::test]
async fn the_runtime_of_bedrock_has_the_model_in_its_path() {
    let running = speaking(SimulatedHost::BedrockRuntime).await;
    let path = format!("/model/{MODEL_ON_BEDROCK}/invoke");
    let ask = |body: &Value| signed(bare(&running, &path, body), "bedrock");
    let response = sent(ask(&with_version(json!({})))).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("x-amzn-requestid"));
    assert_eq!(json_of(response).await["type"], "message");

    for wrong in [
        body(json!({})),
        body(json!({"anthropic_version": "1"})),
        with_version(json!({"model": "claude-haiku-5-5"})),
        with_version(json!({"stream": true})),
        with_version(json!({"anthropic_beta": "one"})),
    ] {
        let refused = exception(ask(&wrong)).await;
        assert_eq!(refused, (400, "ValidationException".to_owned()), "{wrong}");
    }
    let unknown = bare(
        &running,
        "/model/anthropic.other/invoke",
        &with_version(json!({})),
    );
    let refused = exception(unknown.bearer_auth("token")).await;
    assert_eq!(refused, (400, "ValidationException".to_owned()));
    let lacking = exception(bare(&running, "/v1/messages", &body(json!({})))).await;
    assert_eq!(lacking, (404, "UnknownOperationException".to_owned()));
    for (status, expected) in [
        (429, (429, "ThrottlingException")),
        (500, (500, "InternalServerException")),
        (529, (503, "ServiceUnavailableException")),
        (504, (408, "ModelTimeoutException")),
        (401, (403, "AccessDeniedException")),
    ] {
        running.handle.next([Behaviour::Error(status)]);
        let (status, name) = exception(ask(&with_version(json!({})))).await;
        assert_eq!((status, name.as_str()), expected);
    }
}

/// The frames of a stream; their headers by name, and their payloads.
async fn frames(response: Response) -> Vec<Message> {
    let content_type = response.headers()["content-type"].to_str().unwrap();
    assert_eq!(content_type, "application/vnd.amazon.eventstream");
    let mut bytes = BytesMut::from(&response.bytes().await.unwrap()[..]);
    let mut decoder = MessageFrameDecoder::new();
    let mut frames = Vec::new();
    while let DecodedFrame::Complete(message) = decoder.decode_frame(&mut bytes).unwrap() {
        frames.push(message);
    }
    assert!(bytes.is_empty(), "the last frame is whole");
    frames
}

fn header(message: &Message, name: &str) -> String {
    let mut headers = message.headers().iter();
    let found = headers.find(|it| it.name().as_str() == name).unwrap();
    found.value().as_string().unwrap().as_str().to_owned()
}

fn payload(message: &Message) -> Value {
    serde_json::from_slice(message.payload()).unwrap()
}

#[tokio::test]
async fn the_runtime_of_bedrock_streams_frames() {
    let running = speaking(SimulatedHost::BedrockRuntime).await;
    let path = format!("/model/{MODEL_ON_BEDROCK}/invoke-with-response-stream");
    let ask = || signed(bare(&running, &path, &with_version(json!({}))), "bedrock");
    let mut types = Vec::new();
    for message in frames(sent(ask()).await).await {
        assert_eq!(header(&message, ":message-type"), "event");
        assert_eq!(header(&message, ":event-type"), "chunk");
        let event = STANDARD.decode(payload(&message)["bytes"].as_str().unwrap());
        let event: Value = serde_json::from_slice(&event.unwrap()).unwrap();
        let metrics = &event["amazon-bedrock-invocationMetrics"];
        assert_eq!(metrics.is_object(), event["type"] == "message_stop");
        types.push(event["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(types.first().unwrap(), "message_start");
    assert_eq!(types.last().unwrap(), "message_stop");

    for (status, exception) in [
        (429, "throttlingException"),
        (500, "internalServerException"),
        (502, "modelStreamErrorException"),
        (504, "modelTimeoutException"),
        (529, "serviceUnavailableException"),
    ] {
        let after_events = 3;
        running.handle.next([Behaviour::StreamError {
            after_events,
            status,
        }]);
        let frames = frames(sent(ask()).await).await;
        assert_eq!(frames.len(), after_events + 1);
        let last = frames.last().unwrap();
        assert_eq!(header(last, ":message-type"), "exception");
        assert_eq!(header(last, ":exception-type"), exception);
        assert!(payload(last)["message"].is_string());
    }
}

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
    let limit = "anthropic-ratelimit-requests-limit";
    assert!(!response.headers().contains_key(limit));

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
    let limit = "anthropic-ratelimit-requests-limit";
    assert!(response.headers().contains_key(limit));
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
        let limit = "anthropic-ratelimit-requests-limit";
        assert!(!response.headers().contains_key(limit));
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

#[tokio::test]
async fn limits_without_headers_are_limits_nevertheless() {
    let running = start(SimulatorConfig {
        host: SimulatedHost::BedrockRuntime,
        limits: SimulatorLimitsConfig {
            requests_per_minute: 1,
            ..SimulatorLimitsConfig::default()
        },
        ..SimulatorConfig::default()
    })
    .await;
    let path = format!("/model/{MODEL_ON_BEDROCK}/invoke");
    let ask = || signed(bare(&running, &path, &with_version(json!({}))), "bedrock");
    assert_eq!(sent(ask()).await.status(), 200);
    let response = sent(ask()).await;
    assert_eq!(response.status(), 429);
    let is_limit = |name: &str| name.contains("ratelimit") || name.contains("retry");
    assert!(
        !response
            .headers()
            .keys()
            .any(|name| is_limit(name.as_str()))
    );
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
            ON_GOOGLE_CLOUD,
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
