//! The simulator as its clients see it: over a socket.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod batches;
mod connections;
mod files;
mod fixtures;
mod hosts;
mod models;
mod shapes;
mod tools;

use claude_grpc::simulator::{
    Behaviour, Handle, Simulator, SimulatorConfig, SimulatorLimitsConfig,
};
use futures::StreamExt;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// A running simulator and a client for it.
struct Running {
    base: String,
    handle: Handle,
    client: Client,
    serving: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn start(config: SimulatorConfig) -> Running {
    let simulator = Simulator::bind(config).await.unwrap();
    Running {
        base: simulator.base_url().unwrap(),
        handle: simulator.handle(),
        client: Client::new(),
        serving: tokio::spawn(simulator.run()),
    }
}

async fn started() -> Running {
    start(SimulatorConfig::default()).await
}

fn body(extra: Value) -> Value {
    let mut body = json!({
        "model": "claude-haiku-5-5",
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": "Tell me about the harbour of Oldport."}],
    });
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

impl Running {
    fn request(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.client
            .post(format!("{}{path}", self.base))
            .header("x-api-key", "key")
            .header("anthropic-version", "2026-10-21")
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    async fn call(&self, method: Method, path: &str, key: &str) -> Response {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request.header("x-api-key", key);
        let request = request.header("anthropic-version", "2026-10-21");
        request.send().await.unwrap()
    }

    async fn ask(&self, extra: Value) -> reqwest::Result<Response> {
        self.request("/v1/messages", &body(extra)).send().await
    }

    async fn answer(&self, extra: Value) -> Value {
        let response = self.ask(extra).await.unwrap();
        let status = response.status();
        let answer = json_of(response).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// The answer to a request with the name of a beta.
    async fn beta(&self, extra: Value, beta: &str) -> Value {
        let request = self.request("/v1/messages", &body(extra));
        let response = request.header("anthropic-beta", beta).send().await.unwrap();
        let status = response.status();
        let answer = json_of(response).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// Status, error type and message.
    async fn refused(&self, extra: Value) -> (u16, String, String) {
        error_of(self.ask(extra).await.unwrap()).await
    }

    async fn behaves(&self, behaviour: Behaviour, extra: Value) -> reqwest::Result<Response> {
        self.handle.next([behaviour]);
        self.ask(extra).await
    }

    /// The events of a streamed answer as (name, data), and whether the body
    /// came to its end.
    async fn stream(&self, behaviour: Option<Behaviour>) -> (Vec<(String, String)>, bool) {
        self.handle.next(behaviour);
        events(self.ask(json!({"stream": true})).await.unwrap()).await
    }
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

async fn error_of(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let id = response.headers()["request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let body = json_of(response).await;
    assert_eq!(body["type"], "error", "{body}");
    assert_eq!(body["request_id"], id);
    let text = |field: &str| body["error"][field].as_str().unwrap().to_owned();
    (status, text("type"), text("message"))
}

async fn events(response: Response) -> (Vec<(String, String)>, bool) {
    assert_eq!(response.status(), StatusCode::OK);
    let mut bytes = Vec::new();
    let mut body = response.bytes_stream();
    let mut whole = true;
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(_) => {
                whole = false;
                break;
            }
        }
    }
    let events = String::from_utf8(bytes)
        .unwrap()
        .split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let name = name.strip_prefix("event: ").unwrap();
            (
                name.to_owned(),
                data.strip_prefix("data: ").unwrap().to_owned(),
            )
        })
        .collect();
    (events, whole)
}

fn text_of(answer: &Value) -> &str {
    answer["content"][0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn an_answer_has_the_shape_of_the_api_and_is_marked() {
    let simulator = started().await;
    let response = simulator.ask(json!({})).await.unwrap();
    let headers = response.headers().clone();
    for name in [
        "request-id",
        "anthropic-organization-id",
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
        "anthropic-ratelimit-tokens-limit",
    ] {
        assert!(headers.contains_key(name), "{name}");
    }
    let answer = json_of(response).await;
    assert_eq!(answer["type"], "message");
    assert_eq!(answer["role"], "assistant");
    assert_eq!(answer["model"], "claude-haiku-5-5");
    assert_eq!(answer["stop_reason"], "end_turn");
    assert!(answer["usage"]["input_tokens"].as_u64().unwrap() > 5);
    assert!(answer["usage"]["output_tokens"].as_u64().unwrap() > 5);
    assert!(text_of(&answer).starts_with("[simulated] "));
    assert!(text_of(&answer).contains("harbour of Oldport"));
    let again = simulator.answer(json!({})).await;
    assert_eq!(again["content"], answer["content"]);
}

#[tokio::test]
async fn headers_are_checked() {
    let simulator = start(SimulatorConfig {
        api_keys: vec!["right".to_owned()],
        ..SimulatorConfig::default()
    })
    .await;
    let url = format!("{}/v1/messages", simulator.base);
    let send = async |headers: &[(&str, &str)]| {
        let mut request = simulator
            .client
            .post(&url)
            .body(body(json!({})).to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let version = ("anthropic-version", "2026-10-21");
    let json = ("content-type", "application/json");
    let key = ("x-api-key", "right");
    assert_eq!(send(&[version, json, key]).await, 200);
    assert_eq!(
        send(&[version, json, ("authorization", "Bearer right")]).await,
        200
    );
    assert_eq!(
        send(&[("anthropic-version", "2023-06-01"), json, key]).await,
        200
    );
    assert_eq!(send(&[version, json]).await, 401);
    assert_eq!(send(&[version, json, ("x-api-key", "wrong")]).await, 401);
    // The older header wins over the newer one.
    let both = [
        version,
        json,
        ("x-api-key", "wrong"),
        ("authorization", "Bearer right"),
    ];
    assert_eq!(send(&both).await, 401);
    assert_eq!(send(&[json, key]).await, 400);
    assert_eq!(
        send(&[("anthropic-version", "2020-01-01"), json, key]).await,
        400
    );
    assert_eq!(send(&[version, key]).await, 400);
    assert_eq!(
        send(&[version, ("content-type", "text/plain"), key]).await,
        400
    );
}

#[tokio::test]
async fn what_the_api_refuses_is_refused() {
    let simulator = started().await;
    let message = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let tool = json!({"name": "t", "input_schema": {"type": "object"}});
    let mark = json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}});
    for (wrong, said) in [
        (
            json!({"temperature": 1.0}),
            "temperature: Extra inputs are not permitted",
        ),
        (json!({"top_k": 1}), "top_k: Extra inputs are not permitted"),
        (json!({"max_tokens": null}), "max_tokens: Field required"),
        (
            json!({"max_tokens": 1_000_000}),
            "max_tokens: 1000000 > 128000",
        ),
        (json!({"messages": []}), "at least one message"),
        (
            message(json!("")),
            "messages.0: text content blocks must be non-empty",
        ),
        (
            message(json!([{"type": "text", "text": ""}])),
            "messages.0.content.0",
        ),
        (
            message(json!([{"type": "video"}])),
            "messages.0.content.0: Input tag 'video'",
        ),
        (
            message(json!([{"type": "text", "text": "x", "colour": "red"}])),
            "text.colour: Extra inputs are not permitted",
        ),
        (
            message(json!([mark, mark, mark, mark, mark])),
            "maximum of 4 blocks",
        ),
        (
            json!({"messages": [{"role": "assistant", "content": "The answer is"}]}),
            "does not support prefilling",
        ),
        (
            json!({"messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": [{
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                }]},
                {"role": "user", "content": "x"},
            ]}),
            "messages.1.content.0: `document`",
        ),
        (
            message(json!([{"type": "tool_result", "tool_use_id": "nobody", "content": "x"}])),
            "unexpected `tool_use_id`",
        ),
        (
            json!({
                "model": "claude-sonnet-5-5",
                "tools": [tool],
                "tool_choice": {"type": "any"},
            }),
            "forcing a tool is not supported",
        ),
        (json!({"tools": [tool, tool]}), "Tool names must be unique"),
        (
            json!({"output_config": {"format": {
                "type": "json_schema",
                "schema": {"type": "object", "properties": {}},
            }}}),
            "'additionalProperties' must be set to false",
        ),
        (
            json!({"output_config": {"format": {
                "type": "json_schema",
                "schema": {"type": "integer", "minimum": 1},
            }}}),
            "property 'minimum' is not supported",
        ),
    ] {
        let (status, kind, message) = simulator.refused(wrong).await;
        assert_eq!((status, kind.as_str()), (400, "invalid_request_error"));
        assert!(message.contains(said), "{message:?} does not say {said:?}");
    }
    let (status, kind, _) = simulator.refused(json!({"model": "gpt"})).await;
    assert_eq!((status, kind.as_str()), (404, "not_found_error"));
}

#[tokio::test]
async fn paths_methods_and_sizes() {
    let simulator = started().await;
    let elsewhere = simulator
        .request("/v1/complete", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(error_of(elsewhere).await.1, "not_found_error");
    let get = simulator
        .client
        .get(format!("{}/v1/messages", simulator.base))
        .send();
    assert_eq!(get.await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    let count = simulator.request(
        "/v1/messages/count_tokens",
        &json!({
            "model": "claude-haiku-5-5",
            "messages": [{"role": "user", "content": "x".repeat(400)}],
        }),
    );
    assert_eq!(
        json_of(count.send().await.unwrap()).await,
        json!({"input_tokens": 104})
    );
    let count = simulator.request("/v1/messages/count_tokens", &body(json!({})));
    assert_eq!(error_of(count.send().await.unwrap()).await.0, 400);
    let large = body(json!({"system": "x".repeat(33 * 1024 * 1024)}));
    let large = simulator.request("/v1/messages", &large).send().await;
    // The answer may come before the whole body is sent.
    if let Ok(response) = large {
        assert_eq!(error_of(response).await.0, 413);
    }
}

#[tokio::test]
async fn a_stream_has_the_order_of_the_api_and_the_text_of_the_whole_answer() {
    let simulator = started().await;
    let (events, whole) = simulator.stream(None).await;
    assert!(whole);
    let mut names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "message_start",
            "ping",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    let data: Vec<Value> = events
        .iter()
        .map(|(_, data)| serde_json::from_str(data).unwrap())
        .collect();
    for ((name, _), data) in events.iter().zip(&data) {
        assert_eq!(data["type"], *name);
    }
    let text: String = data
        .iter()
        .filter_map(|it| it["delta"]["text"].as_str())
        .collect();
    let answer = simulator.answer(json!({})).await;
    assert_eq!(text, text_of(&answer));
    let end = &data[data.len() - 2];
    assert_eq!(end["delta"]["stop_reason"], "end_turn");
    assert_eq!(
        end["usage"]["output_tokens"],
        answer["usage"]["output_tokens"]
    );
    assert_eq!(data[0]["message"]["stop_reason"], Value::Null);
    assert_eq!(data[0]["message"]["content"], json!([]));
}

#[tokio::test]
async fn every_error_has_its_type() {
    let simulator = started().await;
    for (status, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (408, "timeout_error"),
        (409, "conflict_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ] {
        simulator.handle.next([Behaviour::Error(status)]);
        let (found, found_kind, _) = simulator.refused(json!({})).await;
        assert_eq!((found, found_kind.as_str()), (status, kind));
    }
    let retry_after = Duration::from_millis(1500);
    let limited = simulator
        .behaves(Behaviour::RateLimited { retry_after }, json!({}))
        .await;
    let headers = limited.unwrap().headers().clone();
    assert_eq!(headers["retry-after"], "2");
    assert_eq!(headers["retry-after-ms"], "1500");
    let spent = simulator
        .behaves(Behaviour::SpendLimit, json!({}))
        .await
        .unwrap();
    assert!(!spent.headers().contains_key("retry-after"));
    let code = json_of(spent).await["error"]["details"]["error_code"].clone();
    assert_eq!(code, "enforced_spend_limit_reached");
    let told = simulator
        .behaves(Behaviour::ShouldRetry(false, 500), json!({}))
        .await
        .unwrap();
    assert_eq!(told.headers()["x-should-retry"], "false");
    let page = simulator
        .behaves(Behaviour::HtmlError, json!({}))
        .await
        .unwrap();
    assert_eq!(page.status(), StatusCode::BAD_GATEWAY);
    assert!(page.text().await.unwrap().starts_with("<html>"));
    let garbage = simulator
        .behaves(Behaviour::Garbage, json!({}))
        .await
        .unwrap();
    assert_eq!(garbage.status(), StatusCode::OK);
    assert!(serde_json::from_slice::<Value>(&garbage.bytes().await.unwrap()).is_err());
}

#[tokio::test]
async fn connections_break_as_asked() {
    let simulator = started().await;
    let dropped = simulator.behaves(Behaviour::Drop, json!({})).await;
    assert!(dropped.unwrap_err().is_request());
    let (events, whole) = simulator
        .stream(Some(Behaviour::Cut { after_events: 4 }))
        .await;
    assert_eq!((events.len(), whole), (4, false));
    let (events, whole) = simulator
        .stream(Some(Behaviour::Cut { after_events: 9999 }))
        .await;
    assert_eq!(events.last().unwrap().0, "message_delta");
    assert!(!whole);
    let cut = simulator
        .behaves(Behaviour::Cut { after_events: 0 }, json!({}))
        .await
        .unwrap();
    assert!(cut.bytes().await.is_err());
    let (events, whole) = simulator
        .stream(Some(Behaviour::ErrorEvent { after_events: 3 }))
        .await;
    assert_eq!(events.len(), 4);
    assert!(whole);
    let (name, data) = events.last().unwrap();
    assert_eq!(name, "error");
    let error: Value = serde_json::from_str(data).unwrap();
    assert_eq!(error["error"]["type"], "overloaded_error");
    let (events, _) = simulator.stream(Some(Behaviour::Garbage)).await;
    assert!(
        events
            .iter()
            .all(|(_, data)| serde_json::from_str::<Value>(data).is_err())
    );
    let counts = simulator.handle.counts();
    assert_eq!((counts.in_flight, counts.hung_up), (0, 0));
    assert_eq!(counts.answered, counts.requests);
}

#[tokio::test]
async fn answers_out_of_the_ordinary() {
    let simulator = started().await;
    let behaves =
        async |behaviour| json_of(simulator.behaves(behaviour, json!({})).await.unwrap()).await;
    let refusal = behaves(Behaviour::Refusal).await;
    assert_eq!(refusal["stop_reason"], "refusal");
    assert_eq!(refusal["stop_details"]["type"], "refusal");
    assert_eq!(
        behaves(Behaviour::Text("Just this.".to_owned())).await["content"][0]["text"],
        "Just this."
    );
    let cut = behaves(Behaviour::MaxTokens).await;
    assert_eq!(cut["stop_reason"], "max_tokens");
    let thinking = behaves(Behaviour::Thinking).await;
    let kinds = |answer: &Value| {
        let blocks = answer["content"].as_array().unwrap().iter();
        blocks
            .map(|block| block["type"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&thinking), ["thinking", "redacted_thinking", "text"]);
    assert_eq!(
        kinds(&behaves(Behaviour::UnknownBlock).await),
        ["simulated_unknown", "text"]
    );
    assert_eq!(
        behaves(Behaviour::UnknownStopReason).await["stop_reason"],
        "simulated_unknown"
    );
    assert!(behaves(Behaviour::Citations).await["content"][0]["citations"][0].is_object());
    assert_eq!(
        behaves(Behaviour::Deltas(3)).await["content"][0]["text"],
        "0 1 2 "
    );
    let stopped = simulator
        .answer(json!({"stop_sequences": ["harbour"]}))
        .await;
    assert_eq!(stopped["stop_reason"], "stop_sequence");
    assert_eq!(stopped["stop_sequence"], "harbour");
    let short = simulator.answer(json!({"max_tokens": 3})).await;
    assert_eq!(short["stop_reason"], "max_tokens");
    assert_eq!(short["usage"]["output_tokens"], 3);
}

#[tokio::test]
async fn the_header_asks_for_the_first_attempts() {
    let simulator = started().await;
    let attempt = async |asked: &str, retries: &str| {
        let request = simulator.request("/v1/messages", &body(json!({})));
        let request = request.header("x-simulator", asked);
        let request = request.header("x-stainless-retry-count", retries);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(attempt("529;times=2", "0").await, 529);
    assert_eq!(attempt("529;times=2", "1").await, 529);
    assert_eq!(attempt("529;times=2", "2").await, 200);
    assert_eq!(attempt("overloaded", "7").await, 529);
    assert_eq!(attempt("nonsense", "0").await, 400);
}

#[tokio::test]
async fn a_script_is_followed_and_requests_are_recorded() {
    let simulator = start(SimulatorConfig {
        record: true,
        ..SimulatorConfig::default()
    })
    .await;
    simulator.handle.always(Some(Behaviour::Overloaded));
    simulator.handle.next([Behaviour::Error(500)]);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(simulator.ask(json!({})).await.unwrap().status().as_u16());
    }
    simulator.handle.always(None);
    statuses.push(simulator.ask(json!({})).await.unwrap().status().as_u16());
    assert_eq!(statuses, [500, 529, 529, 200]);
    let requests = simulator.handle.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[0].method, "POST");
    assert_eq!(requests[0].path, "/v1/messages");
    assert_eq!(requests[0].headers["x-api-key"], "key");
    assert_eq!(
        serde_json::from_slice::<Value>(&requests[0].body).unwrap(),
        body(json!({}))
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_is_seen_at_once() {
    let simulator = start(SimulatorConfig {
        time_to_first_token: Duration::from_secs(3600),
        ..SimulatorConfig::default()
    })
    .await;
    // While it hangs, and while it waits for the first token of either form.
    for (behaviour, stream) in [(Some(Behaviour::Hang), false), (None, false), (None, true)] {
        simulator.handle.next(behaviour);
        let before = simulator.handle.counts();
        let request = simulator.request("/v1/messages", &body(json!({"stream": stream})));
        let asking = tokio::spawn(request.send());
        simulator.handle.until(|counts| counts.in_flight == 1).await;
        asking.abort();
        let began = Instant::now();
        simulator
            .handle
            .until(|counts| counts.hung_up == before.hung_up + 1)
            .await;
        assert!(
            began.elapsed() < Duration::from_millis(100),
            "{:?}",
            began.elapsed()
        );
        simulator
            .handle
            .until(|counts| counts.connections_open == 0)
            .await;
    }
}

#[tokio::test]
async fn a_stalled_stream_is_seen_to_be_left() {
    let simulator = started().await;
    let hang = Behaviour::HangAfter { events: 3 };
    let response = simulator
        .behaves(hang, json!({"stream": true}))
        .await
        .unwrap();
    let mut body = response.bytes_stream();
    assert!(body.next().await.unwrap().is_ok());
    assert_eq!(simulator.handle.counts().in_flight, 1);
    drop(body);
    let began = Instant::now();
    simulator.handle.until(|counts| counts.hung_up == 1).await;
    assert!(began.elapsed() < Duration::from_millis(100));
}

#[tokio::test]
async fn stopping_closes_every_connection() {
    let simulator = started().await;
    simulator.handle.next([Behaviour::Hang]);
    let asking = tokio::spawn(simulator.request("/v1/messages", &body(json!({}))).send());
    simulator.handle.until(|counts| counts.in_flight == 1).await;
    simulator.serving.abort();
    assert!(asking.await.unwrap().is_err());
    simulator
        .handle
        .until(|counts| counts.connections_open == 0)
        .await;
}

#[tokio::test]
async fn a_stream_is_made_as_its_reader_takes_it() {
    let simulator = started().await;
    let (events, whole) = simulator.stream(Some(Behaviour::Deltas(10_000))).await;
    assert!(whole);
    let text: String = events
        .iter()
        .filter_map(|(_, data)| {
            let data: Value = serde_json::from_str(data).unwrap();
            data["delta"]["text"].as_str().map(str::to_owned)
        })
        .collect();
    let expected: String = (0..10_000).map(|number| format!("{number} ")).collect();
    assert_eq!(text, expected);
    // One that could never be held in memory begins as quickly, and ends with
    // its reader.
    let endless = Behaviour::Deltas(u64::MAX);
    let response = simulator
        .behaves(endless, json!({"stream": true}))
        .await
        .unwrap();
    let mut body = response.bytes_stream();
    for _ in 0..100 {
        assert!(body.next().await.unwrap().is_ok());
    }
    drop(body);
    simulator.handle.until(|counts| counts.hung_up == 1).await;
}

#[tokio::test]
async fn rate_limits_refuse_and_say_when_to_come_back() {
    let simulator = start(SimulatorConfig {
        limits: SimulatorLimitsConfig {
            requests_per_minute: 2,
            output_tokens_per_minute: 100_000,
            ..SimulatorLimitsConfig::default()
        },
        ..SimulatorConfig::default()
    })
    .await;
    let first = simulator.ask(json!({})).await.unwrap();
    let headers = first.headers();
    assert_eq!(headers["anthropic-ratelimit-requests-limit"], "2");
    assert_eq!(headers["anthropic-ratelimit-requests-remaining"], "1");
    assert_eq!(headers["anthropic-ratelimit-output-tokens-limit"], "100000");
    assert_eq!(
        headers["anthropic-ratelimit-output-tokens-remaining"],
        "99000"
    );
    assert_eq!(
        simulator.ask(json!({})).await.unwrap().status(),
        StatusCode::OK
    );
    let refused = simulator.ask(json!({})).await.unwrap();
    let seconds: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((29..=30).contains(&seconds), "{seconds}");
    assert_eq!(
        refused.headers()["anthropic-ratelimit-requests-remaining"],
        "0"
    );
    assert_eq!(error_of(refused).await.1, "rate_limit_error");
    let other_model = simulator.ask(json!({"model": "claude-sonnet-5-5"})).await;
    assert_eq!(other_model.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn tools_are_asked_for_and_their_results_told() {
    let simulator = started().await;
    let tools = json!([{
        "name": "get_weather",
        "description": "The weather at a place",
        "input_schema": {
            "type": "object",
            "properties": {"location": {"type": "string"}},
            "required": ["location"],
        },
    }]);
    let question = json!({"role": "user", "content": "What is the weather in Oldport?"});
    let asked = simulator
        .answer(json!({"tools": tools, "messages": [question]}))
        .await;
    assert_eq!(asked["stop_reason"], "tool_use");
    let tool_use = &asked["content"][0];
    assert_eq!(tool_use["name"], "get_weather");
    assert_eq!(tool_use["input"], json!({"location": "Oldport"}));
    let result = json!({"type": "tool_result", "tool_use_id": tool_use["id"], "content": "Rain"});
    let told = simulator
        .answer(json!({"tools": tools, "messages": [
            question,
            {"role": "assistant", "content": asked["content"]},
            {"role": "user", "content": [result]},
        ]}))
        .await;
    assert_eq!(text_of(&told), "[simulated] The tool answered: Rain");
    let plain = simulator
        .answer(json!({"tools": tools, "tool_choice": {"type": "none"}, "messages": [question]}))
        .await;
    assert_eq!(plain["stop_reason"], "end_turn");
}

#[tokio::test]
async fn the_prompt_cache_is_written_and_read() {
    let simulator = started().await;
    let text = "A long prefix. ".repeat(1000);
    let system = json!([{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]);
    let first = simulator.answer(json!({"system": system})).await["usage"].clone();
    let second = simulator.answer(json!({"system": system})).await["usage"].clone();
    assert_eq!(first["cache_creation_input_tokens"], 3750);
    assert_eq!(first["cache_read_input_tokens"], 0);
    assert_eq!(second["cache_creation_input_tokens"], 0);
    assert_eq!(second["cache_read_input_tokens"], 3750);
    assert_eq!(first["input_tokens"], second["input_tokens"]);
}

#[tokio::test]
async fn both_versions_of_http_on_one_port() {
    let simulator = started().await;
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let request = simulator.request("/v1/messages", &body(json!({"stream": true})));
    let mut request = request.build().unwrap();
    *request.version_mut() = reqwest::Version::HTTP_2;
    let response = client.execute(request).await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    let (events, whole) = events(response).await;
    assert!(whole);
    assert_eq!(events.last().unwrap().0, "message_stop");
    simulator.handle.next([Behaviour::Cut { after_events: 3 }]);
    let request = simulator.request("/v1/messages", &body(json!({"stream": true})));
    let response = client.execute(request.build().unwrap()).await.unwrap();
    assert!(!self::events(response).await.1);
}

#[tokio::test]
async fn an_answer_takes_its_time() {
    let simulator = start(SimulatorConfig {
        time_to_first_token: Duration::from_millis(50),
        tokens_per_second: 1000.0,
        ..SimulatorConfig::default()
    })
    .await;
    for stream in [false, true] {
        let began = Instant::now();
        simulator.handle.next([Behaviour::Deltas(100)]);
        simulator
            .ask(json!({"stream": stream}))
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert!(
            began.elapsed() >= Duration::from_millis(150),
            "{:?}",
            began.elapsed()
        );
    }
}
