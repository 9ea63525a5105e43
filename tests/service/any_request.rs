//! Any `GenerateRequest` at all is either refused with its bad fields, or goes
//! upstream as a body that the strict wire types read.

use crate::{
    any_block::{
        cache, enumeration, maybe_text, mostly, of_assistant, of_user, schema, text, text_block,
    },
    any_tool::tool,
    support::{World, reason, soon},
};
use claude_grpc::{
    claude::request::{Content, InputBlock, MessagesRequest, SystemPrompt},
    proto::v1::{self, content_block::Block, thinking::Mode},
    simulator::Behaviour,
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    test_runner::{Config, TestCaseError},
};
use std::sync::atomic::{AtomicU32, Ordering};
use tonic::Code;

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
