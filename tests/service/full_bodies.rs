//! Bodies that together have every field and every value that the wire types
//! allow. No struct is filled up with defaults here, and the enumerations are
//! matched without a catch-all, so that a field or a value that is added does
//! not compile until it is thought of.

use crate::{
    full_blocks::{all, blocks, marks, oversized, text},
    full_tools::defined_tools,
};
use claude_grpc::claude::{
    container::{RequestedContainer, RequestedSkill, SkillKind},
    content::OversizedImage,
    raw::RawObject,
    request::{
        Content, Diagnostics, Effort, InputMessage, MessagesRequest, Metadata, OutputConfig,
        OutputFormat, Role, ServiceTier, Speed, SystemPrompt, Thinking, ThinkingDisplay,
    },
    tools::{CustomKind, CustomTool, Tool, ToolChoice},
};

fn object() -> RawObject {
    RawObject::default()
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
    all.extend(defined_tools().map(|tool| with(|it| it.tools = vec![tool])));
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
    let sizes = all![OversizedImage::Downsize, OversizedImage::Error];
    all.extend(sizes.map(|size| with(|it| it.messages = vec![oversized(size)])));
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
