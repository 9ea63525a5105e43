//! Bedrock's endpoint `bedrock-runtime`.

use super::{bare, body, exception, json_of, sent, signed, speaking, start, with_version};
use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use aws_smithy_types::event_stream::Message;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use claude_grpc::simulator::{Behaviour, SimulatedHost, SimulatorConfig, SimulatorLimitsConfig};
use reqwest::Response;
use serde_json::{Value, json};

const MODEL: &str = "eu.anthropic.claude-haiku-4-5-20251001-v1%3A0";

#[tokio::test]
async fn the_runtime_of_bedrock_has_the_model_in_its_path() {
    let running = speaking(SimulatedHost::BedrockRuntime).await;
    let path = format!("/model/{MODEL}/invoke");
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
    let path = format!("/model/{MODEL}/invoke-with-response-stream");
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

    running.handle.next([Behaviour::StreamError {
        after_events: 0,
        status: 403,
    }]);
    let [unmodeled] = &frames(sent(ask()).await).await[..] else {
        panic!("one frame");
    };
    assert_eq!(header(unmodeled, ":message-type"), "error");
    assert_eq!(header(unmodeled, ":error-code"), "AccessDeniedException");
    assert!(!header(unmodeled, ":error-message").is_empty());

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
    let path = format!("/model/{MODEL}/invoke");
    let body = with_version(json!({}));
    let ask = |key| bare(&running, &path, &body).bearer_auth(key);
    assert_eq!(sent(ask("first")).await.status(), 200);
    // They are the account's.
    let response = sent(ask("second")).await;
    assert_eq!(response.status(), 429);
    let is_limit = |name: &str| name.contains("ratelimit") || name.contains("retry");
    assert!(
        !response
            .headers()
            .keys()
            .any(|name| is_limit(name.as_str()))
    );
}
