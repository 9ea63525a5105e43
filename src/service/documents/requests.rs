//! The requests to the API about a document: for the whole, for a part, for summaries.

use super::{
    super::{
        ServiceConfig,
        classify::{self, Classifier},
        document,
        summarize::{CheckedSettings, SummaryRequest},
    },
    prompt::{PartPrompt, joined},
    sizes::CallSizes,
};
use crate::{
    claude::request::{InputMessage, MessagesRequest, SystemPrompt},
    models::Day,
    proto::v1,
    status::Violations,
};

/// Tokens for thinking in addition to the summary of a part.
const ROOM_FOR_THINKING: u32 = 2048;

/// Makes the requests for the summary of a document.
#[derive(Debug)]
pub struct SummaryRequests {
    /// How much of the document a call takes.
    pub sizes: CallSizes,
    /// A request without its message.
    base: MessagesRequest,
    wanted: SummaryRequest,
    parts: PartPrompt,
}

// === impl SummaryRequests ===

impl SummaryRequests {
    /// Validates the settings of the summary of a document that holds at most `memory` bytes.
    pub fn read(
        settings: v1::SummarizeRequest,
        config: &ServiceConfig,
        memory: usize,
        wrong: &mut Violations,
    ) -> Self {
        check_is_without_document(&settings.text, &settings.pdf, wrong);
        let CheckedSettings { base, wanted } = CheckedSettings::read(settings, config, wrong);
        let documents = &config.documents;
        let max_tokens = base.max_tokens.unwrap_or_default();
        let today = Day::today();
        let part_tokens = u64::from(documents.part_tokens);
        SummaryRequests {
            sizes: CallSizes::of(&base.model, max_tokens, part_tokens, "", today).within(memory),
            parts: PartPrompt {
                words: documents.part_words,
                focus: wanted.focus().to_owned(),
            },
            wanted,
            base,
        }
    }

    /// Summarizes the whole document.
    pub fn of_whole(&self, text: &str) -> MessagesRequest {
        self.request(self.wanted.message(document::of_text(text)), 0)
    }

    /// Summarizes a part.
    pub fn of_part(&self, text: &str) -> MessagesRequest {
        self.request(self.parts.of_part(text), self.part_max_tokens())
    }

    /// Merges summaries, which others are merged with later.
    pub fn of_some(&self, summaries: &[&str]) -> MessagesRequest {
        self.request(self.parts.of_summaries(summaries), self.part_max_tokens())
    }

    /// Merges all summaries that are left.
    pub fn of_all(&self, summaries: &[&str]) -> MessagesRequest {
        let message = self.wanted.message_of_parts(&joined(summaries));
        self.request(message, 0)
    }

    /// Tokens that the summary of a part is expected to have.
    pub fn part_summary_tokens(&self) -> u64 {
        self.parts.tokens() / 2
    }

    /// Tokens that the summary of the whole is expected to have.
    pub fn summary_tokens(&self) -> u64 {
        u64::from(self.wanted.tokens()) / 2
    }

    /// Id of the model.
    pub fn model(&self) -> &str {
        &self.base.model
    }

    fn part_max_tokens(&self) -> u32 {
        let tokens = u32::try_from(self.parts.tokens()).unwrap_or(u32::MAX);
        tokens.saturating_add(ROOM_FOR_THINKING)
    }

    /// With at least these `max_tokens`.
    fn request(&self, message: InputMessage, max_tokens: u32) -> MessagesRequest {
        MessagesRequest {
            messages: vec![message],
            max_tokens: self.base.max_tokens.map(|it| it.max(max_tokens)),
            ..self.base.clone()
        }
    }
}

/// Tokens of an answer, but for the confidences: the label and a short reason.
const ANSWER: u64 = 40;

/// Tokens of a confidence in an answer.
const CONFIDENCE: u64 = 10;

/// Makes the requests for the labels of a document: those that Classify makes about a
/// text.
#[derive(Debug)]
pub struct ClassifyRequests {
    /// How much of the document a call takes.
    pub sizes: CallSizes,
    /// A request without its message.
    base: MessagesRequest,
    labels: usize,
}

// === impl ClassifyRequests ===

impl ClassifyRequests {
    /// Validates the settings, and takes the name of the model out of them. The document holds
    /// at most `memory` bytes.
    pub fn read(
        settings: &mut v1::ClassifyRequest,
        config: &ServiceConfig,
        memory: usize,
        wrong: &mut Violations,
    ) -> Self {
        check_is_without_document(&settings.text, &settings.pdf, wrong);
        let base = classify::classify_base(settings, config, wrong);
        let max_tokens = base.max_tokens.unwrap_or_default();
        let part_tokens = u64::from(config.documents.part_tokens);
        let prompt = match &base.system {
            Some(SystemPrompt::Text(text)) => text.as_str(),
            _ => "",
        };
        let sizes = CallSizes::of(&base.model, max_tokens, part_tokens, prompt, Day::today());
        if !sizes.have_room() {
            let problem = "must leave room for the document in the model's context window";
            wrong.add("labels", problem);
        }
        ClassifyRequests {
            sizes: sizes.within(memory),
            labels: settings.labels.len(),
            base,
        }
    }

    /// Asks about a text.
    pub fn of_text(&self, text: &str) -> MessagesRequest {
        Classifier::request(&self.base, text)
    }

    /// Tokens that an answer is expected to have.
    pub fn answer_tokens(&self) -> u64 {
        ANSWER + CONFIDENCE * self.labels as u64
    }

    /// Id of the model.
    pub fn model(&self) -> &str {
        &self.base.model
    }
}

/// Adds violations for what comes in chunks, as text.
fn check_is_without_document(text: &str, pdf: &[u8], wrong: &mut Violations) {
    if !text.is_empty() {
        wrong.add("text", "must be empty: the document comes in chunks");
    }
    if !pdf.is_empty() {
        wrong.add(
            "pdf",
            "must be empty: the document comes in chunks of text; send a PDF with Summarize or Classify",
        );
    }
}
