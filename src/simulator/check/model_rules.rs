//! What a model accepts, by its entry in the catalogue.

use crate::{
    claude::request::{Effort, MessagesRequest},
    models::{KnownModel, ModelNeeds, ThinkingType},
    simulator::error::{ApiError, require},
};
use serde::Serialize;

/// Checks a request against the rules of its model.
///
/// # Errors
/// 400.
pub(super) fn check(request: &MessagesRequest, model: &KnownModel) -> Result<(), ApiError> {
    let (rules, needs) = (&model.rules, ModelNeeds::of(request));
    let effort = needs.effort;
    if let Some(level) = effort {
        effort_level(level, &rules.effort)?;
    }
    if let Some(thinking) = needs.thinking {
        thinking_type(thinking, &rules.thinking)?;
        require(model.thinks_at(thinking, effort), || {
            let (kind, level) = (thinking.name(), effort.as_ref().map(name));
            let level = level.unwrap_or_default();
            format!(
                "\"thinking.type.{kind}\" is not supported at effort \"{level}\" for this model."
            )
        })?;
    }
    require(rules.forced_tools || !needs.forces_tool, || {
        format!(
            "tool_choice: forcing a tool is not supported by {}",
            model.id()
        )
    })?;
    require(rules.prefill || !needs.has_prefill, || {
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
