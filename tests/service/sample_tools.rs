//! Requests with each version of each tool that the API defines, and with every field
//! that it has.

use crate::{sample_requests::mark, support::ask};
use claude_grpc::proto::v1::{self, tool::Defined};

/// Who may call a tool.
const CALLERS: [&str; 2] = ["direct", "code_execution_20260120"];

/// The members of the toolsets.
const COMPUTER: &str = "cursor_position double_click hold_key key left_click left_click_drag \
    left_mouse_down left_mouse_up middle_click mouse_move right_click screenshot scroll \
    triple_click type wait zoom";
const BROWSER: &str = "close_tab double_click file_upload find form_input get_page_text hold_key \
    hover javascript_exec key left_click left_click_drag left_mouse_down left_mouse_up list_tabs \
    middle_click mouse_move navigate new_tab read_console read_network read_page right_click \
    screenshot scroll scroll_to switch_tab triple_click type wait zoom";

/// Each request with the name of its body in the corpus.
pub fn samples() -> Vec<(String, v1::GenerateRequest)> {
    let named = |(name, tool): (&str, v1::Tool)| {
        let request = v1::GenerateRequest {
            tools: vec![tool],
            ..ask("Hello")
        };
        (format!("generate-tool-{name}"), request)
    };
    tools().into_iter().map(named).collect()
}

fn tools() -> Vec<(&'static str, v1::Tool)> {
    vec![
        (
            "bash",
            with_examples(Defined::Bash(v1::BashTool::default())),
        ),
        ("text-editor", with_examples(editor("", Some(10_000)))),
        (
            "text-editor-20250429",
            with_examples(editor("20250429", None)),
        ),
        (
            "text-editor-20250124",
            with_examples(editor("20250124", None)),
        ),
        (
            "memory",
            with_examples(Defined::Memory(v1::MemoryTool::default())),
        ),
        (
            "computer-toolset",
            marked(Defined::ComputerToolset(v1::ComputerToolset {
                configs: members(COMPUTER),
                ..v1::ComputerToolset::default()
            })),
        ),
        (
            "browser-toolset",
            marked(Defined::BrowserToolset(v1::BrowserToolset {
                configs: members(BROWSER),
                ..v1::BrowserToolset::default()
            })),
        ),
        ("web-search", shared(newest_search())),
        (
            "web-search-20260318",
            shared(Defined::WebSearch(v1::WebSearchTool {
                version: "20260318".to_owned(),
                blocked_domains: domains(),
                response_inclusion: v1::ResponseInclusion::Full.into(),
                ..v1::WebSearchTool::default()
            })),
        ),
        ("web-search-20260209", shared(search("20260209"))),
        ("web-search-20250305", shared(search("20250305"))),
        ("web-fetch", shared(Defined::WebFetch(newest_fetch()))),
        (
            "web-fetch-20260318",
            shared(Defined::WebFetch(v1::WebFetchTool {
                blocked_domains: domains(),
                response_inclusion: v1::ResponseInclusion::Full.into(),
                url_sources: Some(v1::WebFetchUrlSources {
                    client_tool_results: source(v1::UrlSourceMode::All, &[]),
                    server_tool_results: source(v1::UrlSourceMode::None, &[]),
                    user_input: source(v1::UrlSourceMode::None, &[]),
                }),
                ..fetch("20260318")
            })),
        ),
        (
            "web-fetch-20260309",
            shared(Defined::WebFetch(v1::WebFetchTool {
                use_cache: Some(true),
                ..fetch("20260309")
            })),
        ),
        (
            "web-fetch-20260209",
            shared(Defined::WebFetch(fetch("20260209"))),
        ),
        (
            "web-fetch-20250910",
            shared(Defined::WebFetch(fetch("20250910"))),
        ),
        ("code-execution", shared(code_execution(""))),
        (
            "code-execution-20260120",
            shared(code_execution("20260120")),
        ),
        (
            "code-execution-20250825",
            shared(code_execution("20250825")),
        ),
        (
            "code-execution-20250522",
            shared(code_execution("20250522")),
        ),
        (
            "tool-search-bm25",
            shared(tool_search(v1::ToolSearchAlgorithm::Bm25, "")),
        ),
        (
            "tool-search-bm25-latest",
            shared(tool_search(v1::ToolSearchAlgorithm::Bm25, "latest")),
        ),
        (
            "tool-search-regex",
            shared(tool_search(v1::ToolSearchAlgorithm::Regex, "20251119")),
        ),
        (
            "tool-search-regex-latest",
            shared(tool_search(v1::ToolSearchAlgorithm::Regex, "latest")),
        ),
    ]
}

/// A tool of the API with a cache mark.
pub fn marked(defined: Defined) -> v1::Tool {
    v1::Tool {
        defined: Some(defined),
        cache_control: mark(v1::CacheTtl::Unspecified),
        ..v1::Tool::default()
    }
}

fn shared(defined: Defined) -> v1::Tool {
    v1::Tool {
        strict: Some(true),
        defer_loading: Some(false),
        allowed_callers: CALLERS.map(str::to_owned).to_vec(),
        ..marked(defined)
    }
}

fn with_examples(defined: Defined) -> v1::Tool {
    v1::Tool {
        input_examples_json: vec![r#"{"command":"ls"}"#.to_owned()],
        ..shared(defined)
    }
}

fn editor(version: &str, max_characters: Option<i32>) -> Defined {
    Defined::TextEditor(v1::TextEditorTool {
        version: version.to_owned(),
        max_characters,
    })
}

fn members(names: &str) -> Vec<v1::ToolsetMemberConfig> {
    let config = |name: &str| v1::ToolsetMemberConfig {
        name: name.to_owned(),
        enabled: Some(false),
        defer_loading: Some(true),
    };
    names.split_whitespace().map(config).collect()
}

fn domains() -> Vec<String> {
    vec!["example.com".to_owned(), "example.org/docs".to_owned()]
}

fn search(version: &str) -> Defined {
    Defined::WebSearch(v1::WebSearchTool {
        version: version.to_owned(),
        max_uses: Some(3),
        allowed_domains: domains(),
        user_location: Some(v1::UserLocation {
            city: "Graz".to_owned(),
            country: "AT".to_owned(),
            region: "Styria".to_owned(),
            timezone: "Europe/Vienna".to_owned(),
        }),
        ..v1::WebSearchTool::default()
    })
}

fn newest_search() -> Defined {
    let Defined::WebSearch(mut tool) = search("") else {
        unreachable!()
    };
    tool.response_inclusion = v1::ResponseInclusion::Excluded.into();
    Defined::WebSearch(tool)
}

fn source(mode: v1::UrlSourceMode, tools: &[&str]) -> Option<v1::UrlSource> {
    Some(v1::UrlSource {
        mode: mode.into(),
        tools: tools.iter().map(|name| (*name).to_owned()).collect(),
    })
}

fn fetch(version: &str) -> v1::WebFetchTool {
    v1::WebFetchTool {
        version: version.to_owned(),
        max_uses: Some(3),
        citations: true,
        max_content_tokens: Some(10_000),
        ..v1::WebFetchTool::default()
    }
}

fn newest_fetch() -> v1::WebFetchTool {
    v1::WebFetchTool {
        allowed_domains: domains(),
        use_cache: Some(false),
        response_inclusion: v1::ResponseInclusion::Excluded.into(),
        url_sources: Some(v1::WebFetchUrlSources {
            client_tool_results: source(v1::UrlSourceMode::Only, &["weather"]),
            server_tool_results: source(v1::UrlSourceMode::Except, &["web_search"]),
            user_input: source(v1::UrlSourceMode::All, &[]),
        }),
        ..fetch("")
    }
}

fn code_execution(version: &str) -> Defined {
    Defined::CodeExecution(v1::CodeExecutionTool {
        version: version.to_owned(),
    })
}

fn tool_search(algorithm: v1::ToolSearchAlgorithm, version: &str) -> Defined {
    Defined::ToolSearch(v1::ToolSearchTool {
        algorithm: algorithm.into(),
        version: version.to_owned(),
    })
}
