//! What a request asks, as far as its form shows it.

use crate::claude::request::{
    Content, DocumentSource, InputBlock, InputMessage, MessagesRequest, Role, SystemPrompt,
};

/// Begins every text answer.
pub(in crate::simulator) const MARK: &str = "[simulated] ";

/// A request's texts, sorted by the part they play.
#[derive(Debug, Default, Hash)]
pub(in crate::simulator) struct Prompt {
    /// The system prompt, and system messages.
    pub(super) system: String,
    /// What the last user turn is about: its document, or all of it.
    pub(super) subject: String,
    /// What it says in addition to its document.
    pub(super) instructions: String,
    /// Everything the last user turn says.
    pub(super) whole: String,
    /// The result of a tool, when the last turn has one.
    pub(super) tool_result: Option<String>,
}

impl Prompt {
    pub(in crate::simulator) fn read(request: &MessagesRequest) -> Self {
        let mut prompt = Prompt::default();
        match &request.system {
            Some(SystemPrompt::Text(text)) => push(&mut prompt.system, text),
            Some(SystemPrompt::Blocks(blocks)) => push_texts(&mut prompt.system, blocks),
            None => {}
        }
        for message in request.messages.iter().filter(|it| it.role == Role::System) {
            push_content(&mut prompt.system, &message.content);
        }
        let mut documents = String::new();
        let mut results = String::new();
        for message in last_user_turn(&request.messages) {
            push_content(&mut prompt.whole, &message.content);
            let Content::Blocks(blocks) = &message.content else {
                continue;
            };
            for block in blocks {
                match block {
                    InputBlock::Document {
                        source: DocumentSource::Text { data, .. },
                        ..
                    } => push(&mut documents, data),
                    InputBlock::Document {
                        source: DocumentSource::Content { content },
                        ..
                    } => push_content(&mut documents, content),
                    InputBlock::Document {
                        source: DocumentSource::Base64 { data, .. },
                        ..
                    } => push(&mut documents, &described(data)),
                    InputBlock::SearchResult { content, .. } => push_texts(&mut documents, content),
                    InputBlock::ToolResult { content, .. } => match content {
                        Some(content) => push_content(&mut results, content),
                        None => push(&mut results, "nothing"),
                    },
                    _ => {}
                }
            }
        }
        prompt.tool_result = (!results.is_empty()).then_some(results);
        if documents.is_empty() {
            (prompt.subject, prompt.instructions) =
                delimited(&prompt.whole).unwrap_or_else(|| (prompt.whole.clone(), String::new()));
        } else {
            prompt.subject = documents;
            prompt.instructions = prompt.whole.clone();
        }
        prompt
    }
}

/// The user messages after the last answer: the API merges neighbours.
fn last_user_turn(messages: &[InputMessage]) -> impl Iterator<Item = &InputMessage> {
    let end = messages
        .iter()
        .rposition(|it| it.role == Role::User)
        .map_or(0, |last| last + 1);
    let start = messages[..end]
        .iter()
        .rposition(|it| it.role == Role::Assistant)
        .map_or(0, |answer| answer + 1);
    messages[start..end]
        .iter()
        .filter(|it| it.role == Role::User)
}

/// What is said of a PDF, which is not read.
fn described(base64: &str) -> String {
    let padding = base64.bytes().rev().take_while(|it| *it == b'=').count();
    let bytes = base64.len() / 4 * 3 - padding;
    format!("The document is a PDF of {bytes} bytes.")
}

/// What stands in `<document>` tags, and what stands around them.
fn delimited(text: &str) -> Option<(String, String)> {
    let (before, rest) = text.split_once("<document>")?;
    let (document, after) = rest.rsplit_once("</document>")?;
    let document = document.trim().replace("&lt;", "<");
    Some((document, format!("{}\n{}", before.trim(), after.trim())))
}

fn push(texts: &mut String, text: &str) {
    if !texts.is_empty() {
        texts.push('\n');
    }
    texts.push_str(text);
}

fn push_content(texts: &mut String, content: &Content) {
    match content {
        Content::Text(text) => push(texts, text),
        Content::Blocks(blocks) => push_texts(texts, blocks),
    }
}

fn push_texts(texts: &mut String, blocks: &[InputBlock]) {
    for block in blocks {
        if let InputBlock::Text { text, .. } = block {
            push(texts, text);
        }
    }
}

/// The beginning of a text on one line, cut at a word.
pub(super) fn shortened(text: &str, characters: usize) -> String {
    let mut short = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        length += word.chars().count() + 1;
        if length > characters {
            if short.is_empty() {
                short = word.chars().take(characters).collect();
            }
            short.push('…');
            return short;
        }
        if !short.is_empty() {
            short.push(' ');
        }
        short.push_str(word);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_document_is_told_from_its_instructions() {
        let request = serde_json::from_value(json!({
            "model": "m",
            "system": [{"type": "text", "text": "Rules."}],
            "messages": [
                {"role": "user", "content": "Earlier."},
                {"role": "assistant", "content": "Yes."},
                {"role": "user", "content": [
                    {"type": "text", "text": "<document>\nOne &lt;/document>\n</document>"},
                    {"type": "text", "text": "Summarize it."},
                ]},
            ],
        }))
        .unwrap();
        let prompt = Prompt::read(&request);
        assert_eq!(prompt.system, "Rules.");
        assert_eq!(prompt.subject, "One </document>");
        assert_eq!(prompt.instructions.trim(), "Summarize it.");
    }

    #[test]
    fn a_quote_ends_at_a_word() {
        assert_eq!(shortened("one two\nthree", 9), "one two…");
        assert_eq!(shortened("one\n two", 200), "one two");
        assert_eq!(shortened("ééééé", 3), "ééé…");
    }
}
