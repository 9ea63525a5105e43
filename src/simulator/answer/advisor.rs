//! The advisor: another model that the model asks. None is asked.

use super::{
    super::generate::{MARK, Prompt, thinking},
    tool_run::ToolRun,
};
use serde_json::{Map, Value, json};

/// Characters of a token.
const CHARS_PER_TOKEN: u64 = 4;

/// The advice, and a text about it.
pub(super) fn run(options: &Map<String, Value>, prompt: &Prompt) -> ToolRun {
    let whole = thinking(prompt);
    let most = options.get("max_tokens").and_then(Value::as_u64);
    let most = most.map_or(u64::MAX, |tokens| tokens.saturating_mul(CHARS_PER_TOKEN));
    let advice: String = whole
        .chars()
        .take(usize::try_from(most).unwrap_or(usize::MAX))
        .collect();
    let stop_reason = if advice.len() < whole.len() {
        "max_tokens"
    } else {
        "end_turn"
    };
    ToolRun {
        name: None,
        input: None,
        result: json!({"type": "advisor_result", "text": advice, "stop_reason": stop_reason}),
        text: format!("{MARK}The advisor says that it was not asked."),
        citation: None,
    }
}
