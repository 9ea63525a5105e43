//! Every version of every tool that the API defines, with every field and every value that
//! it has, as [`full_bodies`](crate::full_bodies) has of the rest.

use crate::full_blocks::{all, marks};
use claude_grpc::claude::{
    defined_tool::{
        DefinedToolFields, MemberConfig, NamedTool, ResponseInclusion, UrlSource, UrlSources,
        UserLocation,
    },
    raw::RawObject,
    request::Citations,
    tools::{DefinedTool, Tool},
};

pub fn defined_tools() -> impl Iterator<Item = Tool> {
    let tools = editors().into_iter().chain(of_the_caller());
    let tools = tools.chain(searches()).chain(fetches()).chain(others());
    tools.map(|fields| {
        let json = RawObject::new(serde_json::to_string(&fields).unwrap()).unwrap();
        Tool::Defined(DefinedTool::new(&fields.kind, fields.name, json))
    })
}

fn editors() -> [DefinedToolFields; 3] {
    let editor = |version| with_examples("text_editor", version, "str_replace_based_edit_tool");
    [
        DefinedToolFields {
            max_characters: Some(1),
            ..editor("20250728")
        },
        editor("20250429"),
        with_examples("text_editor", "20250124", "str_replace_editor"),
    ]
}

fn of_the_caller() -> [DefinedToolFields; 4] {
    let computer = "cursor_position double_click hold_key key left_click left_click_drag \
        left_mouse_down left_mouse_up middle_click mouse_move right_click screenshot scroll \
        triple_click type wait zoom";
    let browser = "close_tab double_click file_upload find form_input get_page_text hold_key hover \
        javascript_exec key left_click left_click_drag left_mouse_down left_mouse_up list_tabs \
        middle_click mouse_move navigate new_tab read_console read_network read_page right_click \
        screenshot scroll scroll_to switch_tab triple_click type wait zoom";
    [
        with_examples("bash", "20250124", "bash"),
        with_examples("memory", "20250818", "memory"),
        DefinedToolFields {
            configs: members(computer),
            ..bare("computer_toolset", "20260801")
        },
        DefinedToolFields {
            configs: members(browser),
            ..bare("browser_toolset", "20260801")
        },
    ]
}

fn members(names: &str) -> Vec<(String, MemberConfig)> {
    let config = MemberConfig {
        enabled: Some(true),
        defer_loading: Some(true),
    };
    let names = names.split_whitespace();
    names.map(|name| (name.to_owned(), config)).collect()
}

fn inclusions() -> [ResponseInclusion; 2] {
    all![ResponseInclusion::Full, ResponseInclusion::Excluded]
}

fn searches() -> impl Iterator<Item = DefinedToolFields> {
    let search = |version| DefinedToolFields {
        max_uses: Some(1),
        allowed_domains: vec!["x".to_owned()],
        user_location: Some(UserLocation::Approximate {
            city: Some("x".to_owned()),
            country: Some("x".to_owned()),
            region: Some("x".to_owned()),
            timezone: Some("x".to_owned()),
        }),
        ..shared("web_search", version, "web_search")
    };
    let newest = inclusions().map(|inclusion| DefinedToolFields {
        blocked_domains: vec!["x".to_owned()],
        response_inclusion: Some(inclusion),
        ..search("20260318")
    });
    let older = ["20260209", "20250305"].map(search);
    newest.into_iter().chain(older)
}

fn fetches() -> impl Iterator<Item = DefinedToolFields> {
    let fetch = |version| DefinedToolFields {
        max_uses: Some(1),
        citations: Some(Citations { enabled: true }),
        max_content_tokens: Some(1),
        ..shared("web_fetch", version, "web_fetch")
    };
    let cached = move |version| DefinedToolFields {
        use_cache: Some(true),
        ..fetch(version)
    };
    let newest = inclusions().into_iter().flat_map(move |inclusion| {
        sources().map(|source| DefinedToolFields {
            allowed_domains: vec!["x".to_owned()],
            blocked_domains: vec!["x".to_owned()],
            response_inclusion: Some(inclusion),
            url_sources: Some(source),
            ..cached("20260318")
        })
    });
    let older = [cached("20260309"), fetch("20260209"), fetch("20250910")];
    newest.chain(older)
}

/// Each kind of source, where it may be.
fn sources() -> [UrlSources; 2] {
    let tools = || {
        vec![NamedTool::ToolReference {
            name: "x".to_owned(),
        }]
    };
    let all = [
        UrlSource::All {},
        UrlSource::None {},
        UrlSource::Only { tools: tools() },
        UrlSource::Except { tools: tools() },
    ];
    let [all, none, only, except] = all.map(|source| {
        match source {
            UrlSource::All {}
            | UrlSource::None {}
            | UrlSource::Only { .. }
            | UrlSource::Except { .. } => {}
        }
        source
    });
    [
        UrlSources {
            client_tool_results: Some(only),
            server_tool_results: Some(except),
            user_input: Some(all.clone()),
        },
        UrlSources {
            client_tool_results: Some(all),
            server_tool_results: Some(none.clone()),
            user_input: Some(none),
        },
    ]
}

fn others() -> impl Iterator<Item = DefinedToolFields> {
    let versions = ["20260521", "20260120", "20250825", "20250522"];
    let code = versions.map(|version| shared("code_execution", version, "code_execution"));
    let search = ["tool_search_tool_bm25", "tool_search_tool_regex"];
    let search = search.into_iter().flat_map(|kind| {
        let dated = shared(kind, "20251119", kind);
        let latest = DefinedToolFields {
            kind: kind.to_owned(),
            ..dated.clone()
        };
        [dated, latest]
    });
    code.into_iter().chain(search)
}

fn with_examples(kind: &str, version: &str, name: &'static str) -> DefinedToolFields {
    DefinedToolFields {
        input_examples: vec![RawObject::default()],
        ..shared(kind, version, name)
    }
}

fn shared(kind: &str, version: &str, name: &'static str) -> DefinedToolFields {
    DefinedToolFields {
        name: Some(name),
        allowed_callers: vec!["direct".to_owned()],
        defer_loading: Some(true),
        strict: Some(true),
        ..bare(kind, version)
    }
}

/// The fields that all tools have, and no others.
fn bare(kind: &str, version: &str) -> DefinedToolFields {
    let [mark, ..] = marks();
    DefinedToolFields {
        kind: format!("{kind}_{version}"),
        name: None,
        allowed_callers: Vec::new(),
        defer_loading: None,
        input_examples: Vec::new(),
        strict: None,
        max_characters: None,
        configs: Vec::new(),
        max_uses: None,
        allowed_domains: Vec::new(),
        blocked_domains: Vec::new(),
        user_location: None,
        citations: None,
        max_content_tokens: None,
        use_cache: None,
        response_inclusion: None,
        url_sources: None,
        cache_control: Some(mark),
    }
}
