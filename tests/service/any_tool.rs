//! Any tool.

use crate::any_block::{cache, enumeration, json_object, maybe_text, mostly, schema, text};
use claude_grpc::proto::v1::{self, tool::Defined};
use proptest::{collection::vec, option, prelude::*, sample::select};

pub fn tool() -> BoxedStrategy<v1::Tool> {
    let fields = (
        mostly("[a-zA-Z0-9_-]{1,128}", any::<String>()),
        maybe_text(),
        schema(),
        option::of(any::<bool>()),
        cache(),
        vec(json_object(), 0..2),
    );
    let custom = fields.prop_map(
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
    );
    let of_the_api = (defined(), option::weighted(0.1, any::<bool>()), cache());
    let of_the_api = of_the_api.prop_map(|(defined, strict, cache_control)| v1::Tool {
        defined: Some(defined),
        strict,
        cache_control,
        ..v1::Tool::default()
    });
    prop_oneof![3 => custom, 1 => of_the_api].boxed()
}

fn defined() -> impl Strategy<Value = Defined> {
    let plain = version("20250124").prop_map(|version| Defined::Bash(v1::BashTool { version }));
    prop_oneof![
        plain,
        editor(),
        computer(),
        search(),
        fetch(),
        tool_search()
    ]
}

fn version(known: &'static str) -> impl Strategy<Value = String> {
    mostly(
        select(vec![String::new(), known.to_owned()]),
        any::<String>(),
    )
}

fn number() -> impl Strategy<Value = Option<i32>> {
    option::of(mostly(1..1000, any::<i32>()))
}

fn editor() -> impl Strategy<Value = Defined> {
    (version("20250728"), number()).prop_map(|(version, max_characters)| {
        Defined::TextEditor(v1::TextEditorTool {
            version,
            max_characters,
        })
    })
}

fn computer() -> impl Strategy<Value = Defined> {
    let name = mostly(
        select(vec!["zoom", "type", "wait"]).prop_map(str::to_owned),
        any::<String>(),
    );
    let fields = (name, option::of(any::<bool>()), option::of(any::<bool>()));
    let config = fields.prop_map(|(name, enabled, defer_loading)| v1::ToolsetMemberConfig {
        name,
        enabled,
        defer_loading,
    });
    (version("20260801"), vec(config, 0..2)).prop_map(|(version, configs)| {
        Defined::ComputerToolset(v1::ComputerToolset { version, configs })
    })
}

fn domains() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    let both = (vec(text(), 0..2), vec(text(), 0..2));
    let allowed = vec(text(), 0..3).prop_map(|allowed| (allowed, Vec::new()));
    let blocked = vec(text(), 0..3).prop_map(|blocked| (Vec::new(), blocked));
    prop_oneof![4 => allowed, 4 => blocked, 1 => both]
}

fn search() -> impl Strategy<Value = Defined> {
    let country = prop_oneof![Just(String::new()), mostly("[A-Z]{2}", any::<String>())];
    let location = (text(), country, maybe_text(), maybe_text()).prop_map(
        |(city, country, region, timezone)| v1::UserLocation {
            city,
            country,
            region,
            timezone,
        },
    );
    let fields = (version("20260318"), number(), domains());
    let more = (option::of(location), enumeration(0..3));
    (fields, more).prop_map(
        |(
            (version, max_uses, (allowed_domains, blocked_domains)),
            (user_location, response_inclusion),
        )| {
            Defined::WebSearch(v1::WebSearchTool {
                version,
                max_uses,
                allowed_domains,
                blocked_domains,
                user_location,
                response_inclusion,
            })
        },
    )
}

fn fetch() -> impl Strategy<Value = Defined> {
    let tool = mostly("[a-z]{1,9}", any::<String>());
    let source = (enumeration(1..5), vec(tool, 0..2))
        .prop_map(|(mode, tools)| v1::UrlSource { mode, tools })
        .boxed();
    let sources = (source.clone(), option::of(source)).prop_map(|(client, user_input)| {
        v1::WebFetchUrlSources {
            client_tool_results: Some(client),
            server_tool_results: None,
            user_input,
        }
    });
    let fields = (version("20260318"), number(), number(), domains());
    let more = (
        any::<bool>(),
        option::of(any::<bool>()),
        enumeration(0..3),
        option::weighted(0.3, sources),
    );
    (fields, more).prop_map(
        |(
            (version, max_uses, max_content_tokens, (allowed_domains, blocked_domains)),
            (citations, use_cache, response_inclusion, url_sources),
        )| {
            Defined::WebFetch(v1::WebFetchTool {
                version,
                max_uses,
                allowed_domains,
                blocked_domains,
                citations,
                max_content_tokens,
                use_cache,
                response_inclusion,
                url_sources,
            })
        },
    )
}

fn tool_search() -> impl Strategy<Value = Defined> {
    (enumeration(1..3), version("latest")).prop_map(|(algorithm, version)| {
        Defined::ToolSearch(v1::ToolSearchTool { algorithm, version })
    })
}
