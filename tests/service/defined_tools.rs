//! Tools that the API defines. What goes up is in the corpus; here is what is refused,
//! and what of their names counts.

use crate::{
    bad_requests::changed,
    sample_requests::{choice, tool},
    sample_tools::{marked, samples},
    support::{World, ask, soon, wrong_fields},
};
use claude_grpc::{
    proto::v1::{self, tool::Defined},
    simulator::Behaviour,
};
use tonic::Code;

fn refused(defined: Defined, fields: &'static [&'static str]) -> (v1::Tool, Vec<&'static str>) {
    (marked(defined), fields.to_vec())
}

fn search(change: impl FnOnce(&mut v1::WebSearchTool)) -> Defined {
    let mut tool = v1::WebSearchTool::default();
    change(&mut tool);
    Defined::WebSearch(tool)
}

fn fetch(change: impl FnOnce(&mut v1::WebFetchTool)) -> Defined {
    let mut tool = v1::WebFetchTool::default();
    change(&mut tool);
    Defined::WebFetch(tool)
}

fn from(mode: v1::UrlSourceMode, tools: &[&str]) -> Option<v1::UrlSource> {
    Some(v1::UrlSource {
        mode: mode.into(),
        tools: tools.iter().map(|name| (*name).to_owned()).collect(),
    })
}

fn sources(change: impl FnOnce(&mut v1::WebFetchUrlSources)) -> Defined {
    let mut sources = v1::WebFetchUrlSources::default();
    change(&mut sources);
    fetch(|it| it.url_sources = Some(sources))
}

fn members(names: &[&str]) -> Vec<v1::ToolsetMemberConfig> {
    let member = |name: &&str| v1::ToolsetMemberConfig {
        name: (*name).to_owned(),
        ..v1::ToolsetMemberConfig::default()
    };
    names.iter().map(member).collect()
}

/// Tools with something wrong in them, each with the fields below `tools[0]`.
fn bad_tools() -> Vec<(v1::Tool, Vec<&'static str>)> {
    use v1::UrlSourceMode::{All, Except, Only, Unspecified};
    let old = || "20250305".to_owned();
    let domains = || vec!["example.com".to_owned()];
    vec![
        refused(
            Defined::Bash(v1::BashTool {
                version: "20250125".to_owned(),
            }),
            &["bash.version"],
        ),
        refused(
            Defined::TextEditor(v1::TextEditorTool {
                version: "20250429".to_owned(),
                max_characters: Some(1),
            }),
            &["text_editor.max_characters"],
        ),
        refused(
            Defined::TextEditor(v1::TextEditorTool {
                max_characters: Some(0),
                ..v1::TextEditorTool::default()
            }),
            &["text_editor.max_characters"],
        ),
        refused(
            Defined::ComputerToolset(v1::ComputerToolset {
                version: "latest".to_owned(),
                configs: members(&["zoom", "navigate", "zoom"]),
            }),
            &[
                "computer_toolset.version",
                "computer_toolset.configs[1].name",
                "computer_toolset.configs[2].name",
            ],
        ),
        refused(
            Defined::BrowserToolset(v1::BrowserToolset {
                configs: members(&["navigate", "cursor_position"]),
                ..v1::BrowserToolset::default()
            }),
            &["browser_toolset.configs[1].name"],
        ),
        refused(search(|it| it.max_uses = Some(0)), &["web_search.max_uses"]),
        refused(
            search(|it| it.blocked_domains = vec!["a".to_owned(), " ".to_owned()]),
            &["web_search.blocked_domains[1]"],
        ),
        refused(
            search(|it| (it.allowed_domains, it.blocked_domains) = (domains(), domains())),
            &["web_search"],
        ),
        refused(
            search(|it| (it.version, it.response_inclusion) = (old(), 1)),
            &["web_search.response_inclusion"],
        ),
        refused(
            search(|it| it.response_inclusion = 3),
            &["web_search.response_inclusion"],
        ),
        refused(
            search(|it| it.user_location = Some(v1::UserLocation::default())),
            &["web_search.user_location"],
        ),
        refused(
            search(|it| {
                it.user_location = Some(v1::UserLocation {
                    country: "Austria".to_owned(),
                    ..v1::UserLocation::default()
                });
            }),
            &["web_search.user_location.country"],
        ),
        refused(
            fetch(|it| (it.version, it.use_cache) = ("20260209".to_owned(), Some(true))),
            &["web_fetch.use_cache"],
        ),
        refused(
            fetch(|it| it.max_content_tokens = Some(-1)),
            &["web_fetch.max_content_tokens"],
        ),
        refused(
            fetch(|it| (it.allowed_domains, it.blocked_domains) = (domains(), domains())),
            &["web_fetch"],
        ),
        refused(sources(|_| {}), &["web_fetch.url_sources"]),
        refused(
            sources(|it| it.user_input = from(Only, &["weather"])),
            &["web_fetch.url_sources.user_input.mode"],
        ),
        refused(
            sources(|it| it.client_tool_results = from(Unspecified, &[])),
            &["web_fetch.url_sources.client_tool_results.mode"],
        ),
        refused(
            sources(|it| it.client_tool_results = from(All, &["weather"])),
            &["web_fetch.url_sources.client_tool_results.tools"],
        ),
        refused(
            sources(|it| it.server_tool_results = from(Except, &[])),
            &["web_fetch.url_sources.server_tool_results.tools"],
        ),
        refused(
            sources(|it| it.server_tool_results = from(Except, &["a", "a b"])),
            &["web_fetch.url_sources.server_tool_results.tools[1]"],
        ),
        refused(
            Defined::CodeExecution(v1::CodeExecutionTool {
                version: "20260522".to_owned(),
            }),
            &["code_execution.version"],
        ),
        refused(
            Defined::ToolSearch(v1::ToolSearchTool::default()),
            &["tool_search.algorithm"],
        ),
    ]
}

/// The fields that tools have in common, where the API's type does not have them.
fn foreign_fields() -> Vec<(v1::Tool, Vec<&'static str>)> {
    let all = |defined| v1::Tool {
        defined: Some(defined),
        description: "x".to_owned(),
        strict: Some(false),
        input_examples_json: vec!["{}".to_owned()],
        defer_loading: Some(false),
        allowed_callers: vec!["direct".to_owned()],
        eager_input_streaming: Some(false),
        ..tool()
    };
    let of_custom = [
        "name",
        "description",
        "input_schema_json",
        "eager_input_streaming",
    ];
    let with = |more: &[&'static str]| [&of_custom, more].concat();
    let toolset = [
        "input_examples_json",
        "allowed_callers",
        "defer_loading",
        "strict",
    ];
    vec![
        (all(Defined::Bash(v1::BashTool::default())), with(&[])),
        (all(Defined::Memory(v1::MemoryTool::default())), with(&[])),
        (
            all(Defined::TextEditor(v1::TextEditorTool::default())),
            with(&[]),
        ),
        (
            all(Defined::CodeExecution(v1::CodeExecutionTool::default())),
            with(&toolset[..1]),
        ),
        (all(search(|_| {})), with(&toolset[..1])),
        (all(fetch(|_| {})), with(&toolset[..1])),
        (
            all(Defined::BrowserToolset(v1::BrowserToolset::default())),
            with(&toolset),
        ),
        (
            all(Defined::ComputerToolset(v1::ComputerToolset::default())),
            with(&toolset),
        ),
        (
            v1::Tool {
                allowed_callers: vec!["a b".to_owned()],
                input_examples_json: vec!["[]".to_owned()],
                ..marked(Defined::Bash(v1::BashTool::default()))
            },
            vec!["allowed_callers[0]", "input_examples_json[0]"],
        ),
        (
            v1::Tool {
                other_json: "{}".to_owned(),
                ..marked(Defined::Bash(v1::BashTool::default()))
            },
            vec![""],
        ),
    ]
}

#[tokio::test]
async fn a_bad_field_of_a_tool_of_the_api_is_named() {
    let mut world = World::start().await;
    let rows = bad_tools().into_iter().chain(foreign_fields());
    for (tool, fields) in rows {
        let request = changed(|it| it.tools = vec![tool]);
        let status = soon(world.grpc.generate(request)).await;
        let status = status.expect_err(&format!("{fields:?} passed"));
        assert_eq!(status.code(), Code::InvalidArgument);
        let mut named = wrong_fields(&status);
        named.sort();
        named.dedup();
        let path = |field: &&str| match *field {
            "" => "tools[0]".to_owned(),
            field => format!("tools[0].{field}"),
        };
        let mut expected: Vec<String> = fields.iter().map(path).collect();
        expected.sort();
        // `{}` of `other_json` has no type, either.
        named.retain(|field| field != "tools[0].other_json");
        assert_eq!(named, expected, "{status:?}");
    }
    assert_eq!(world.attempts(), 0);
}

#[tokio::test]
async fn they_have_names_of_their_own() {
    let mut world = World::start().await;
    let bash = || marked(Defined::Bash(v1::BashTool::default()));
    let named = v1::Tool {
        name: "bash".to_owned(),
        ..tool()
    };
    for (tools, field) in [
        (vec![bash(), bash()], "tools[1]"),
        (vec![bash(), named.clone()], "tools[1].name"),
        (vec![named, bash()], "tools[1]"),
    ] {
        let status = soon(world.grpc.generate(changed(|it| it.tools = tools))).await;
        assert_eq!(wrong_fields(&status.unwrap_err()), [field]);
    }
    // A tool that is refused keeps its place.
    let other = v1::Tool {
        other_json: r#"{"type":"not_allowed"}"#.to_owned(),
        ..v1::Tool::default()
    };
    let tools = vec![other, bash(), bash()];
    let status = soon(world.grpc.generate(changed(|it| it.tools = tools))).await;
    let wrong = wrong_fields(&status.unwrap_err());
    assert_eq!(
        wrong.last().map(String::as_str),
        Some("tools[2]"),
        "{wrong:?}"
    );
    // A toolset has no name.
    let toolset = marked(Defined::ComputerToolset(v1::ComputerToolset::default()));
    let request = changed(|it| {
        it.tools = vec![toolset];
        it.tool_choice = Some(choice(v1::ToolChoiceMode::Tool));
    });
    let status = soon(world.grpc.generate(request)).await.unwrap_err();
    assert_eq!(wrong_fields(&status), ["tool_choice.name"]);
    assert_eq!(world.attempts(), 0);
    world.simulator.next([Behaviour::Error(400)]);
    let request = v1::GenerateRequest {
        tools: vec![bash()],
        tool_choice: Some(v1::ToolChoice {
            name: "bash".to_owned(),
            ..choice(v1::ToolChoiceMode::Tool)
        }),
        ..ask("Hello")
    };
    soon(world.grpc.generate(request)).await.unwrap_err();
    let sent = world.bodies().pop().unwrap();
    assert_eq!(sent["tool_choice"]["name"], "bash");
    assert_eq!(sent["tools"][0]["type"], "bash_20250124");
}

#[tokio::test]
async fn they_cannot_be_passed_through() {
    let mut world = World::with(|it| it.service.passthrough.tools = vec!["*".to_owned()]).await;
    let mut types = 0;
    for (name, request) in samples() {
        world.simulator.next([Behaviour::Error(400)]);
        soon(world.grpc.generate(request)).await.unwrap_err();
        let sent = world.bodies().pop().unwrap();
        let raw = v1::Tool {
            other_json: sent["tools"][0].to_string(),
            ..v1::Tool::default()
        };
        let before = world.attempts();
        let status = soon(world.grpc.generate(changed(|it| it.tools = vec![raw]))).await;
        let fields = wrong_fields(&status.unwrap_err());
        assert_eq!(fields, ["tools[0].other_json"], "{name}");
        assert_eq!(world.attempts(), before);
        types += 1;
    }
    assert!(types > 20, "{types}");
}
