//! What a request asks of its model, which not every model accepts.

use super::{Catalogue, KnownModel, ThinkingType};
use crate::claude::{
    request::{Effort, MessagesRequest, Role},
    tools::ToolChoice,
};

/// What a request asks of its model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelNeeds {
    /// `thinking.type`.
    pub thinking: Option<ThinkingType>,
    /// The effort level.
    pub effort: Option<Effort>,
    /// Whether a tool is forced.
    pub forces_tool: bool,
    /// Whether the last message is the beginning of the answer.
    pub has_prefill: bool,
    /// Maximum number of output tokens.
    pub max_tokens: u32,
}

// === impl ModelNeeds ===

impl ModelNeeds {
    /// What a request asks.
    pub fn of(request: &MessagesRequest) -> Self {
        let choice = request.tool_choice.as_ref();
        ModelNeeds {
            thinking: request.thinking.as_ref().map(ThinkingType::from),
            effort: request.output_config.as_ref().and_then(|it| it.effort),
            forces_tool: matches!(
                choice,
                Some(ToolChoice::Any { .. } | ToolChoice::Tool { .. })
            ),
            has_prefill: request.messages.last().map(|it| it.role) == Some(Role::Assistant),
            max_tokens: request.max_tokens.unwrap_or(0),
        }
    }
}

// === impl KnownModel ===

impl KnownModel {
    /// Whether it accepts the effort level.
    pub fn accepts_effort(&self, level: Effort) -> bool {
        self.rules.effort.contains(&level)
    }

    /// Whether it thinks in this way at an effort level.
    pub fn thinks_at(&self, thinking: ThinkingType, effort: Option<Effort>) -> bool {
        let highest = self.rules.thinking_off_up_to;
        let highest = highest.filter(|_| thinking.is_off());
        effort
            .zip(highest)
            .is_none_or(|(level, highest)| level <= highest)
    }

    /// Whether it accepts what a request asks, without the effort level if it does not
    /// accept that.
    pub fn accepts(&self, needs: ModelNeeds) -> bool {
        let rules = &self.rules;
        let effort = needs.effort.filter(|level| self.accepts_effort(*level));
        let thinks = needs.thinking.is_none_or(|thinking| {
            rules.thinking.contains(&thinking) && self.thinks_at(thinking, effort)
        });
        thinks
            && (rules.forced_tools || !needs.forces_tool)
            && (rules.prefill || !needs.has_prefill)
            && needs.max_tokens <= self.limits.max_output
    }
}

// === impl Catalogue ===

impl Catalogue {
    /// The effort level that a model is asked for if this one is wanted: the highest that
    /// it accepts up to it. A model that is not in the catalogue is asked for the level
    /// itself.
    pub fn effort_for(&self, model: &str, wanted: Effort) -> Option<Effort> {
        let Some(model) = self.find(model) else {
            return Some(wanted);
        };
        let accepted = model.rules.effort.iter().copied();
        accepted.filter(|level| *level <= wanted).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::catalogue;
    use serde_json::{Value, json};

    fn needs(fields: Value) -> ModelNeeds {
        let mut request = json!({
            "model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}],
        });
        let all = request.as_object_mut().unwrap();
        all.extend(fields.as_object().unwrap().clone());
        ModelNeeds::of(&serde_json::from_value(request).unwrap())
    }

    #[test]
    fn a_model_is_asked_for_an_effort_that_it_accepts() {
        let effort = |model, wanted| catalogue().effort_for(model, wanted);
        assert_eq!(effort("claude-haiku-4-5", Effort::Low), None);
        assert_eq!(effort("claude-haiku-4-5-20251001", Effort::Max), None);
        assert_eq!(effort("claude-opus-4-5", Effort::Max), Some(Effort::High));
        assert_eq!(effort("a-model-of-ours", Effort::Max), Some(Effort::Max));
    }

    #[test]
    fn what_a_model_rejects_is_known_before_it_is_asked() {
        let accepts = |model: &str, fields: Value| {
            let model = catalogue().find(model).unwrap();
            model.accepts(needs(fields))
        };
        let old = "claude-haiku-4-5";
        assert!(accepts(old, json!({"output_config": {"effort": "low"}})));
        assert!(!accepts(old, json!({"thinking": {"type": "adaptive"}})));
        assert!(!accepts(old, json!({"max_tokens": 64_001})));
        let enabled = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
        assert!(accepts(old, enabled.clone()));
        let new = "claude-opus-5";
        assert!(!accepts(new, enabled));
        let prefill = json!({"messages": [{"role": "assistant", "content": "x"}]});
        assert_eq!(
            accepts(new, prefill),
            catalogue().find(new).unwrap().rules.prefill
        );
    }
}
