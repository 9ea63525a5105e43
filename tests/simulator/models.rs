//! What each model accepts, as the catalogue states it.

use crate::{error_of, json_of, started};
use claude_grpc::models::catalogue;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Status and message of the answer to a request for a model.
async fn asked(model: &str, extra: Value) -> (u16, String) {
    let simulator = started().await;
    let mut extra = extra;
    extra["model"] = json!(model);
    let response = simulator.ask(extra).await.unwrap();
    match response.status() {
        StatusCode::OK => (200, String::new()),
        _ => {
            let (status, _, message) = error_of(response).await;
            (status, message)
        }
    }
}

/// Asks each model, and checks whether the answer is a 400 with this text.
async fn hold(rows: &[(&str, Value, Option<&str>)]) {
    for (model, extra, said) in rows {
        let (status, message) = asked(model, extra.clone()).await;
        let expected = if said.is_some() { 400 } else { 200 };
        assert_eq!(status, expected, "{model} {extra}: {message}");
        assert!(message.contains(said.unwrap_or("")), "{model}: {message}");
    }
}

#[tokio::test]
async fn every_model_answers_by_each_id_of_the_api() {
    for model in catalogue().models() {
        for id in [&model.name, model.id()] {
            let (status, message) = asked(id, json!({})).await;
            assert_eq!(status, 200, "{id}: {message}");
        }
    }
    // Ids of other hosts are not those of this API.
    for id in ["anthropic.claude-opus-5", "claude-haiku-4-5@20251001"] {
        assert_eq!(asked(id, json!({})).await.0, 404, "{id}");
    }
}

#[tokio::test]
async fn the_list_has_the_dates_and_what_models_support() {
    let simulator = started().await;
    let get = async |id: &str| {
        let url = format!("{}/v1/models/{id}", simulator.base);
        let request = simulator.client.get(url).header("x-api-key", "key");
        let request = request.header("anthropic-version", "2026-10-21");
        json_of(request.send().await.unwrap()).await
    };
    let opus = get("claude-opus-4-5").await;
    assert_eq!(opus["id"], "claude-opus-4-5-20251101");
    assert_eq!(opus["created_at"], "2025-11-24T00:00:00Z");
    assert_eq!(opus["lifecycle"], "deprecated");
    assert_eq!(opus["deprecated_at"], "2026-11-23T00:00:00Z");
    assert_eq!(opus["retires_at"], "2027-01-22T00:00:00Z");
    assert_eq!(opus["max_input_tokens"], 200_000);
    assert_eq!(opus["max_tokens"], 64_000);
    let supported = |model: &Value, path: &str| {
        let found = model["capabilities"].pointer(path).unwrap();
        found["supported"].as_bool().unwrap()
    };
    assert!(supported(&opus, "/effort/high") && !supported(&opus, "/effort/max"));
    let sonnet = get("claude-sonnet-5-5").await;
    assert_eq!(sonnet["lifecycle"], "active");
    assert_eq!(sonnet["retires_at"], Value::Null);
    for (kind, is_supported) in [
        ("adaptive", true),
        ("between_tools", true),
        ("disabled", false),
        ("enabled", false),
    ] {
        let path = format!("/thinking/types/{kind}");
        assert_eq!(supported(&sonnet, &path), is_supported, "{kind}");
    }
}

#[tokio::test]
async fn a_model_thinks_as_it_can() {
    let thinking = |kind: &str| json!({"thinking": {"type": kind}});
    let enabled = || {
        let thinking = json!({"type": "enabled", "budget_tokens": 1024});
        json!({"max_tokens": 2000, "thinking": thinking})
    };
    let no_disabled = Some(
        "\"thinking.type.disabled\" is not supported for this model. Use \
         \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior.",
    );
    let no_enabled = Some("\"thinking.type.enabled\" is not supported for this model.");
    let no_between = Some("\"thinking.type.between_tools\" is not supported for this model.");
    hold(&[
        ("claude-opus-5-5", thinking("adaptive"), None),
        ("claude-opus-5-5", thinking("disabled"), no_disabled),
        ("claude-opus-5-5", enabled(), no_enabled),
        ("claude-fable-5-2", thinking("disabled"), no_disabled),
        ("claude-sonnet-5-5", thinking("between_tools"), None),
        (
            "claude-sonnet-5-5",
            thinking("disabled"),
            Some("send \"thinking\": {\"type\": \"between_tools\"}"),
        ),
        ("claude-sonnet-5-5", enabled(), no_enabled),
        ("claude-sonnet-5", thinking("disabled"), None),
        ("claude-sonnet-5", enabled(), no_enabled),
        ("claude-haiku-5-5", thinking("disabled"), None),
        ("claude-haiku-5-5", thinking("between_tools"), no_between),
        ("claude-haiku-5-5", enabled(), no_enabled),
        ("claude-opus-4-6", enabled(), None),
        ("claude-opus-4-6", thinking("adaptive"), None),
        ("claude-haiku-4-5", enabled(), None),
        (
            "claude-haiku-4-5",
            thinking("adaptive"),
            Some("adaptive thinking is not supported on this model"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn thinking_is_turned_off_up_to_the_effort_that_allows_it() {
    let off = |kind: &str, effort: &str| json!({"thinking": {"type": kind}, "output_config": {"effort": effort}});
    let refused = Some("is not supported at effort");
    hold(&[
        ("claude-opus-5", off("disabled", "high"), None),
        ("claude-opus-5", off("disabled", "xhigh"), refused),
        ("claude-opus-5", off("adaptive", "max"), None),
        ("claude-haiku-5-5", off("disabled", "max"), refused),
        ("claude-sonnet-5-5", off("between_tools", "medium"), None),
        ("claude-sonnet-5-5", off("between_tools", "xhigh"), refused),
        ("claude-sonnet-5", off("disabled", "max"), None),
    ])
    .await;
}

#[tokio::test]
async fn effort_has_the_levels_of_the_model() {
    let effort = |level: &str| json!({"output_config": {"effort": level}});
    hold(&[
        ("claude-opus-5", effort("xhigh"), None),
        ("claude-opus-4-6", effort("max"), None),
        (
            "claude-opus-4-6",
            effort("xhigh"),
            Some("effort level 'xhigh'. Supported levels: low, medium, high, max."),
        ),
        (
            "claude-opus-4-5",
            effort("max"),
            Some("effort level 'max'. Supported levels: low, medium, high."),
        ),
        (
            "claude-haiku-4-5",
            effort("low"),
            Some("This model does not support the effort parameter."),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_tool_is_forced_and_an_answer_begun_where_the_model_allows_it() {
    let tool = json!({"name": "t", "input_schema": {"type": "object"}});
    let forced = || json!({"tools": [tool], "tool_choice": {"type": "any"}});
    let begun = || {
        json!({"messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "The answer is"},
        ]})
    };
    let no_tool = Some("forcing a tool is not supported");
    let no_prefill = Some("does not support prefilling");
    hold(&[
        ("claude-haiku-5-5", forced(), None),
        ("claude-opus-5", forced(), None),
        ("claude-fable-5", forced(), None),
        ("claude-opus-5-5", forced(), no_tool),
        ("claude-sonnet-5-5", forced(), no_tool),
        ("claude-fable-5-1", forced(), no_tool),
        ("claude-mythos-5-2", forced(), no_tool),
        ("claude-mythos-preview", forced(), no_tool),
        ("claude-sonnet-4-5", begun(), None),
        ("claude-haiku-4-5", begun(), None),
        ("claude-sonnet-4-6", begun(), no_prefill),
        ("claude-haiku-5-5", begun(), no_prefill),
    ])
    .await;
}

#[tokio::test]
async fn a_prefix_is_cached_from_the_minimum_of_the_model_on() {
    // The simulator counts four characters a token.
    let written = async |model: &str, tokens: usize| {
        let simulator = started().await;
        let text = "x".repeat(4 * tokens);
        let mark = json!({"type": "ephemeral"});
        let system = json!([{"type": "text", "text": text, "cache_control": mark}]);
        let answer = simulator.answer(json!({"model": model, "system": system}));
        answer.await["usage"]["cache_creation_input_tokens"].clone()
    };
    for (model, minimum) in [
        ("claude-haiku-5-5", 512),
        ("claude-opus-5", 512),
        ("claude-sonnet-5", 1024),
        ("claude-opus-4-7", 2048),
        ("claude-haiku-4-5", 4096),
    ] {
        assert_eq!(written(model, minimum).await, minimum, "{model}");
        assert_eq!(written(model, minimum - 1).await, 0, "{model}");
    }
}
