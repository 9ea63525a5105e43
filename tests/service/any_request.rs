//! Any `GenerateRequest` at all is either refused with its bad fields, or goes
//! upstream as a body that the strict wire types read.

use crate::support::{World, reason, soon};
use claude_grpc::{
    claude::request::{Content, InputBlock, MessagesRequest, SystemPrompt},
    proto::v1::{
        self, content_block::Block, document_block::Source as DocumentSource,
        image_block::Source as ImageSource, thinking::Mode,
    },
    simulator::Behaviour,
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::select,
    test_runner::{Config, TestCaseError},
};
use std::sync::atomic::{AtomicU32, Ordering};
use tonic::Code;

/// Mostly what a caller would send, so that whole requests are often right.
fn mostly<T: std::fmt::Debug + Clone + 'static>(
    right: impl Strategy<Value = T> + 'static,
    any: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = T> {
    prop_oneof![40 => right, 1 => any]
}

fn text() -> impl Strategy<Value = String> {
    mostly("\\PC{1,20}x", any::<String>())
}

fn maybe_text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), any::<String>()]
}

fn enumeration(values: std::ops::Range<i32>) -> impl Strategy<Value = i32> {
    mostly(values, any::<i32>())
}

fn json_object() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|it| it.to_string()),
        any::<i64>().prop_map(|it| it.to_string()),
        any::<f64>()
            .prop_filter("JSON has no such number", |it| it.is_finite())
            .prop_map(|it| it.to_string()),
        any::<String>().prop_map(|it| serde_json::to_string(&it).unwrap()),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            object_of(inner),
        ]
    });
    mostly(object_of(value), any::<String>())
}

fn object_of(value: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    vec((any::<String>(), value), 0..4).prop_map(|fields| {
        let fields: Vec<String> = fields
            .iter()
            .map(|(key, value)| format!("{}: {value}", serde_json::to_string(key).unwrap()))
            .collect();
        format!("{{{}}}", fields.join(","))
    })
}

fn schema() -> impl Strategy<Value = String> {
    let right = select(vec![
        r#"{"type":"object"}"#,
        r#"{"type":"object","properties":{"a":{"type":"number","const":1.0}}}"#,
    ]);
    mostly(right.prop_map(str::to_owned), json_object())
}

fn cache() -> impl Strategy<Value = Option<v1::CacheControl>> {
    let mark = enumeration(0..3).prop_map(|ttl| v1::CacheControl { ttl });
    option::weighted(0.1, mark)
}

fn text_block(cited: bool) -> impl Strategy<Value = v1::TextBlock> {
    let citations = vec(json_object(), 0..if cited { 3 } else { 1 });
    (text(), cache(), citations).prop_map(|(text, cache_control, citations_json)| v1::TextBlock {
        text,
        cache_control,
        citations_json,
    })
}

fn picture() -> impl Strategy<Value = Block> {
    let right = select(vec![
        &b"\xff\xd8\xff\xe0"[..],
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
    ]);
    let data = mostly(right.prop_map(<[u8]>::to_vec), any::<Vec<u8>>());
    let source = prop_oneof![
        data.prop_map(|data| ImageSource::Data(data.into())),
        url().prop_map(ImageSource::Url),
        text().prop_map(ImageSource::FileId),
    ];
    (option::weighted(0.98, source), cache()).prop_map(|(source, cache_control)| {
        Block::Image(v1::ImageBlock {
            source,
            cache_control,
        })
    })
}

fn url() -> impl Strategy<Value = String> {
    mostly(
        "https://[a-z]{1,9}\\.example/[a-z%?&=]{0,9}",
        any::<String>(),
    )
}

fn paper() -> impl Strategy<Value = Block> {
    let pdf = mostly(Just(b"%PDF-1.7".to_vec()), any::<Vec<u8>>());
    let source = prop_oneof![
        pdf.prop_map(|pdf| DocumentSource::Pdf(pdf.into())),
        text().prop_map(DocumentSource::Text),
        url().prop_map(DocumentSource::Url),
        text().prop_map(DocumentSource::FileId),
    ];
    let fields = (
        option::weighted(0.98, source),
        maybe_text(),
        maybe_text(),
        any::<bool>(),
        cache(),
    );
    fields.prop_map(|(source, title, context, citations, cache_control)| {
        Block::Document(v1::DocumentBlock {
            source,
            title,
            context,
            citations,
            cache_control,
        })
    })
}

fn found() -> impl Strategy<Value = Block> {
    let fields = (text(), text(), vec(text(), 1..3), any::<bool>(), cache());
    fields.prop_map(|(source, title, texts, citations, cache_control)| {
        Block::SearchResult(v1::SearchResultBlock {
            source,
            title,
            texts,
            citations,
            cache_control,
        })
    })
}

fn of_user() -> BoxedStrategy<Block> {
    let given = prop_oneof![
        text_block(false).prop_map(Block::Text),
        picture(),
        paper(),
        found()
    ]
    .boxed();
    let result = (text(), vec(given.clone(), 0..3), any::<bool>(), cache()).prop_map(
        |(tool_use_id, content, is_error, cache_control)| {
            Block::ToolResult(v1::ToolResultBlock {
                tool_use_id,
                content: crate::sample_requests::blocks(content),
                is_error,
                cache_control,
            })
        },
    );
    prop_oneof![3 => given, 1 => result].boxed()
}

fn of_assistant() -> BoxedStrategy<Block> {
    let tool_use = (text(), text(), json_object(), cache()).prop_map(
        |(id, name, input_json, cache_control)| {
            Block::ToolUse(v1::ToolUseBlock {
                id,
                name,
                input_json,
                cache_control,
            })
        },
    );
    let thinking = (maybe_text(), text()).prop_map(|(thinking, signature)| {
        Block::Thinking(v1::ThinkingBlock {
            thinking,
            signature,
        })
    });
    let kinds = select(vec!["new_thing", "text", "tool_use", "server_tool_use"]);
    let known = (kinds, json_object())
        .prop_map(|(kind, inner)| format!(r#"{{"type":"{kind}","inner":{inner}}}"#));
    let other = (maybe_text(), mostly(known, json_object()))
        .prop_map(|(r#type, json)| Block::Other(v1::OtherBlock { r#type, json }));
    prop_oneof![
        text_block(true).prop_map(Block::Text),
        tool_use,
        thinking,
        text().prop_map(|data| Block::RedactedThinking(v1::RedactedThinkingBlock { data })),
        other,
    ]
    .boxed()
}

fn message() -> impl Strategy<Value = v1::Message> {
    let says = |role: v1::Role, block: BoxedStrategy<Block>| {
        let blocks = vec(option::weighted(0.99, block), 1..4);
        blocks.prop_map(move |blocks| v1::Message {
            role: role.into(),
            text: String::new(),
            content: blocks
                .into_iter()
                .map(|block| v1::ContentBlock {
                    block,
                    ..v1::ContentBlock::default()
                })
                .collect(),
            ..v1::Message::default()
        })
    };
    let short = (enumeration(1..4), text()).prop_map(|(role, text)| v1::Message {
        role,
        text,
        content: Vec::new(),
        ..v1::Message::default()
    });
    let anything =
        (any::<i32>(), maybe_text(), of_assistant()).prop_map(|(role, text, block)| v1::Message {
            role,
            text,
            content: crate::sample_requests::blocks(vec![block]),
            ..v1::Message::default()
        });
    prop_oneof![
        20 => says(v1::Role::User, of_user()),
        20 => says(v1::Role::Assistant, of_assistant()),
        20 => short,
        1 => says(v1::Role::Assistant, of_user()),
        1 => says(v1::Role::System, of_assistant()),
        1 => anything,
    ]
}

fn tool() -> impl Strategy<Value = v1::Tool> {
    let fields = (
        mostly("[a-zA-Z0-9_-]{1,128}", any::<String>()),
        maybe_text(),
        schema(),
        option::of(any::<bool>()),
        cache(),
        vec(json_object(), 0..2),
    );
    fields.prop_map(
        |(name, description, input_schema_json, strict, cache_control, input_examples_json)| {
            v1::Tool {
                name,
                description,
                input_schema_json,
                strict,
                cache_control,
                input_examples_json,
                ..v1::Tool::default()
            }
        },
    )
}

fn thinking() -> impl Strategy<Value = v1::Thinking> {
    let budget = mostly(1024..1100, any::<i32>());
    let mode = prop_oneof![
        enumeration(0..3).prop_map(|display| Mode::Adaptive(v1::AdaptiveThinking { display })),
        (budget, enumeration(0..3)).prop_map(|(budget_tokens, display)| {
            Mode::Enabled(v1::EnabledThinking {
                budget_tokens,
                display,
            })
        }),
        Just(Mode::BetweenTools(v1::BetweenToolsThinking {})),
        Just(Mode::Disabled(v1::DisabledThinking {})),
    ];
    option::weighted(0.98, mode).prop_map(|mode| v1::Thinking { mode })
}

fn container() -> impl Strategy<Value = v1::ContainerParams> {
    let kind = mostly("anthropic|custom", any::<String>());
    let skill =
        (kind, text(), maybe_text()).prop_map(|(r#type, skill_id, version)| v1::ContainerSkill {
            r#type,
            skill_id,
            version,
        });
    (maybe_text(), vec(skill, 0..3)).prop_map(|(id, skills)| v1::ContainerParams { id, skills })
}

prop_compose! {
    fn request()(
        (model, messages, system, max_tokens) in (
            mostly("claude-[a-z0-9-]{1,20}|", any::<String>()),
            vec(message(), 0..5),
            vec(text_block(false), 0..3),
            option::of(mostly(2000..i32::MAX, any::<i32>())),
        ),
        (stop_sequences, tools, choice, thinking) in (
            vec(text(), 0..3),
            vec(tool(), 0..3),
            option::weighted(0.3, (enumeration(1..5), any::<bool>())),
            option::of(thinking()),
        ),
        (diagnostics, inference_geo, speed, container) in (
            option::of(maybe_text()),
            maybe_text(),
            enumeration(0..3),
            option::weighted(0.3, container()),
        ),
        (effort, schema, user_id, service_tier, cache_control) in (
            enumeration(0..6),
            prop_oneof![Just(String::new()), schema()],
            maybe_text(),
            enumeration(0..3),
            cache(),
        ),
    ) -> v1::GenerateRequest {
        let name = match choice {
            Some((3, _)) => tools.first().map(|tool| tool.name.clone()).unwrap_or_default(),
            _ => String::new(),
        };
        v1::GenerateRequest {
            model,
            messages,
            system,
            max_tokens,
            stop_sequences,
            tools,
            tool_choice: choice.map(|(mode, disable_parallel_tool_use)| v1::ToolChoice {
                mode,
                name,
                disable_parallel_tool_use,
            }),
            thinking,
            effort,
            output_schema_json: schema,
            user_id,
            service_tier,
            cache_control,
            container,
            diagnostics: diagnostics.map(|previous_message_id| v1::DiagnosticsParams {
                previous_message_id,
            }),
            inference_geo,
            speed,
            ..v1::GenerateRequest::default()
        }
    }
}

/// The types that have a type here: none of their blocks may go up as JSON
/// that nobody looked at.
const TYPED: [&str; 8] = [
    "text",
    "image",
    "document",
    "search_result",
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
];

fn unread(blocks: &[InputBlock]) -> bool {
    blocks.iter().any(|block| match block {
        InputBlock::Other(json) => json.kind().is_none_or(|kind| TYPED.contains(&&*kind)),
        InputBlock::ToolResult {
            content: Some(Content::Blocks(inner)),
            ..
        } => unread(inner),
        _ => false,
    })
}

fn check_body(body: &[u8]) -> Result<(), TestCaseError> {
    let read: MessagesRequest = serde_json::from_slice(body)
        .map_err(|error| TestCaseError::fail(format!("not readable: {error}")))?;
    let again = serde_json::to_value(&read).unwrap();
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    prop_assert_eq!(again, body);
    let messages = read.messages.iter().map(|message| match &message.content {
        Content::Blocks(blocks) => &blocks[..],
        Content::Text(_) => &[],
    });
    prop_assert!(
        !messages.into_iter().any(unread),
        "JSON that nobody looked at"
    );
    if let Some(SystemPrompt::Blocks(blocks)) = &read.system {
        let is_text = |block: &InputBlock| matches!(block, InputBlock::Text { .. });
        prop_assert!(blocks.iter().all(is_text), "more than text");
    }
    Ok(())
}

#[test]
fn any_request_is_refused_or_readable() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start());
    // Whether the API would take it is its own affair: it only has to come.
    world.simulator.always(Some(Behaviour::Error(400)));
    let accepted = AtomicU32::new(0);
    let config = Config::with_cases(512);
    proptest!(config, |(request in request())| {
        let before = world.attempts();
        let call = async { soon(world.grpc.clone().generate(request)).await };
        let status = runtime.block_on(call).unwrap_err();
        prop_assert_eq!(status.code(), Code::InvalidArgument, "{:?}", status);
        if reason(&status) == "INVALID_REQUEST" {
            prop_assert_eq!(world.attempts(), before);
        } else {
            prop_assert_eq!(world.attempts(), before + 1);
            accepted.fetch_add(1, Ordering::Relaxed);
            check_body(&world.simulator.requests().last().unwrap().body)?;
        }
    });
    assert!(accepted.into_inner() > 0, "none was accepted");
}
