//! Answers that follow from the words of the request.

mod choice;
mod found;
mod instance;
mod keywords;
mod pattern;
mod prompt;
mod sentences;
mod summary;
mod tool;
mod words;

pub(super) use instance::{answer as instance, tool_input};
pub(super) use prompt::Prompt;
pub(super) use tool::pick as pick_tool;

use prompt::shortened;

/// Begins every text answer.
pub(super) const MARK: &str = "[simulated] ";

/// Most characters of the request that an answer quotes.
const QUOTED: usize = 200;

/// The text that answers a prompt.
pub(super) fn text(prompt: &Prompt) -> String {
    if let Some(result) = &prompt.tool_result {
        return format!("{MARK}The tool answered: {}", shortened(result, QUOTED));
    }
    if let Some(summary) = summary::write(prompt) {
        return summary;
    }
    format!(
        "{MARK}You wrote: \"{}\" No model was asked; this answer is made of your own words.",
        shortened(&prompt.whole, QUOTED)
    )
}

/// What stands in a thinking block.
pub(super) fn thinking(prompt: &Prompt) -> String {
    format!(
        "{MARK}The last message has {} words.",
        prompt.whole.split_whitespace().count()
    )
}
