//! Maps `GenerateRequest` to a request of the API.

use super::{content::ContentMapper, extra, json, position::BlockPosition, settings, tools};
use crate::{
    claude::request::{
        Content, Effort, InputMessage, MessagesRequest, OutputConfig, OutputFormat, Role,
        SystemPrompt, Thinking, ThinkingDisplay,
    },
    proto::v1::{self, thinking::Mode},
    service::{ServiceConfig, model},
    status::{Path, Violations},
};

/// Maximum number of messages in one request.
const MAX_MESSAGES: usize = 100_000;

/// Minimum thinking budget of the API, in tokens.
const MIN_THINKING_BUDGET: u32 = 1024;

/// Checks a request and maps it to a request of the API. Strings are moved, not
/// copied.
pub fn messages_request(
    request: v1::GenerateRequest,
    config: &ServiceConfig,
    wrong: &mut Violations,
) -> MessagesRequest {
    let model = model::choose(
        request.model,
        &config.generate.model,
        &config.allowed_models,
        Path::root("model"),
        wrong,
    );
    let max_tokens = max_tokens(request.max_tokens, 0, config.generate.max_tokens, wrong);
    let thinking = request
        .thinking
        .and_then(|it| thinking(it, max_tokens, wrong));
    let output_config = output_config(request.effort, request.output_schema_json, wrong);
    let stop_sequences = settings::stop_sequences(request.stop_sequences, wrong);
    let metadata = settings::metadata(request.user_id, wrong);
    let service_tier = settings::service_tier(request.service_tier, wrong);
    let container = settings::container(request.container, wrong);
    let diagnostics = settings::diagnostics(request.diagnostics);
    let inference_geo = settings::inference_geo(request.inference_geo, wrong);
    let speed = settings::speed(request.speed, wrong);

    let mut mapper = ContentMapper::new(&config.passthrough, wrong);
    let tools = tools::tools(request.tools, &mut mapper);
    let system = system(request.system, &mut mapper);
    let messages = messages(request.messages, &mut mapper);
    let cache_control = mapper.cache_control(request.cache_control, Path::root("cache_control"));
    let tool_choice = request
        .tool_choice
        .and_then(|choice| tools::tool_choice(choice, &tools, wrong));

    let upstream = MessagesRequest {
        model,
        max_tokens: Some(max_tokens),
        system,
        tools,
        tool_choice,
        messages,
        stop_sequences,
        thinking,
        output_config,
        metadata,
        service_tier,
        cache_control,
        container,
        diagnostics,
        inference_geo,
        speed,
        stream: false,
        extra: None,
    };
    extra::with_fields(upstream, request.extra_json, &config.passthrough, wrong)
}

/// `max_tokens`, which must be at least `minimum`, or the default if it is not set.
pub fn max_tokens(
    requested: Option<i32>,
    minimum: u32,
    default: u32,
    wrong: &mut Violations,
) -> u32 {
    match requested.map(u32::try_from) {
        None => default,
        Some(Ok(tokens)) if tokens >= minimum => tokens,
        Some(_) => {
            wrong.add("max_tokens", format!("must be at least {minimum}"));
            default
        }
    }
}

fn messages(messages: Vec<v1::Message>, mapper: &mut ContentMapper<'_>) -> Vec<InputMessage> {
    if messages.is_empty() {
        mapper.wrong.add("messages", "must not be empty");
    }
    if messages.len() > MAX_MESSAGES {
        mapper.wrong.add(
            "messages",
            format!("must contain at most {MAX_MESSAGES} messages"),
        );
        return Vec::new();
    }
    let mut mapped = Vec::with_capacity(messages.len());
    for (index, one) in messages.into_iter().enumerate() {
        mapped.extend(message(one, Path::root("messages").item(index), mapper));
    }
    mapped
}

fn message(
    message: v1::Message,
    path: Path<'_>,
    mapper: &mut ContentMapper<'_>,
) -> Option<InputMessage> {
    let role = match v1::Role::try_from(message.role) {
        Ok(v1::Role::User) => Role::User,
        Ok(v1::Role::Assistant) => Role::Assistant,
        Ok(v1::Role::System) => Role::System,
        Ok(v1::Role::Unspecified) | Err(_) => {
            mapper.wrong.add(
                path.field("role"),
                "must be ROLE_USER, ROLE_ASSISTANT or ROLE_SYSTEM",
            );
            return None;
        }
    };
    let content = match (message.text.is_empty(), message.content.is_empty()) {
        (false, true) => {
            if message.text.trim().is_empty() {
                mapper.wrong.add(path.field("text"), "must not be empty");
            }
            Content::Text(message.text)
        }
        (true, false) => {
            Content::Blocks(mapper.blocks(message.content, BlockPosition::Message(role), path))
        }
        (true, true) => {
            mapper.wrong.add(path, "must have text or content");
            return None;
        }
        (false, false) => {
            mapper
                .wrong
                .add(path, "must not have both text and content");
            return None;
        }
    };
    let extra = mapper.message_fields(message.extra_json, path);
    Some(InputMessage {
        role,
        content,
        extra,
    })
}

fn system(texts: Vec<v1::TextBlock>, mapper: &mut ContentMapper<'_>) -> Option<SystemPrompt> {
    if texts.is_empty() {
        return None;
    }
    let blocks = texts
        .into_iter()
        .enumerate()
        .map(|(index, text)| mapper.text(text, false, Path::root("system").item(index)))
        .collect();
    Some(SystemPrompt::Blocks(blocks))
}

fn thinking(thinking: v1::Thinking, max_tokens: u32, wrong: &mut Violations) -> Option<Thinking> {
    let path = Path::root("thinking");
    match thinking.mode {
        None => {
            wrong.add(path, "must have a mode");
            None
        }
        Some(Mode::Adaptive(mode)) => {
            let path = path.field("adaptive");
            Some(Thinking::Adaptive {
                display: display(mode.display, path, wrong),
            })
        }
        Some(Mode::Enabled(mode)) => {
            let path = path.field("enabled");
            let budget = u32::try_from(mode.budget_tokens).unwrap_or(0);
            if budget < MIN_THINKING_BUDGET || budget >= max_tokens {
                wrong.add(
                    path.field("budget_tokens"),
                    format!(
                        "must be at least {MIN_THINKING_BUDGET} and less than max_tokens ({max_tokens})"
                    ),
                );
            }
            Some(Thinking::Enabled {
                budget_tokens: budget,
                display: display(mode.display, path, wrong),
            })
        }
        Some(Mode::BetweenTools(_)) => Some(Thinking::BetweenTools {}),
        Some(Mode::Disabled(_)) => Some(Thinking::Disabled {}),
    }
}

fn display(value: i32, path: Path<'_>, wrong: &mut Violations) -> Option<ThinkingDisplay> {
    match v1::ThinkingDisplay::try_from(value) {
        Ok(v1::ThinkingDisplay::Unspecified) => None,
        Ok(v1::ThinkingDisplay::Summarized) => Some(ThinkingDisplay::Summarized),
        Ok(v1::ThinkingDisplay::Omitted) => Some(ThinkingDisplay::Omitted),
        Err(_) => {
            wrong.add(path.field("display"), "is an unknown value");
            None
        }
    }
}

fn output_config(effort: i32, schema: String, wrong: &mut Violations) -> Option<OutputConfig> {
    let effort = match v1::Effort::try_from(effort) {
        Ok(v1::Effort::Unspecified) => None,
        Ok(v1::Effort::Low) => Some(Effort::Low),
        Ok(v1::Effort::Medium) => Some(Effort::Medium),
        Ok(v1::Effort::High) => Some(Effort::High),
        Ok(v1::Effort::Xhigh) => Some(Effort::Xhigh),
        Ok(v1::Effort::Max) => Some(Effort::Max),
        Err(_) => {
            wrong.add("effort", "is an unknown value");
            None
        }
    };
    let format = Some(schema)
        .filter(|schema| !schema.is_empty())
        .and_then(|schema| json::schema(schema, Path::root("output_schema_json"), wrong))
        .map(|schema| OutputFormat::JsonSchema {
            schema: schema.object,
        });
    (effort.is_some() || format.is_some()).then_some(OutputConfig { effort, format })
}
