//! The tools that the API defines: those that it runs itself, and those of the caller.

use crate::{Running, body, error_of, events, started, text_of};
use serde_json::{Value, json};

fn asking(text: &str, tools: Value) -> Value {
    json!({"tools": tools, "messages": [{"role": "user", "content": text}]})
}

fn kinds(answer: &Value) -> Vec<&str> {
    let blocks = answer["content"].as_array().unwrap();
    blocks
        .iter()
        .map(|block| block["type"].as_str().unwrap())
        .collect()
}

impl Running {
    async fn used(&self, text: &str, tool: Value) -> Value {
        self.answer(asking(text, json!([tool]))).await
    }
}

#[tokio::test]
async fn the_web_is_searched_and_cited() {
    let simulator = started().await;
    let tool = json!({
        "type": "web_search_20260318",
        "name": "web_search",
        "allowed_domains": ["harbours.example"],
    });
    let answer = simulator
        .used("Search the web for harbours.", tool.clone())
        .await;
    assert_eq!(
        kinds(&answer),
        ["server_tool_use", "web_search_tool_result", "text"]
    );
    assert_eq!(answer["stop_reason"], "end_turn");
    let [used, result, text] = answer["content"].as_array().unwrap().as_slice() else {
        unreachable!("there are three blocks");
    };
    assert_eq!(used["id"], result["tool_use_id"]);
    assert_eq!(text["citations"][0]["url"], result["content"][0]["url"]);
    assert_eq!(result["content"][0]["url"], "https://harbours.example/1");
    assert_eq!(answer["usage"]["server_tool_use"]["web_search_requests"], 1);

    let not_asked = simulator
        .used("Tell me about harbours.", tool.clone())
        .await;
    assert_eq!(kinds(&not_asked), ["text"]);
    assert_eq!(not_asked["usage"].get("server_tool_use"), None);

    // It comes back as it is.
    let mut next = asking("Search the web for harbours.", json!([tool]));
    let messages = next["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": answer["content"]}));
    messages.push(json!({"role": "user", "content": "Thanks!"}));
    assert!(text_of(&simulator.answer(next).await).contains("Thanks!"));
}

#[tokio::test]
async fn a_page_is_fetched_if_the_prompt_has_its_url() {
    let simulator = started().await;
    let tool = json!({
        "type": "web_fetch_20260318",
        "name": "web_fetch",
        "citations": {"enabled": true},
    });
    let answer = simulator
        .used("Fetch https://harbours.example/a.", tool.clone())
        .await;
    assert_eq!(
        kinds(&answer),
        ["server_tool_use", "web_fetch_tool_result", "text"]
    );
    assert_eq!(
        answer["content"][0]["input"],
        json!({"url": "https://harbours.example/a"})
    );
    assert_eq!(
        answer["content"][2]["citations"][0]["type"],
        "char_location"
    );
    assert_eq!(answer["usage"]["server_tool_use"]["web_fetch_requests"], 1);
    let without = simulator.used("Fetch the page of the harbour.", tool).await;
    assert_eq!(kinds(&without), ["text"]);
}

#[tokio::test]
async fn code_runs_in_a_container_that_can_be_named_again() {
    let simulator = started().await;
    let prompt = "Execute code that says hello.";
    let tools = json!([{"type": "code_execution_20260521", "name": "code_execution"}]);
    let answer = simulator.answer(asking(prompt, tools.clone())).await;
    assert_eq!(
        kinds(&answer),
        ["server_tool_use", "bash_code_execution_tool_result", "text"]
    );
    assert_eq!(
        answer["content"][1]["content"]["stdout"],
        format!("{prompt}\n")
    );
    let container = &answer["container"];
    let in_container = |id: &Value| {
        let mut next = asking(prompt, tools.clone());
        next["container"] = id.clone();
        next
    };
    let again = simulator.answer(in_container(&container["id"])).await;
    assert_eq!(again["container"], *container);
    let (status, kind, _) = simulator.refused(in_container(&json!("container_0"))).await;
    assert_eq!((status, kind.as_str()), (404, "not_found_error"));

    let python = json!({"type": "code_execution_20250522", "name": "code_execution"});
    let answer = simulator.used(prompt, python).await;
    assert_eq!(kinds(&answer)[1], "code_execution_tool_result");

    let plain = simulator.used("Hello!", tools[0].clone()).await;
    assert_eq!(plain.get("container"), None);
}

#[tokio::test]
async fn a_deferred_tool_is_searched_before_it_is_used() {
    let simulator = started().await;
    let tools = json!([
        {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"},
        {
            "name": "get_weather",
            "input_schema": {"type": "object", "properties": {"location": {"type": "string"}}},
            "defer_loading": true,
        },
    ]);
    let answer = simulator
        .answer(asking("What is the weather in Oldport?", tools.clone()))
        .await;
    assert_eq!(
        kinds(&answer),
        ["server_tool_use", "tool_search_tool_result", "tool_use"]
    );
    assert_eq!(answer["stop_reason"], "tool_use");
    let found = json!([{"type": "tool_reference", "tool_name": "get_weather"}]);
    assert_eq!(answer["content"][1]["content"]["tool_references"], found);
    let only = simulator
        .answer(asking("Use the tool search for a tool to search.", tools))
        .await;
    assert_eq!(
        kinds(&only),
        ["server_tool_use", "tool_search_tool_result", "text"]
    );
}

#[tokio::test]
async fn the_tools_of_the_caller_are_used_by_their_names() {
    let simulator = started().await;
    for (text, tool, input) in [
        (
            "Say hello with bash.",
            json!({"type": "bash_20250124", "name": "bash"}),
            json!({"command": "echo 'Say hello with bash.'"}),
        ),
        (
            "Open the text editor.",
            json!({"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}),
            json!({"command": "view", "path": "/"}),
        ),
        (
            "Look into your memory.",
            json!({"type": "memory_20250818", "name": "memory"}),
            json!({"command": "view", "path": "/memories"}),
        ),
    ] {
        let answer = simulator.used(text, tool.clone()).await;
        assert_eq!(answer["stop_reason"], "tool_use");
        assert_eq!(answer["content"][0]["name"], tool["name"]);
        assert_eq!(answer["content"][0]["input"], input);
    }
    let toolset = json!({"type": "computer_toolset_20260801"});
    let answer = simulator.used("Use my computer.", toolset).await;
    assert_eq!(answer["content"][0]["toolset_name"], "computer");
    assert_eq!(answer["content"][0]["name"], "screenshot");
}

#[tokio::test]
async fn a_stream_has_the_input_in_pieces_and_the_result_at_once() {
    let simulator = started().await;
    let tools = json!([{"type": "code_execution_20260521", "name": "code_execution"}]);
    let mut request = asking("Execute code that says hello.", tools);
    let whole = simulator.answer(request.clone()).await;
    request["stream"] = json!(true);
    let (events, _) = events(simulator.ask(request).await.unwrap()).await;
    let data: Vec<Value> = events
        .iter()
        .map(|(_, data)| serde_json::from_str(data).unwrap())
        .collect();
    let starts: Vec<&Value> = data
        .iter()
        .filter(|it| it["type"] == "content_block_start")
        .collect();
    assert_eq!(starts[0]["content_block"]["input"], json!({}));
    assert_eq!(starts[1]["content_block"], whole["content"][1]);
    let input: String = data
        .iter()
        .filter_map(|it| it["delta"]["partial_json"].as_str())
        .collect();
    let input: Value = serde_json::from_str(&input).unwrap();
    assert_eq!(input, whole["content"][0]["input"]);
    let end = data
        .iter()
        .find(|it| it["type"] == "message_delta")
        .unwrap();
    assert!(end["delta"]["container"]["id"].is_string());
}

#[tokio::test]
async fn a_container_belongs_to_its_key() {
    let simulator = started().await;
    let tools = json!([{"type": "code_execution_20260521", "name": "code_execution"}]);
    let mut request = asking("Execute code that says hello.", tools);
    request["container"] = simulator.answer(request.clone()).await["container"]["id"].clone();
    let body = body(request);
    let stranger = simulator
        .client
        .post(format!("{}/v1/messages", simulator.base))
        .header("x-api-key", "stranger")
        .header("anthropic-version", "2026-10-21")
        .header("content-type", "application/json")
        .body(body.to_string());
    assert_eq!(error_of(stranger.send().await.unwrap()).await.0, 404);
}

#[tokio::test]
async fn the_advisor_is_a_step_of_its_own() {
    let simulator = started().await;
    let tool = json!({
        "type": "advisor_20260301",
        "name": "advisor",
        "model": "claude-opus-5-5",
        "max_tokens": 4,
    });
    let body = asking("What does the advisor say?", json!([tool]));
    let answer = simulator.beta(body, "advisor-tool-2026-03-01").await;
    assert_eq!(
        kinds(&answer),
        ["server_tool_use", "advisor_tool_result", "text"]
    );
    let advice = &answer["content"][1]["content"];
    assert_eq!(advice["stop_reason"], "max_tokens");
    let steps = answer["usage"]["iterations"].as_array().unwrap();
    let kinds: Vec<&Value> = steps.iter().map(|step| &step["type"]).collect();
    assert_eq!(kinds, ["message", "advisor_message", "message"]);
    assert_eq!(steps[1]["model"], "claude-opus-5-5");
    assert_eq!(steps[1]["output_tokens"], 4);
}

#[tokio::test]
async fn a_tool_of_an_mcp_server_is_used_if_the_prompt_names_it() {
    let simulator = started().await;
    let body = |text: &str, enabled: bool| {
        let mut body = asking(
            text,
            json!([{
                "type": "mcp_toolset",
                "mcp_server_name": "harbours",
                "configs": {"list_piers": {"enabled": enabled}},
            }]),
        );
        body["mcp_servers"] = json!([{
            "type": "url", "name": "harbours", "url": "https://mcp.example",
        }]);
        body
    };
    let beta = "mcp-client-2025-11-20";
    let answer = simulator.beta(body("List the piers.", true), beta).await;
    assert_eq!(kinds(&answer), ["mcp_tool_use", "mcp_tool_result", "text"]);
    let [used, result, _] = answer["content"].as_array().unwrap().as_slice() else {
        unreachable!("there are three blocks");
    };
    assert_eq!(used["server_name"], "harbours");
    assert_eq!(used["name"], "list_piers");
    assert_eq!(used["id"], result["tool_use_id"]);
    for (text, enabled) in [("List the ships.", true), ("List the piers.", false)] {
        let answer = simulator.beta(body(text, enabled), beta).await;
        assert_eq!(kinds(&answer), ["text"], "{text}");
    }
}
