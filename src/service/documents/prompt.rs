//! The prompts for parts of a document, and for merging their summaries.

use super::super::{document, summarize::TOKENS_PER_WORD};
use crate::claude::request::InputMessage;

/// What is asked about the parts of a document, and about their summaries until one call
/// can merge them.
#[derive(Debug, Clone)]
pub struct PartPrompt {
    /// About how many words the summary of a part should have.
    pub words: u32,
    /// What the summary of the whole should concentrate on; empty for the main points.
    pub focus: String,
}

// === impl PartPrompt ===

impl PartPrompt {
    /// Maximum tokens of an answer, without thinking.
    pub fn tokens(&self) -> u64 {
        u64::from(self.words) * u64::from(TOKENS_PER_WORD)
    }

    /// Asks about a part of the document.
    pub fn of_part(&self, text: &str) -> InputMessage {
        self.message(text, "The document above is a part of a longer one.")
    }

    /// Asks about summaries of neighbouring parts.
    pub fn of_summaries(&self, summaries: &[&str]) -> InputMessage {
        let summaries = joined(summaries);
        let what = "The document above has summaries of consecutive parts of a longer one.";
        self.message(&summaries, what)
    }

    fn message(&self, text: &str, what: &str) -> InputMessage {
        let mut instructions = format!(
            "{what} Summarize it for a reader who will summarize the whole from such summaries: \
             keep facts, figures, names, dates and decisions, in their order.\n\
             Write running text of about {} words.",
            self.words
        );
        if !self.focus.is_empty() {
            instructions.push_str("\nDwell on: ");
            instructions.push_str(&self.focus);
        }
        instructions.push_str("\nWrite in the language of the document.");
        document::message(document::of_text(text), instructions)
    }
}

/// Summaries of consecutive parts as one text.
pub fn joined(summaries: &[&str]) -> String {
    summaries.join("\n\n")
}
