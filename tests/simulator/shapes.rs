//! The fields, blocks and tools of requests, stable ones and those in beta.

use crate::{Running, body, error_of, json_of, start, started};
use claude_grpc::simulator::SimulatorConfig;
use serde_json::{Value, json};

const THREADS: &str = "message-threads-2026-08-12";

impl Running {
    /// Status and JSON of the answer to a request with the header `anthropic-beta`.
    async fn ask_beta(&self, betas: &str, extra: Value) -> (u16, Value) {
        let request = self.request("/v1/messages", &body(extra));
        let response = request
            .header("anthropic-beta", betas)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), json_of(response).await)
    }
}

#[tokio::test]
async fn what_the_api_knows_is_accepted() {
    let simulator = started().await;
    let bash = json!({"type": "bash_20250124", "name": "bash"});
    let tool = json!({
        "type": "custom",
        "name": "t",
        "input_schema": {"type": "object"},
        "defer_loading": true,
        "allowed_callers": ["direct"],
        "eager_input_streaming": true,
    });
    let searched = json!([
        {"role": "user", "content": [
            {"type": "container_upload", "file_id": "file_1"},
            {"type": "document", "source": {"type": "content", "content": "One chunk."}},
        ]},
        {"role": "assistant", "content": [
            {
                "type": "server_tool_use",
                "id": "srvtoolu_1",
                "name": "web_search",
                "input": {"query": "harbours"},
                "caller": {"type": "direct"},
            },
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"},
            },
            {
                "type": "tool_use",
                "id": "toolu_1",
                "name": "t",
                "input": {},
                "caller": {"type": "direct"},
            },
        ]},
        {"role": "user", "content": [{
            "type": "tool_result",
            "tool_use_id": "toolu_1",
            "content": [{"type": "tool_reference", "tool_name": "t"}],
        }]},
    ]);
    let answer = simulator
        .answer(json!({
            "tools": [tool, bash],
            "messages": searched,
            "diagnostics": {"previous_message_id": null},
            "inference_geo": "us",
            "speed": "fast",
        }))
        .await;
    assert_eq!(answer["usage"]["inference_geo"], "us");
    assert_eq!(answer["usage"]["speed"], "fast");
}

#[tokio::test]
async fn wrong_values_of_known_fields_are_refused() {
    let simulator = started().await;
    let user = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
    for (wrong, said) in [
        (
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": "3"}]}),
            "tools.0.web_search_20250305.max_uses: Input should be a valid integer",
        ),
        (
            user(json!({"type": "container_upload", "file_id": "f", "name": "n"})),
            "messages.0.content.0.container_upload.name: Extra inputs are not permitted",
        ),
        (
            user(json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})),
            "messages.0.content.0: `server_tool_use` blocks are not allowed in this role",
        ),
        (
            json!({"container": {"id": 5}}),
            "container.id: Input should be a valid string",
        ),
    ] {
        let (status, _, message) = simulator.refused(wrong).await;
        assert_eq!((status, message.as_str()), (400, said));
    }
}

#[tokio::test]
async fn a_part_in_beta_exists_with_its_name_in_the_header() {
    let simulator = started().await;
    let budget = json!({"output_config": {"task_budget": {"type": "tokens", "total": 50_000}}});
    let computer = json!({"tools": [{
        "type": "computer_20251124",
        "name": "computer",
        "display_width_px": 1,
        "display_height_px": 1,
    }]});
    for (beta, extra, said) in [
        (
            THREADS,
            json!({"thread": {"type": "create"}}),
            "thread: Extra inputs are not permitted",
        ),
        (
            "task-budgets-2026-03-13",
            budget,
            "output_config.task_budget: Extra inputs are not permitted",
        ),
        (
            "computer-use-2025-11-24",
            computer,
            "tools.0: Input tag 'computer_20251124' found using 'type' does not match",
        ),
    ] {
        let (_, _, without) = simulator.refused(extra.clone()).await;
        let (status, other) = simulator
            .ask_beta("files-api-2025-04-14", extra.clone())
            .await;
        assert_eq!(status, 400);
        for message in [
            without.as_str(),
            other["error"]["message"].as_str().unwrap(),
        ] {
            assert!(message.contains(said), "{message:?} does not say {said:?}");
        }
        let (status, answer) = simulator.ask_beta(&format!("a-1, {beta}"), extra).await;
        assert_eq!(status, 200, "{answer}");
    }
}

#[tokio::test]
async fn an_answer_says_what_was_done_for_options() {
    let simulator = started().await;
    let extra = json!({
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
        "diagnostics": {"previous_message_id": "msg_1"},
    });
    let (_, answer) = simulator
        .ask_beta("context-management-2025-06-27", extra)
        .await;
    assert_eq!(answer["context_management"], json!({"applied_edits": []}));
    assert_eq!(
        answer["diagnostics"]["cache_miss_reason"]["type"],
        "unavailable"
    );
    let plain = simulator.answer(json!({})).await;
    assert_eq!(
        (plain.get("context_management"), plain.get("diagnostics")),
        (None, None)
    );
}

#[tokio::test]
async fn marks_of_the_cache_count_wherever_they_are() {
    let simulator = started().await;
    let mark = json!({"type": "ephemeral"});
    let bash = json!({"type": "bash_20250124", "name": "bash", "cache_control": mark});
    let upload = json!({"type": "container_upload", "file_id": "file_1", "cache_control": mark});
    let with = |uploads: usize| {
        json!({
            "tools": [bash],
            "messages": [{"role": "user", "content": vec![upload.clone(); uploads]}],
        })
    };
    simulator.answer(with(3)).await;
    let (status, _, message) = simulator.refused(with(4)).await;
    assert_eq!(status, 400);
    assert!(message.contains("A maximum of 4 blocks"), "{message}");
}

#[tokio::test]
async fn a_thread_is_continued_with_what_is_new() {
    let simulator = started().await;
    let tools = json!([{
        "name": "get_weather",
        "input_schema": {"type": "object", "properties": {"location": {"type": "string"}}},
    }]);
    let question = json!([{"role": "user", "content": "What is the weather in Oldport?"}]);
    let first = json!({"thread": {"type": "create"}, "tools": tools, "messages": question});
    let (_, asked) = simulator.ask_beta(THREADS, first).await;
    let result = json!([{"role": "user", "content": [{
        "type": "tool_result",
        "tool_use_id": asked["content"][0]["id"],
        "content": "Rain",
    }]}]);
    let next = json!({
        "thread": {"type": "continue", "previous_message_id": asked["id"]},
        "messages": result,
    });
    let (_, told) = simulator.ask_beta(THREADS, next.clone()).await;
    assert_eq!(
        told["content"][0]["text"],
        "[simulated] The tool answered: Rain"
    );
    let unknown = json!({"thread": {"type": "continue", "previous_message_id": "msg_0"}});
    for (extra, status, code) in [
        (next, 400, "thread_already_continued"),
        (unknown, 404, "thread_not_found"),
        (
            json!({"thread": {"type": "create"}, "cache_control": {"type": "ephemeral"}}),
            400,
            "thread_unsupported_request",
        ),
    ] {
        let (got, error) = simulator.ask_beta(THREADS, extra).await;
        assert_eq!(
            (got, error["error"]["details"]["error_code"].as_str()),
            (status, Some(code))
        );
    }
}

#[tokio::test]
async fn shapes_can_be_all_that_is_checked() {
    let simulator = start(SimulatorConfig {
        shapes_only: true,
        ..SimulatorConfig::default()
    })
    .await;
    let odd = json!({
        "thread": {"type": "create"},
        "fallbacks": "default",
        "output_config": {"format": {"type": "json_schema", "schema": {"foo": "bar"}}},
    });
    let (status, answer) = simulator
        .ask_beta("files-api-2025-04-14", odd.clone())
        .await;
    assert_eq!(status, 200, "{answer}");
    let refused = error_of(simulator.ask(odd).await.unwrap()).await;
    assert_eq!(refused.0, 400);
    let (status, _, message) = simulator.refused(json!({"max_tokens": "many"})).await;
    assert_eq!(
        (status, message.as_str()),
        (400, "max_tokens: Input should be a valid integer")
    );
}
