//! Bodies that together have every field and every value that the wire types
//! allow. No struct is filled up with defaults here, and the enumerations are
//! matched without a catch-all, so that a field or a value that is added does
//! not compile until it is thought of.

use claude_grpc::claude::{
    container::{RequestedContainer, RequestedSkill, SkillKind},
    raw::RawObject,
    request::{
        CacheControl, CacheTtl, Citations, Content, Diagnostics, DocumentSource, Effort,
        ImageSource, InputBlock, InputMessage, MessagesRequest, Metadata, OutputConfig,
        OutputFormat, Role, ServiceTier, Speed, SystemPrompt, Thinking, ThinkingDisplay,
    },
    tools::{CustomKind, CustomTool, Tool, ToolChoice},
};

/// Gives all values of an enumeration; the match makes them complete.
macro_rules! all {
    ($($variant:path),+ $(,)?) => {{
        let all = [$($variant),+];
        for value in all {
            match value { $($variant => {})+ }
        }
        all
    }};
}

fn object() -> RawObject {
    RawObject::default()
}

fn marks() -> [CacheControl; 3] {
    let [five_minutes, one_hour] = all![CacheTtl::FiveMinutes, CacheTtl::OneHour];
    [None, Some(five_minutes), Some(one_hour)].map(|ttl| CacheControl::Ephemeral { ttl })
}

pub fn filled() -> Vec<MessagesRequest> {
    let mut all = Vec::new();
    let efforts = all![
        Effort::Low,
        Effort::Medium,
        Effort::High,
        Effort::Xhigh,
        Effort::Max
    ];
    all.extend(efforts.map(|effort| with(|it| it.output_config = output(effort))));
    let tiers = all![ServiceTier::Auto, ServiceTier::StandardOnly];
    all.extend(tiers.map(|tier| with(|it| it.service_tier = Some(tier))));
    all.extend(thinkings().map(|thinking| with(|it| it.thinking = Some(thinking))));
    all.extend(choices().map(|choice| with(|it| it.tool_choice = Some(choice))));
    all.extend([false, true].map(|strict| with(|it| it.tools = vec![tool(strict)])));
    let roles = all![Role::User, Role::Assistant, Role::System];
    all.extend(roles.map(|role| with(|it| it.messages = vec![says(role)])));
    all.extend(blocks().map(|(role, block)| {
        let content = Content::Blocks(vec![block]);
        with(|it| {
            it.messages = vec![InputMessage {
                role,
                content,
                extra: None,
            }]
        })
    }));
    all.push(with(|it| {
        it.system = Some(SystemPrompt::Text("x".to_owned()))
    }));
    all.push(with(|it| it.stream = true));
    let speeds = all![Speed::Standard, Speed::Fast];
    all.extend(speeds.map(|speed| with(|it| it.speed = Some(speed))));
    let makers = all![SkillKind::Anthropic, SkillKind::Custom];
    all.extend(makers.map(|kind| with(|it| it.container = Some(with_skill(kind)))));
    all
}

/// Everything, with one thing changed.
fn with(change: impl FnOnce(&mut MessagesRequest)) -> MessagesRequest {
    let [mark, five_minutes, _] = marks();
    let mut request = MessagesRequest {
        model: "m".to_owned(),
        max_tokens: Some(1),
        system: Some(SystemPrompt::Blocks(vec![text(Some(five_minutes))])),
        tools: vec![tool(true)],
        tool_choice: None,
        messages: vec![says(Role::User)],
        stop_sequences: vec!["x".to_owned()],
        thinking: None,
        output_config: output(Effort::Low),
        metadata: Some(Metadata {
            user_id: Some("x".to_owned()),
        }),
        service_tier: Some(ServiceTier::Auto),
        cache_control: Some(mark),
        container: Some(RequestedContainer::Id("x".to_owned())),
        diagnostics: Some(Diagnostics {
            previous_message_id: Some("x".to_owned()),
        }),
        inference_geo: Some("x".to_owned()),
        speed: Some(Speed::Standard),
        stream: false,
        extra: None,
    };
    change(&mut request);
    request
}

fn says(role: Role) -> InputMessage {
    InputMessage {
        role,
        content: Content::Text("x".to_owned()),
        extra: None,
    }
}

fn with_skill(kind: SkillKind) -> RequestedContainer {
    let skill = RequestedSkill {
        kind,
        skill_id: "x".to_owned(),
        version: Some("x".to_owned()),
    };
    RequestedContainer::WithSkills {
        id: Some("x".to_owned()),
        skills: vec![skill],
    }
}

fn output(effort: Effort) -> Option<OutputConfig> {
    Some(OutputConfig {
        effort: Some(effort),
        format: Some(OutputFormat::JsonSchema { schema: object() }),
    })
}

fn tool(strict: bool) -> Tool {
    let [_, _, one_hour] = marks();
    Tool::Custom(CustomTool {
        kind: Some(CustomKind::Custom),
        name: "x".to_owned(),
        description: Some("x".to_owned()),
        input_schema: object(),
        strict: Some(strict),
        defer_loading: Some(strict),
        allowed_callers: vec!["direct".to_owned()],
        eager_input_streaming: Some(strict),
        input_examples: vec![RawObject::default()],
        cache_control: Some(one_hour),
    })
}

fn thinkings() -> impl Iterator<Item = Thinking> {
    let displays = all![ThinkingDisplay::Summarized, ThinkingDisplay::Omitted];
    let shown = displays.into_iter().flat_map(|display| {
        let display = Some(display);
        [
            Thinking::Adaptive { display },
            Thinking::Enabled {
                budget_tokens: 1024,
                display,
            },
        ]
    });
    let all = shown.chain([Thinking::BetweenTools {}, Thinking::Disabled {}]);
    all.inspect(|thinking| match thinking {
        Thinking::Adaptive { .. }
        | Thinking::Enabled { .. }
        | Thinking::BetweenTools {}
        | Thinking::Disabled {} => {}
    })
}

fn choices() -> impl Iterator<Item = ToolChoice> {
    let disable_parallel_tool_use = true;
    let all = [
        ToolChoice::Auto {
            disable_parallel_tool_use,
        },
        ToolChoice::Any {
            disable_parallel_tool_use,
        },
        ToolChoice::Tool {
            name: "x".to_owned(),
            disable_parallel_tool_use,
        },
        ToolChoice::None {},
    ];
    all.into_iter().inspect(|choice| match choice {
        ToolChoice::Auto { .. }
        | ToolChoice::Any { .. }
        | ToolChoice::Tool { .. }
        | ToolChoice::None {} => {}
    })
}

fn text(cache_control: Option<CacheControl>) -> InputBlock {
    InputBlock::Text {
        text: "x".to_owned(),
        cache_control,
        citations: None,
    }
}

fn pictures(mark: Option<CacheControl>) -> [InputBlock; 3] {
    let x = || "x".to_owned();
    let png = || "image/png".to_owned();
    let all = [
        ImageSource::Base64 {
            media_type: png(),
            data: x(),
        },
        ImageSource::Url { url: x() },
        ImageSource::File { file_id: x() },
    ];
    all.map(|source| {
        match source {
            ImageSource::Base64 { .. } | ImageSource::Url { .. } | ImageSource::File { .. } => {}
        }
        InputBlock::Image {
            source,
            cache_control: mark,
        }
    })
}

fn documents(mark: Option<CacheControl>) -> [InputBlock; 5] {
    let x = || "x".to_owned();
    let all = [
        DocumentSource::Base64 {
            media_type: "application/pdf".to_owned(),
            data: x(),
        },
        DocumentSource::Text {
            media_type: "text/plain".to_owned(),
            data: x(),
        },
        DocumentSource::Url { url: x() },
        DocumentSource::File { file_id: x() },
        DocumentSource::Content {
            content: Content::Blocks(vec![
                text(None),
                InputBlock::Image {
                    source: ImageSource::Base64 {
                        media_type: "image/png".to_owned(),
                        data: x(),
                    },
                    cache_control: None,
                },
            ]),
        },
    ];
    all.map(|source| {
        match source {
            DocumentSource::Base64 { .. }
            | DocumentSource::Text { .. }
            | DocumentSource::Url { .. }
            | DocumentSource::File { .. }
            | DocumentSource::Content { .. } => {}
        }
        InputBlock::Document {
            source,
            title: Some(x()),
            context: Some(x()),
            citations: Some(Citations { enabled: true }),
            cache_control: mark,
        }
    })
}

fn found(cache_control: Option<CacheControl>) -> InputBlock {
    InputBlock::SearchResult {
        source: "x".to_owned(),
        title: "x".to_owned(),
        content: vec![text(None)],
        citations: Some(Citations { enabled: true }),
        cache_control,
    }
}

/// Every block that our own messages have, where it may stand.
fn blocks() -> impl Iterator<Item = (Role, InputBlock)> {
    let [_, five_minutes, one_hour] = marks();
    let citation = r#"{"type":"char_location"}"#.to_owned();
    let bare = |block: InputBlock| match block {
        InputBlock::Document { source, .. } => InputBlock::Document {
            source,
            title: None,
            context: None,
            citations: None,
            cache_control: None,
        },
        InputBlock::SearchResult {
            source,
            title,
            content,
            ..
        } => InputBlock::SearchResult {
            source,
            title,
            content,
            citations: None,
            cache_control: None,
        },
        other => other,
    };
    let [picture, ..] = pictures(None);
    let [_, document, ..] = documents(None);
    let results = [text(None), picture, bare(document), bare(found(None))];
    let of_user = pictures(Some(five_minutes))
        .into_iter()
        .chain(documents(Some(one_hour)))
        .chain([
            found(Some(five_minutes)),
            text(None),
            InputBlock::ToolResult {
                tool_use_id: "x".to_owned(),
                content: Some(Content::Blocks(results.to_vec())),
                is_error: true,
                cache_control: Some(five_minutes),
            },
        ]);
    let of_assistant = [
        InputBlock::Text {
            text: "x".to_owned(),
            cache_control: None,
            citations: Some(vec![RawObject::new(citation).unwrap()]),
        },
        InputBlock::ToolUse {
            id: "x".to_owned(),
            name: "x".to_owned(),
            input: RawObject::default(),
            cache_control: Some(five_minutes),
        },
        InputBlock::Thinking {
            thinking: "x".to_owned(),
            signature: "x".to_owned(),
        },
        InputBlock::RedactedThinking {
            data: "x".to_owned(),
        },
    ];
    let of_user = of_user.map(|block| (Role::User, block));
    let of_assistant = of_assistant
        .into_iter()
        .map(|block| (Role::Assistant, block));
    of_user
        .chain(of_assistant)
        .inspect(|(_, block)| match block {
        InputBlock::Text { .. }
        | InputBlock::Image { .. }
        | InputBlock::Document { .. }
        | InputBlock::SearchResult { .. }
        | InputBlock::ToolUse { .. }
        | InputBlock::ToolResult { .. }
        | InputBlock::Thinking { .. }
        | InputBlock::RedactedThinking { .. }
        // Not of our making: the corpus has two of the API's own.
        | InputBlock::Other(_) => {}
    })
}
