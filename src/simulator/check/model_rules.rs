//! What a model accepts, by its entry in the catalogue.

use crate::{
    claude::{
        request::{Effort, MessagesRequest, Role},
        tools::ToolChoice,
    },
    models::{KnownModel, ThinkingType},
    simulator::error::{ApiError, require},
};
use serde::Serialize;

/// Checks a request against the rules of its model.
///
/// # Errors
/// 400.
pub(super) fn check(request: &MessagesRequest, model: &KnownModel) -> Result<(), ApiError> {
    let rules = &model.rules;
    let effort = request.output_config.as_ref().and_then(|it| it.effort);
    if let Some(level) = effort {
        effort_level(level, &rules.effort)?;
    }
    if let Some(thinking) = &request.thinking {
        let thinking = ThinkingType::from(thinking);
        thinking_type(thinking, &rules.thinking)?;
        let highest = rules.thinking_off_up_to.filter(|_| thinking.is_off());
        let is_above = effort.zip(highest).is_some_and(|(level, it)| level > it);
        require(!is_above, || {
            let (kind, level) = (thinking.name(), effort.as_ref().map(name));
            let level = level.unwrap_or_default();
            format!(
                "\"thinking.type.{kind}\" is not supported at effort \"{level}\" for this model."
            )
        })?;
    }
    let choice = request.tool_choice.as_ref();
    let forces = matches!(
        choice,
        Some(ToolChoice::Any { .. } | ToolChoice::Tool { .. })
    );
    require(rules.forced_tools || !forces, || {
        format!(
            "tool_choice: forcing a tool is not supported by {}",
            model.id()
        )
    })?;
    let ends_with_assistant = request.messages.last().map(|it| it.role) == Some(Role::Assistant);
    require(rules.prefill || !ends_with_assistant, || {
        "messages: this model does not support prefilling the answer; \
         the last message must be from the user"
    })
}

fn effort_level(level: Effort, accepted: &[Effort]) -> Result<(), ApiError> {
    require(
        !accepted.is_empty(),
        || "This model does not support the effort parameter.",
    )?;
    require(accepted.contains(&level), || {
        let accepted: Vec<String> = accepted.iter().map(name).collect();
        format!(
            "This model does not support effort level '{}'. Supported levels: {}.",
            name(&level),
            accepted.join(", ")
        )
    })
}

/// The texts are those of the documentation.
fn thinking_type(thinking: ThinkingType, accepted: &[ThinkingType]) -> Result<(), ApiError> {
    let advice = if thinking == ThinkingType::Disabled
        && accepted.contains(&ThinkingType::BetweenTools)
    {
        "To turn thinking off on this model, send \"thinking\": {\"type\": \"between_tools\"}."
    } else if accepted.contains(&ThinkingType::Adaptive) {
        "Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior."
    } else if thinking == ThinkingType::Adaptive {
        return require(
            accepted.contains(&thinking),
            || "adaptive thinking is not supported on this model",
        );
    } else {
        "Use \"thinking.type.enabled\" with \"budget_tokens\"."
    };
    require(accepted.contains(&thinking), || {
        let kind = thinking.name();
        format!("\"thinking.type.{kind}\" is not supported for this model. {advice}")
    })
}

/// A value as it stands in requests.
fn name(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_default();
    json.trim_matches('"').to_owned()
}
