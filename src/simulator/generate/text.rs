//! Texts of answers that are not bound to a schema.

use super::{
    prompt::{MARK, Prompt, shortened},
    summary,
};

/// Maximum characters of the request that an answer quotes.
const QUOTED: usize = 200;

/// The text that answers a prompt.
pub(in crate::simulator) fn text(prompt: &Prompt) -> String {
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
pub(in crate::simulator) fn thinking(prompt: &Prompt) -> String {
    format!(
        "{MARK}The last message has {} words.",
        prompt.whole.split_whitespace().count()
    )
}
