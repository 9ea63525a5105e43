//! Answers that are odd but whole: what was paid for reaches the caller. And
//! answers that are not whole: they are errors that say what is missing.

use crate::{
    sample_requests::{message_of, result},
    support::{ask, reason, user},
    wire::{Wire, events, json},
};
use claude_grpc::proto::v1::{self, content_block::Block, generate_stream_response::Event};
use tonic::{Code, Status};

/// So many tokens are streamed from the API and put together.
const GATHERED: i32 = 64_000;

fn long() -> v1::GenerateRequest {
    v1::GenerateRequest {
        max_tokens: Some(GATHERED),
        ..ask("hello")
    }
}

fn stream(blocks: &str, stop_reason: &str) -> String {
    format!(
        "event: message_start\ndata: {{\"message\":{{\"id\":\"m\",\"model\":\"c\",\"usage\":{{\"input_tokens\":7}}}}}}\n\n\
         {blocks}\
         event: message_delta\ndata: {{\"delta\":{{\"stop_reason\":\"{stop_reason}\"}},\"usage\":{{\"output_tokens\":9}}}}\n\n\
         event: message_stop\ndata: {{}}\n\n"
    )
}

/// An event for each line: its name and its data.
fn lines(lines: &[(&str, &str)]) -> String {
    lines
        .iter()
        .map(|(name, data)| format!("event: {name}\ndata: {data}\n\n"))
        .collect()
}

fn message(content: &str, more: &str) -> String {
    format!(
        r#"{{"id":"m","type":"message","role":"assistant","model":"c","content":{content},"stop_reason":"end_turn"{more}}}"#
    )
}

fn text_of(answer: &v1::GenerateResponse) -> String {
    let texts = answer.content.iter().map(|block| match &block.block {
        Some(Block::Text(text)) => text.text.as_str(),
        _ => "",
    });
    texts.collect()
}

fn tool_of(answer: &v1::GenerateResponse) -> &v1::ToolUseBlock {
    let tools = answer.content.iter().find_map(|block| match &block.block {
        Some(Block::ToolUse(tool)) => Some(tool),
        _ => None,
    });
    tools.unwrap_or_else(|| panic!("no tool in {answer:?}"))
}

async fn whole(body: &str) -> Result<v1::GenerateResponse, Status> {
    let wire = Wire::answering(200, json(body)).await;
    wire.generate(ask("hello")).await
}

async fn gathered(body: &str) -> Result<v1::GenerateResponse, Status> {
    let wire = Wire::answering(200, events(body)).await;
    wire.generate(long()).await
}

#[tokio::test]
async fn odd_metadata_never_costs_the_text() {
    let odd = [
        "null",
        "[]",
        "{}",
        "-1",
        "1.5",
        "\"x\"",
        "\"7\"",
        "1e999",
        "true",
        "NaN",
        "-Infinity",
        "[[1]]",
        r#"{"type":[],"category":7,"explanation":null}"#,
        r#""\ud800""#,
    ];
    let fields = [
        "id",
        "model",
        "role",
        "stop_reason",
        "stop_sequence",
        "stop_details",
        "usage",
        "container",
        "new_field",
    ];
    let counts = [
        "input_tokens",
        "output_tokens",
        "cache_creation",
        "cache_read_input_tokens",
        "output_tokens_details",
        "service_tier",
        "server_tool_use",
    ];
    for odd in odd {
        for field in fields {
            let body = message(
                r#"[{"type":"text","text":"Hello"}]"#,
                &format!(r#","{field}":{odd}"#),
            );
            let answer = whole(&body).await;
            assert_eq!(
                answer.map(|it| text_of(&it)).unwrap(),
                "Hello",
                "{field} {odd}"
            );
        }
        let of_counts: Vec<String> = counts.iter().map(|it| format!(r#""{it}":{odd}"#)).collect();
        let usage = format!(r#","usage":{{{},"input_tokens":7}}"#, of_counts.join(","));
        let answer = whole(&message(r#"[{"type":"text","text":"Hello"}]"#, &usage))
            .await
            .unwrap();
        assert_eq!(text_of(&answer), "Hello", "{odd}");
        assert_eq!(
            answer.usage.unwrap().input_tokens,
            7,
            "the last of two counts"
        );
    }
}

#[tokio::test]
async fn an_answer_is_read_as_what_it_claims_to_be() {
    let block = lines(&[
        (
            "content_block_start",
            r#"{"index":0,"content_block":{"type":"text","text":""}}"#,
        ),
        (
            "content_block_delta",
            r#"{"index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
        ),
        ("content_block_stop", r#"{"index":0}"#),
    ]);
    let body = message(r#"[{"type":"text","text":"Hello"}]"#, "");
    for (answer, request) in [
        (events(&stream(&block, "end_turn")), ask("hello")),
        (
            (
                "Text/Event-Stream; charset=utf-8",
                stream(&block, "end_turn").into_bytes(),
            ),
            ask("hello"),
        ),
        (json(&body), long()),
        (
            ("application/json; charset=utf-8", body.clone().into_bytes()),
            long(),
        ),
        (("text/plain", body.clone().into_bytes()), ask("hello")),
    ] {
        let kind = answer.0;
        let wire = Wire::answering(200, answer).await;
        let answer = wire.generate(request).await;
        assert_eq!(text_of(&answer.unwrap()), "Hello", "{kind}");
    }
}

#[tokio::test]
async fn a_whole_answer_to_a_stream_comes_as_its_events() {
    let content = r#"[{"type":"text","text":"Hello"},{"type":"tool_use","id":"t","name":"f","input":{"a":1.0}}]"#;
    let usage = r#","usage":{"input_tokens":7,"output_tokens":9}"#;
    let wire = Wire::answering(200, json(&message(content, usage))).await;
    let (events, outcome) = wire.stream(ask("hello")).await;
    outcome.unwrap();
    let [
        Event::Started(started),
        Event::BlockStarted(text),
        Event::BlockFinished(_),
        Event::BlockStarted(_),
        Event::ToolInputDelta(input),
        Event::BlockFinished(_),
        Event::Finished(finished),
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!((&*started.id, &*started.request_id), ("m", "req_wire"));
    assert_eq!(started.usage.as_ref().unwrap().input_tokens, 7);
    let text = text.block.as_ref().unwrap();
    assert!(matches!(&text.block, Some(Block::Text(text)) if text.text == "Hello"));
    assert_eq!(input.partial_json, r#"{"a":1.0}"#);
    assert_eq!(finished.stop_reason(), v1::StopReason::EndTurn);
    assert_eq!(finished.usage.as_ref().unwrap().output_tokens, 9);
}

#[tokio::test]
async fn an_error_that_came_as_an_answer_is_that_error() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let wire = Wire::answering(200, json(error)).await;
    let whole = wire.generate(ask("hello")).await.unwrap_err();
    let (_, streamed) = wire.stream(ask("hello")).await;
    for status in [whole, streamed.unwrap_err()] {
        assert_eq!(reason(&status), "UPSTREAM_OVERLOADED", "{status:?}");
    }
}

#[tokio::test]
async fn a_count_saturates_and_so_does_a_sum() {
    let usage = r#","usage":{"input_tokens":18446744073709551615,"cache_read_input_tokens":2,"output_tokens":"5"}"#;
    let answer = whole(&message("[]", usage)).await.unwrap();
    let usage = answer.usage.unwrap();
    assert_eq!(usage.total_input_tokens, i64::MAX);
    assert_eq!(
        (
            usage.input_tokens,
            usage.cache_read_input_tokens,
            usage.output_tokens
        ),
        (i64::MAX, 2, 5)
    );
}

#[tokio::test]
async fn marks_halves_and_bytes_that_are_no_text_are_read() {
    let body = message(r#"[{"type":"text","text":"a \ud83d b"}]"#, "");
    assert_eq!(text_of(&whole(&body).await.unwrap()), "a \u{FFFD} b");
    let marked = format!("\u{FEFF}{body}");
    assert_eq!(text_of(&whole(&marked).await.unwrap()), "a \u{FFFD} b");
    let mut bytes = message(r#"[{"type":"text","text":"a # b"}]"#, "").into_bytes();
    let mark = bytes.iter().position(|byte| *byte == b'#').unwrap();
    bytes[mark] = 0xFF;
    let wire = Wire::answering(200, ("application/json", bytes)).await;
    let answer = wire.generate(ask("hello")).await.unwrap();
    assert_eq!(text_of(&answer), "a \u{FFFD} b");
}

#[tokio::test]
async fn an_input_that_was_cut_arrives_as_far_as_it_came() {
    let blocks = lines(&[
        (
            "content_block_start",
            r#"{"index":0,"content_block":{"type":"text","text":""}}"#,
        ),
        (
            "content_block_delta",
            r#"{"index":0,"delta":{"type":"text_delta","text":"Let me look."}}"#,
        ),
        ("content_block_stop", r#"{"index":0}"#),
        (
            "content_block_start",
            r#"{"index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
        ),
        (
            "content_block_delta",
            r#"{"index":1,"delta":{"type":"input_json_delta","partial_json":"{\"path\": \"/a"}}"#,
        ),
    ]);
    let body = stream(&blocks, "max_tokens");
    let answer = gathered(&body).await.unwrap();
    assert_eq!(answer.stop_reason(), v1::StopReason::MaxTokens);
    assert_eq!(text_of(&answer), "Let me look.");
    assert_eq!(tool_of(&answer).input_json, r#"{"path": "/a"#);
    assert_eq!(answer.usage.unwrap().output_tokens, 9);
}

#[tokio::test]
async fn text_for_a_tool_is_a_block_of_its_own() {
    let blocks = lines(&[
        (
            "content_block_start",
            r#"{"index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
        ),
        (
            "content_block_delta",
            r#"{"index":0,"delta":{"type":"text_delta","text":"IMPORT"}}"#,
        ),
        (
            "content_block_delta",
            r#"{"index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}"#,
        ),
        (
            "content_block_delta",
            r#"{"index":0,"delta":{"type":"text_delta","text":"ANT"}}"#,
        ),
        ("content_block_delta", r#"{"index":0,"delta":{"foo":1}}"#),
    ]);
    let answer = gathered(&stream(&blocks, "tool_use")).await.unwrap();
    assert_eq!(tool_of(&answer).input_json, r#"{"a":1}"#);
    assert_eq!(text_of(&answer), "IMPORTANT");
    assert_eq!(answer.content.len(), 2);
}

#[tokio::test]
async fn what_is_not_whole_is_an_error_that_names_it() {
    let start = r#"{"index":0,"content_block":{"type":"text","text":""}}"#;
    let delta = r#"{"index":0,"delta":{"type":"text_delta","text":"hi"}}"#;
    let without_start = stream("", "end_turn")
        .split_once("\n\n")
        .unwrap()
        .1
        .to_owned();
    let text_before = lines(&[("content_block_start", start)]) + &stream("", "end_turn");
    let block_missing = stream(&lines(&[("content_block_delta", delta)]), "end_turn");
    let number = r#"{"index":0,"delta":{"type":"text_delta","text":5}}"#;
    let number = lines(&[
        ("content_block_start", start),
        ("content_block_delta", number),
    ]);
    let no_json = lines(&[("content_block_delta", "{")]);
    for (body, what) in [
        (without_start, "message_start is missing"),
        (text_before, "message_start is missing"),
        (
            block_missing,
            "a content_block_delta has no content_block_start",
        ),
        (
            stream(&number, "end_turn"),
            "content[0].text is not a string",
        ),
        (
            stream(&no_json, "end_turn"),
            "an event is not a JSON object: error at line 1, column 1",
        ),
    ] {
        let wire = Wire::answering(200, events(&body)).await;
        let gathered = wire.generate(long()).await.unwrap_err();
        let (_, streamed) = wire.stream(ask("hello")).await;
        for status in [gathered, streamed.unwrap_err()] {
            assert_eq!(status.code(), Code::Internal, "{status:?}");
            assert_eq!(reason(&status), "UPSTREAM_MALFORMED");
            assert!(status.message().ends_with(what), "{what}: {status:?}");
        }
    }
    for (body, what) in [
        (
            message(
                r#"[{"type":"text","text":"a"},{"type":"text","text":{}}]"#,
                "",
            ),
            "content[1].text is not a string",
        ),
        (message("7", ""), "content is not a list"),
        ("{}".to_owned(), "content is not a list"),
        (
            "<html>".to_owned(),
            "the body is not a JSON object: error at line 1, column 1",
        ),
    ] {
        let status = whole(&body).await.unwrap_err();
        assert_eq!(reason(&status), "UPSTREAM_MALFORMED");
        assert!(status.message().ends_with(what), "{what}: {status:?}");
    }
}

#[tokio::test]
async fn an_error_keeps_its_type_and_message_whatever_its_details_are() {
    for details in ["{\"error_code\":42}", "[]", "null", "\"x\"", "[{\"a\":1}]"] {
        let body = format!(
            r#"{{"type":"error","error":{{"details":{details},"type":"invalid_request_error","message":"tools.0: bad schema"}}}}"#
        );
        let wire = Wire::answering(400, json(&body)).await;
        let status = wire.generate(ask("hello")).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(
            status.message().ends_with("tools.0: bad schema"),
            "{status:?}"
        );

        let overloaded = format!(
            r#"{{"type":"error","error":{{"details":{details},"type":"overloaded_error","message":"Overloaded"}}}}"#
        );
        let start = stream("", "end_turn");
        let start = start.split_once("\n\n").unwrap().0;
        let body = format!("{start}\n\nevent: error\ndata: {overloaded}\n\n");
        let wire = Wire::answering(200, events(&body)).await;
        let (_, outcome) = wire.stream(ask("hello")).await;
        let status = outcome.unwrap_err();
        assert_eq!(reason(&status), "UPSTREAM_OVERLOADED", "{status:?}");
    }
}

/// Blocks as the API writes them, from which the models of the official SDKs
/// read the same. No block here is blank, which the API rejects in requests.
const BLOCKS: [&str; 15] = [
    r#"{"type":"text","text":"Hello \u00e9 \ud83d\ude00"}"#,
    r#"{"type":"text","text":"So it is.","citations":[{"type":"char_location","cited_text":"x","document_index":0,"start_char_index":0,"end_char_index":1.0}]}"#,
    r#"{"type":"thinking","thinking":"hm","signature":"c2ln"}"#,
    r#"{"type":"thinking","thinking":"","signature":"c2ln"}"#,
    r#"{"type":"redacted_thinking","data":"b3BhcXVl"}"#,
    r#"{"type":"tool_use","id":"toolu_1","name":"f","input":{"z":12345678901234567890123, "a":1.0,"a":1e2}}"#,
    r#"{"type":"tool_use","id":"toolu_2","name":"f","input":{},"caller":{"type":"direct", "n":1.0},"new":null}"#,
    r#"{"type":"tool_use","id":"toolu_3","name":"f","input":{},"caller":{"type":"direct"},"toolset_name":"browser"}"#,
    r#"{"type":"tool_use","id":"toolu_4","name":"f","input":{},"caller":{"type":"code_execution_20260120","tool_id":"srvtoolu_1"},"new":1.0}"#,
    r#"{"type":"tool_use","id":"toolu_5","name":"f","input":{},"caller":"direct","toolset_name":""}"#,
    r#"{"type":"container_upload","file_id":"file_1"}"#,
    r#"{"type":"container_upload","file_id":"file_2","new":[1.0]}"#,
    r#"{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"x","n":1e2}}"#,
    r#"{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result","url":"https://example.com","page_age":null,"n":-0}]}"#,
    r#"{"type":"new_thing", "payload" : {"b":1,"a":[]} }"#,
];

/// What the API gets back for a block: the same, in the service's own spelling
/// for the types that it knows.
fn sent_back(block: &str) -> String {
    block.replace(r"\u00e9 \ud83d\ude00", "é 😀")
}

#[tokio::test]
async fn any_block_of_an_answer_goes_back_as_it_came() {
    let body = message(&format!("[{}]", BLOCKS.join(",")), "");
    let wire = Wire::answering(200, json(&body)).await;
    let answer = wire.generate(ask("hello")).await.unwrap();
    send_back(&wire, answer.content).await;

    let starts = BLOCKS.iter().enumerate().map(|(index, block)| {
        lines(&[
            (
                "content_block_start",
                &format!(r#"{{"index":{index},"content_block":{block}}}"#),
            ),
            ("content_block_stop", &format!(r#"{{"index":{index}}}"#)),
        ])
    });
    let body = stream(&starts.collect::<String>(), "end_turn");
    let wire = Wire::answering(200, events(&body)).await;
    let answer = wire.generate(long()).await.unwrap();
    send_back(&wire, answer.content).await;

    let (events, outcome) = wire.stream(ask("hello")).await;
    outcome.unwrap();
    let mut content: Vec<v1::ContentBlock> = Vec::new();
    for event in events {
        match event {
            Event::BlockStarted(it) => content.push(it.block.unwrap()),
            Event::ToolInputDelta(it) => {
                if let Some(Block::ToolUse(tool)) = &mut content[it.index as usize].block {
                    tool.input_json.push_str(&it.partial_json);
                }
            }
            Event::BlockFinished(it) => {
                let block = &mut content[it.index as usize].block;
                if let Some(Block::Thinking(block)) = block {
                    block.signature = it.signature;
                }
                if let Some(other) = it.other {
                    *block = Some(Block::Other(other));
                }
            }
            _ => {}
        }
    }
    send_back(&wire, content).await;
}

async fn send_back(wire: &Wire, content: Vec<v1::ContentBlock>) {
    let request = v1::GenerateRequest {
        messages: vec![
            user("hello"),
            v1::Message {
                role: v1::Role::Assistant.into(),
                text: String::new(),
                content,
                ..v1::Message::default()
            },
            message_of(
                v1::Role::User,
                vec![
                    Block::ToolResult(result("toolu_1")),
                    Block::ToolResult(result("toolu_2")),
                ],
            ),
        ],
        ..long()
    };
    // Here the answer does not matter: it may be of the other transport.
    let _ = wire.generate(request).await;
    let sent = wire.bodies().pop().unwrap();
    let expected: Vec<String> = BLOCKS.iter().map(|block| sent_back(block)).collect();
    let expected = format!(r#""content":[{}]"#, expected.join(","));
    assert!(sent.contains(&expected), "{sent}\nlacks\n{expected}");
}

#[tokio::test]
async fn a_tool_without_arguments_goes_back_however_it_was_put_together() {
    let blocks = lines(&[
        (
            "content_block_start",
            r#"{"index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}"#,
        ),
        (
            "content_block_delta",
            r#"{"index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        ),
        ("content_block_stop", r#"{"index":0}"#),
    ]);
    let wire = Wire::answering(200, events(&stream(&blocks, "tool_use"))).await;
    let (events, outcome) = wire.stream(ask("hello")).await;
    outcome.unwrap();
    let pieces: String = events
        .iter()
        .filter_map(|event| match event {
            Event::ToolInputDelta(it) => Some(it.partial_json.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(pieces, "{}");
    for input_json in ["", " ", "{}"] {
        let tool = v1::ToolUseBlock {
            id: "toolu_1".to_owned(),
            name: "f".to_owned(),
            input_json: input_json.to_owned(),
            ..v1::ToolUseBlock::default()
        };
        let request = v1::GenerateRequest {
            messages: vec![
                user("hello"),
                message_of(v1::Role::Assistant, vec![Block::ToolUse(tool)]),
                message_of(v1::Role::User, vec![Block::ToolResult(result("toolu_1"))]),
            ],
            ..long()
        };
        wire.generate(request).await.unwrap();
        let sent = wire.bodies().pop().unwrap();
        assert!(sent.contains(r#""name":"f","input":{}"#), "{sent}");
    }
}

#[tokio::test]
async fn a_schema_goes_up_as_it_is_written() {
    let schema = r#"{"type":"object", "properties" : {"a":{"const":12345678901234567890123},"b":{"maximum":1e400,"minimum":1.0},"c":{"const":"\ud83d"}},"additionalProperties":false}"#;
    let wire = Wire::answering(200, json(&message("[]", ""))).await;
    let request = v1::GenerateRequest {
        output_schema_json: schema.to_owned(),
        tools: vec![v1::Tool {
            name: "f".to_owned(),
            input_schema_json: schema.to_owned(),
            ..v1::Tool::default()
        }],
        ..ask("hello")
    };
    wire.generate(request).await.unwrap();
    let sent = wire.bodies().pop().unwrap();
    for field in ["schema", "input_schema"] {
        assert!(sent.contains(&format!(r#""{field}":{schema}"#)), "{sent}");
    }
}
