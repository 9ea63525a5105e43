//! Requests with something wrong in them, each with the names of it.

use crate::{
    bad_blocks::{bad_blocks, misplaced},
    sample_blocks,
    sample_requests::{
        self, blocks, choice, container, mark, message_of, skill, text, thinking, tool,
    },
    support::{ask, message, user},
};
use claude_grpc::proto::v1::{self, Role, content_block::Block, thinking::Mode};

/// A request with one message of these blocks.
pub fn with(role: Role, content: Vec<Block>) -> v1::GenerateRequest {
    v1::GenerateRequest {
        messages: vec![message_of(role, content)],
        ..ask("")
    }
}

pub fn changed(change: impl FnOnce(&mut v1::GenerateRequest)) -> v1::GenerateRequest {
    let mut request = ask("Hello");
    change(&mut request);
    request
}

/// A request, and the fields that are wrong in it.
type Row = (v1::GenerateRequest, Vec<&'static str>);

/// A message of one text with fields that the service does not know.
fn with_extra(role: v1::Role, extra_json: &str) -> v1::Message {
    let mut message = sample_requests::message_of(role, vec![Block::Text(text("x"))]);
    message.content[0].extra_json = extra_json.to_owned();
    message
}

fn settings() -> Vec<Row> {
    let row = |change: fn(&mut v1::GenerateRequest), field| (changed(change), vec![field]);
    vec![
        row(|it| it.messages.clear(), "messages"),
        row(|it| it.messages[0].role = 0, "messages[0].role"),
        row(|it| it.messages[0].role = 99, "messages[0].role"),
        row(|it| it.messages[0].text.clear(), "messages[0]"),
        row(
            |it| it.messages[0].content = blocks(vec![Block::Text(text("x"))]),
            "messages[0]",
        ),
        row(
            |it| it.messages.push(user(" \n\u{3000}")),
            "messages[1].text",
        ),
        row(
            |it| it.messages[0] = with_extra(v1::Role::User, r#"{"new":1}"#),
            "messages[0].content[0].extra_json.new",
        ),
        row(
            |it| it.messages.push(with_extra(v1::Role::Assistant, "[]")),
            "messages[1].content[0].extra_json",
        ),
        row(
            |it| {
                let known = r#"{"new":1,"cache_control":null}"#;
                it.messages.push(with_extra(v1::Role::Assistant, known));
            },
            "messages[1].content[0].extra_json",
        ),
        row(|it| it.max_tokens = Some(-1), "max_tokens"),
        row(|it| it.max_tokens = Some(i32::MIN), "max_tokens"),
        row(|it| it.model = "claude sonnet".to_owned(), "model"),
        row(|it| it.model = "x".repeat(257), "model"),
        row(|it| it.system = vec![text("x"), text("")], "system[1].text"),
        row(
            |it| {
                it.system = vec![text("x")];
                it.system[0].citations_json = vec!["{}".to_owned()];
            },
            "system[0].citations_json[0]",
        ),
        (
            changed(|it| it.stop_sequences = ["x", "", " \n"].map(str::to_owned).to_vec()),
            vec!["stop_sequences[1]", "stop_sequences[2]"],
        ),
        row(|it| it.effort = 6, "effort"),
        row(|it| it.effort = -1, "effort"),
        row(|it| it.service_tier = 3, "service_tier"),
        row(|it| it.user_id = "é".repeat(257), "user_id"),
        row(|it| it.speed = 3, "speed"),
        row(|it| it.inference_geo = " \n".to_owned(), "inference_geo"),
        row(|it| it.container = Some(container("", vec![])), "container"),
        row(
            |it| it.container = Some(container(" ", vec![])),
            "container",
        ),
        (
            changed(|it| {
                let skills = vec![
                    skill("custom", "s"),
                    skill("new", "s"),
                    skill("custom", " "),
                ];
                it.container = Some(container("", skills));
            }),
            vec!["container.skills[1].type", "container.skills[2].skill_id"],
        ),
        row(
            |it| it.output_schema_json = "{".to_owned(),
            "output_schema_json",
        ),
        row(
            |it| it.output_schema_json = "[]".to_owned(),
            "output_schema_json",
        ),
        row(
            |it| it.output_schema_json = r#"{"type":"text"}"#.to_owned(),
            "output_schema_json",
        ),
        row(
            |it| {
                it.output_schema_json = format!(r#"{{"properties":{{"{}":1}}}}"#, "é".repeat(9999))
            },
            "output_schema_json",
        ),
        row(
            |it| {
                let depth = 200;
                let open = r#"{"items":"#.repeat(depth);
                it.output_schema_json = format!("{open}{{}}{}", "}".repeat(depth));
            },
            "output_schema_json",
        ),
        row(
            |it| it.cache_control = Some(v1::CacheControl { ttl: 9 }),
            "cache_control.ttl",
        ),
    ]
}

fn thoughts() -> Vec<Row> {
    let enabled = |budget_tokens, display| {
        changed(|it| {
            it.max_tokens = Some(2048);
            it.thinking = thinking(Mode::Enabled(v1::EnabledThinking {
                budget_tokens,
                display,
            }));
        })
    };
    let none = changed(|it| it.thinking = Some(v1::Thinking { mode: None }));
    let unknown = Mode::Adaptive(v1::AdaptiveThinking { display: 3 });
    let unknown = changed(|it| it.thinking = thinking(unknown));
    vec![
        (none, vec!["thinking"]),
        (unknown, vec!["thinking.adaptive.display"]),
        (enabled(1023, 0), vec!["thinking.enabled.budget_tokens"]),
        (enabled(-1, 0), vec!["thinking.enabled.budget_tokens"]),
        (enabled(2048, 0), vec!["thinking.enabled.budget_tokens"]),
        (
            v1::GenerateRequest {
                max_tokens: Some(0),
                ..enabled(1024, 0)
            },
            vec!["thinking.enabled.budget_tokens"],
        ),
        (enabled(1024, 3), vec!["thinking.enabled.display"]),
    ]
}

fn tools() -> Vec<Row> {
    let row = |change: fn(&mut v1::Tool), field| {
        let mut tool = tool();
        change(&mut tool);
        (changed(|it| it.tools = vec![tool]), vec![field])
    };
    let choosing = |choice| changed(|it| (it.tools, it.tool_choice) = (vec![tool()], Some(choice)));
    let named = |mode| v1::ToolChoice {
        name: "wether".to_owned(),
        ..choice(mode)
    };
    use v1::ToolChoiceMode::{Any, Auto, None, Tool, Unspecified};
    vec![
        row(|it| it.name = "the weather".to_owned(), "tools[0].name"),
        row(|it| it.name.clear(), "tools[0].name"),
        row(|it| it.name = "x".repeat(129), "tools[0].name"),
        (
            changed(|it| it.tools = vec![tool(), tool()]),
            vec!["tools[1].name"],
        ),
        row(
            |it| it.input_schema_json.clear(),
            "tools[0].input_schema_json",
        ),
        row(
            |it| it.input_schema_json = "{}".to_owned(),
            "tools[0].input_schema_json",
        ),
        row(
            |it| it.input_schema_json = "7".to_owned(),
            "tools[0].input_schema_json",
        ),
        row(
            |it| it.input_schema_json = r#"{"type":"array"}"#.to_owned(),
            "tools[0].input_schema_json",
        ),
        row(
            |it| it.input_schema_json = r#"{"type":"object","required":"x"}"#.to_owned(),
            "tools[0].input_schema_json",
        ),
        row(
            |it| it.input_examples_json = vec!["{}".to_owned(), "[]".to_owned()],
            "tools[0].input_examples_json[1]",
        ),
        row(
            |it| it.allowed_callers = vec!["direct".to_owned(), "a b".to_owned()],
            "tools[0].allowed_callers[1]",
        ),
        (
            changed(|it| it.tool_choice = Some(choice(Auto))),
            vec!["tool_choice"],
        ),
        (choosing(choice(Unspecified)), vec!["tool_choice.mode"]),
        (
            choosing(v1::ToolChoice {
                mode: 9,
                ..choice(Auto)
            }),
            vec!["tool_choice.mode"],
        ),
        (choosing(choice(Tool)), vec!["tool_choice.name"]),
        (choosing(named(Tool)), vec!["tool_choice.name"]),
        (choosing(named(Any)), vec!["tool_choice.name"]),
        (
            choosing(v1::ToolChoice {
                disable_parallel_tool_use: true,
                ..choice(None)
            }),
            vec!["tool_choice.disable_parallel_tool_use"],
        ),
    ]
}

pub fn table() -> Vec<Row> {
    let mut rows = settings();
    rows.extend(thoughts());
    rows.extend(tools());
    rows.push((
        changed(|it| {
            it.messages[0] = v1::Message {
                content: vec![v1::ContentBlock::default()],
                ..message(Role::User, "")
            }
        }),
        vec!["messages[0].content[0]"],
    ));
    rows.push((
        with(
            Role::User,
            vec![Block::SearchResult(v1::SearchResultBlock::default())],
        ),
        ["", ".source", ".title"]
            .map(|it| &*format!("messages[0].content[0].search_result{it}").leak())
            .to_vec(),
    ));
    for (role, block, place) in bad_blocks() {
        let at: &'static str = format!("messages[0].content[0]{place}").leak();
        rows.push((with(role, vec![block]), vec![at]));
    }
    for (role, block) in misplaced() {
        rows.push((with(role, vec![block]), vec!["messages[0].content[0]"]));
    }
    rows.push((
        with(
            Role::User,
            vec![Block::BrowserState(sample_blocks::browser_state())],
        ),
        vec!["messages[0].content[0]"],
    ));
    // In a tool_result nothing that is the model's, and no other result.
    for (_, block) in misplaced()
        .into_iter()
        .filter(|(role, _)| *role == Role::User)
    {
        let result = v1::ToolResultBlock {
            content: blocks(vec![Block::Text(text("x")), block]),
            ..sample_requests::result("x")
        };
        rows.push((
            with(Role::User, vec![Block::ToolResult(result)]),
            vec!["messages[0].content[0].tool_result.content[1]"],
        ));
    }
    let five = (0..5).map(|_| {
        Block::Text(v1::TextBlock {
            cache_control: mark(v1::CacheTtl::Unspecified),
            ..text("x")
        })
    });
    rows.push((
        with(Role::User, five.collect()),
        vec!["messages[0].content[4].text.cache_control"],
    ));
    rows
}
