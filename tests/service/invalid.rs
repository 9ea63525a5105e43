//! Requests that are refused before anything goes upstream, each bad field by
//! its name. Those of Summarize and Classify are tested with them.

use crate::{
    samples::{self, blocks, choice, document, image, mark, message_of, text, thinking, tool},
    support::{World, ask, message, reason, soon, streamed, user, wrong_fields},
};
use claude_grpc::proto::v1::{
    self, Role, content_block::Block, document_block::Source as DocumentSource,
    image_block::Source as ImageSource, thinking::Mode,
};
use tonic::{Code, Request, Status};

/// A request with one message of these blocks.
fn with(role: Role, content: Vec<Block>) -> v1::GenerateRequest {
    v1::GenerateRequest {
        messages: vec![message_of(role, content)],
        ..ask("")
    }
}

fn changed(change: impl FnOnce(&mut v1::GenerateRequest)) -> v1::GenerateRequest {
    let mut request = ask("Hello");
    change(&mut request);
    request
}

type Row = (v1::GenerateRequest, Vec<&'static str>);

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
        row(|it| it.max_tokens = Some(0), "max_tokens"),
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

/// Blocks with something wrong in them, each with the place of it in the block.
fn bad_blocks() -> Vec<(Role, Block, &'static str)> {
    use DocumentSource as Doc;
    use Role::{Assistant, User};
    let picture = |source| Block::Image(image(source));
    let paper = |source| Block::Document(document(source));
    let url = |url: &str| url.to_owned();
    let other = |json: &str| {
        Block::Other(v1::OtherBlock {
            r#type: "new".to_owned(),
            json: json.to_owned(),
        })
    };
    let tool_use = |json: &str| Block::ToolUse(samples::tool_use("toolu_1", json));
    let cited = |json: &str| {
        Block::Text(v1::TextBlock {
            citations_json: vec![json.to_owned()],
            ..text("x")
        })
    };
    let mut rows = vec![
        (User, Block::Text(text("")), ".text.text"),
        (User, cited("{}"), ".text.citations_json[0]"),
        (Assistant, cited("null"), ".text.citations_json[0]"),
        (User, Block::Image(v1::ImageBlock::default()), ".image"),
        (
            User,
            picture(ImageSource::FileId(String::new())),
            ".image.file_id",
        ),
        (
            User,
            Block::Document(v1::DocumentBlock::default()),
            ".document",
        ),
        (User, paper(Doc::Text(" ".to_owned())), ".document.text"),
        (User, paper(Doc::FileId(String::new())), ".document.file_id"),
        (Assistant, tool_use(""), ".tool_use.input_json"),
        (Assistant, tool_use("[]"), ".tool_use.input_json"),
        (Assistant, tool_use("{} {}"), ".tool_use.input_json"),
        (
            Assistant,
            Block::Thinking(v1::ThinkingBlock::default()),
            ".thinking.signature",
        ),
        (
            Assistant,
            Block::RedactedThinking(v1::RedactedThinkingBlock::default()),
            ".redacted_thinking.data",
        ),
        (
            User,
            Block::ToolResult(samples::result("")),
            ".tool_result.tool_use_id",
        ),
        (Assistant, other("new"), ".other.json"),
        (Assistant, other(r#"{"kind":"new"}"#), ".other.json"),
        (Assistant, other(r#"{"type":7}"#), ".other.json"),
        (
            Assistant,
            other(r#"{"type":"t\u0065xt","text":""}"#),
            ".other.json",
        ),
        (
            Assistant,
            other(r#"{"type":"new","type":"text"}"#),
            ".other.json",
        ),
    ];
    for bytes in ["", "%PDF", "<svg/>", "BM", "GIF88a", "\u{ff}\u{d8}\u{ff}"] {
        rows.push((
            User,
            picture(ImageSource::Data(bytes.into())),
            ".image.data",
        ));
    }
    for bytes in [&b""[..], b" %PDF-1.7", b"PK\x03\x04", samples::PNG] {
        let pdf = Doc::Pdf(bytes::Bytes::from_static(bytes));
        rows.push((User, paper(pdf), ".document.pdf"));
    }
    for address in [
        "",
        "http://example.com/a.png",
        "//example.com/a.png",
        "https://",
        "https:///a.png",
        "file:///etc/passwd",
        "example.com",
        "https://exa mple.com/",
    ] {
        rows.push((User, picture(ImageSource::Url(url(address))), ".image.url"));
        rows.push((User, paper(Doc::Url(url(address))), ".document.url"));
    }
    rows
}

/// Blocks where they must not stand.
fn misplaced() -> Vec<(Role, Block)> {
    use Role::{Assistant, System, User};
    let picture = || Block::Image(image(ImageSource::FileId("x".to_owned())));
    let paper = || Block::Document(document(DocumentSource::FileId("x".to_owned())));
    let thought = || {
        Block::Thinking(v1::ThinkingBlock {
            thinking: String::new(),
            signature: "x".to_owned(),
        })
    };
    let redacted = || {
        Block::RedactedThinking(v1::RedactedThinkingBlock {
            data: "x".to_owned(),
        })
    };
    let tool_use = || Block::ToolUse(samples::tool_use("x", "{}"));
    let result = || Block::ToolResult(samples::result("x"));
    let other = || {
        let json = r#"{"type":"new"}"#.to_owned();
        Block::Other(v1::OtherBlock {
            r#type: String::new(),
            json,
        })
    };
    let mut rows = Vec::new();
    for role in [Assistant, System] {
        rows.extend([picture(), paper(), result()].map(|block| (role, block)));
    }
    for role in [User, System] {
        rows.extend([thought(), redacted(), tool_use(), other()].map(|block| (role, block)));
    }
    rows
}

fn table() -> Vec<Row> {
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
        ["source", "title", "texts"]
            .map(|it| &*format!("messages[0].content[0].search_result.{it}").leak())
            .to_vec(),
    ));
    for (role, block, place) in bad_blocks() {
        let at: &'static str = format!("messages[0].content[0]{place}").leak();
        rows.push((with(role, vec![block]), vec![at]));
    }
    for (role, block) in misplaced() {
        rows.push((with(role, vec![block]), vec!["messages[0].content[0]"]));
    }
    // In a tool_result nothing that is the model's, and no other result.
    for (_, block) in misplaced()
        .into_iter()
        .filter(|(role, _)| *role == Role::User)
    {
        let result = v1::ToolResultBlock {
            content: blocks(vec![Block::Text(text("x")), block]),
            ..samples::result("x")
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

fn assert_refused(status: &Status, mut fields: Vec<String>) {
    let mut named = wrong_fields(status);
    named.sort();
    fields.sort();
    assert_eq!(named, fields, "{status:?}");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(reason(status), "INVALID_REQUEST");
    assert!(
        status.message().starts_with("invalid request: "),
        "{status:?}"
    );
}

#[tokio::test]
async fn each_bad_field_is_named_and_nothing_goes_upstream() {
    let mut world = World::start().await;
    for (request, fields) in table() {
        let fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
        let status = soon(world.grpc.generate(request.clone())).await;
        let status = status.expect_err(&format!("{fields:?} passed"));
        assert_refused(&status, fields.clone());
        let below = fields.iter().map(|field| format!("request.{field}"));
        let call = world.grpc.generate_stream(streamed(request));
        assert_refused(&soon(call).await.unwrap_err(), below.collect());
    }
    assert_eq!(world.attempts(), 0);
}

#[tokio::test]
async fn many_bad_fields_are_named_at_once() {
    let mut world = World::start().await;
    let mut request = v1::GenerateRequest {
        model: "?".to_owned(),
        messages: vec![message(Role::Unspecified, "x")],
        system: vec![text("")],
        max_tokens: Some(0),
        stop_sequences: vec![String::new()],
        tools: vec![v1::Tool::default()],
        tool_choice: Some(choice(v1::ToolChoiceMode::Tool)),
        thinking: Some(v1::Thinking { mode: None }),
        effort: 99,
        output_schema_json: "?".to_owned(),
        user_id: "x".repeat(257),
        service_tier: 99,
        cache_control: Some(v1::CacheControl { ttl: 99 }),
    };
    let mut fields = vec![
        "model",
        "messages[0].role",
        "system[0].text",
        "max_tokens",
        "stop_sequences[0]",
        "tools[0].name",
        "tools[0].input_schema_json",
        "tool_choice.name",
        "thinking",
        "effort",
        "output_schema_json",
        "user_id",
        "service_tier",
        "cache_control.ttl",
    ];
    // A tool without a name is the one that is chosen by no name.
    fields.retain(|field| *field != "tool_choice.name");
    for (index, (role, block, place)) in bad_blocks().into_iter().enumerate().take(12) {
        request.messages.push(message_of(role, vec![block]));
        fields.push(format!("messages[{}].content[0]{place}", index + 1).leak());
    }
    let status = soon(world.grpc.generate(request)).await.unwrap_err();
    assert_refused(&status, fields.into_iter().map(str::to_owned).collect());
    assert_eq!(world.attempts(), 0);
}

#[tokio::test]
async fn metadata_that_is_not_understood_is_refused() {
    let mut world = World::start().await;
    let wrong = [("claude-priority", "urgent"), ("claude-coalesce", "yes")];
    let mut both = Request::new(ask("Hello"));
    for (key, value) in wrong {
        let mut request = Request::new(ask("Hello"));
        for request in [&mut request, &mut both] {
            request.metadata_mut().insert(key, value.parse().unwrap());
        }
        let status = soon(world.grpc.generate(request)).await.unwrap_err();
        assert_refused(&status, vec![format!("metadata.{key}")]);
    }
    let status = soon(world.grpc.generate(both)).await.unwrap_err();
    assert_refused(
        &status,
        wrong.map(|(key, _)| format!("metadata.{key}")).to_vec(),
    );
    assert_eq!(world.attempts(), 0);
    for (key, value) in [
        ("claude-priority", "interactive"),
        ("claude-priority", "batch"),
        ("claude-coalesce", "true"),
        ("claude-coalesce", "false"),
    ] {
        let mut request = Request::new(ask("Hello"));
        request.metadata_mut().insert(key, value.parse().unwrap());
        soon(world.grpc.generate(request)).await.unwrap();
    }
}

#[tokio::test]
async fn what_only_looks_odd_is_let_through() {
    let mut world = World::start().await;
    let url = |url: &str| Block::Image(image(ImageSource::Url(url.to_owned())));
    let gif = Block::Image(image(ImageSource::Data("GIF87a".into())));
    let blank = v1::Message {
        text: "\u{200b}".to_owned(),
        ..user("")
    };
    for request in [
        with(
            Role::User,
            vec![url("HTTPS://EXAMPLE.com:8443/a?b=c#d"), gif],
        ),
        changed(|it| it.messages = vec![user("a"), user("b")]),
        changed(|it| it.messages.push(blank)),
        changed(|it| it.user_id = "é".repeat(256)),
        changed(|it| it.max_tokens = Some(128_000)),
    ] {
        soon(world.grpc.generate(request)).await.unwrap();
    }
}
