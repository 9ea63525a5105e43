//! An estimate of tokens: about four characters each.

use crate::claude::{
    request::{Content, DocumentSource, InputBlock, MessagesRequest, SystemPrompt},
    tools::Tool,
};

/// Tokens of a message in addition to its content.
const PER_MESSAGE: u64 = 4;
/// A picture of about a megapixel.
const PER_PICTURE: u64 = 1600;
/// A document whose text is not in the request.
const PER_DOCUMENT: u64 = 3000;

/// Tokens of a text.
pub(super) fn of_text(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(4)
}

/// Input tokens of a whole request.
pub(super) fn of_request(request: &MessagesRequest) -> u64 {
    let tools: u64 = request.tools.iter().map(of_tool).sum();
    let system = request.system.as_ref().map_or(0, of_system);
    let messages: u64 = request
        .messages
        .iter()
        .map(|message| PER_MESSAGE + of_content(&message.content))
        .sum();
    tools + system + messages
}

/// Tokens of a tool's definition.
pub(super) fn of_tool(tool: &Tool) -> u64 {
    match tool {
        Tool::Custom(tool) => {
            let description = tool.description.as_deref().unwrap_or_default();
            let schema = serde_json::to_string(&tool.input_schema).unwrap_or_default();
            of_text(&tool.name) + of_text(description) + of_text(&schema)
        }
        Tool::Defined(tool) => of_text(tool.json.get()),
    }
}

fn of_system(system: &SystemPrompt) -> u64 {
    match system {
        SystemPrompt::Text(text) => of_text(text),
        SystemPrompt::Blocks(blocks) => blocks.iter().map(of_block).sum(),
    }
}

fn of_content(content: &Content) -> u64 {
    match content {
        Content::Text(text) => of_text(text),
        Content::Blocks(blocks) => blocks.iter().map(of_block).sum(),
    }
}

/// Tokens of one content block.
pub(super) fn of_block(block: &InputBlock) -> u64 {
    match block {
        InputBlock::Text { text, .. } => of_text(text),
        InputBlock::Image { .. } => PER_PICTURE,
        InputBlock::Document {
            source: DocumentSource::Text { data, .. },
            ..
        } => of_text(data),
        InputBlock::Document {
            source: DocumentSource::Content { content },
            ..
        } => of_content(content),
        InputBlock::Document { .. } => PER_DOCUMENT,
        InputBlock::SearchResult { content, .. } => content.iter().map(of_block).sum(),
        InputBlock::ToolUse { name, input, .. } => of_text(name) + of_text(input.get()),
        InputBlock::ToolResult { content, .. } => content.as_ref().map_or(1, of_content),
        InputBlock::Thinking { thinking, .. } => of_text(thinking),
        InputBlock::RedactedThinking { data } => of_text(data),
        InputBlock::Other(block) => of_text(block.get()),
    }
}
