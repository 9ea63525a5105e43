//! Estimates the input tokens of a request from its size alone.
//!
//! The estimate only paces a call until the API has counted; that count
//! corrects it. So it must be fast and roughly right, and for text it is: about
//! four bytes of English are one token.

use super::request::{
    Content, DocumentSource, ImageSource, InputBlock, MessagesRequest, SystemPrompt,
};
use super::tools::Tool;

const BYTES_PER_TOKEN: usize = 4;

/// An image of the size that the API scales larger ones down to.
const TOKENS_PER_IMAGE: usize = 1600;

/// Base64 bytes of a PDF per token: a page is about 2,000 tokens, and about 80
/// kB of Base64.
const PDF_BYTES_PER_TOKEN: usize = 40;

/// The assumed tokens of a referenced document, whose size is not known.
const TOKENS_PER_REFERENCE: usize = 5000;

/// The approximate number of input tokens of a request.
pub fn input_tokens(request: &MessagesRequest) -> u32 {
    let system = match &request.system {
        None => 0,
        Some(SystemPrompt::Text(text)) => text_tokens(text),
        Some(SystemPrompt::Blocks(blocks)) => blocks.iter().map(block_tokens).sum(),
    };
    let messages: usize = request
        .messages
        .iter()
        .map(|message| content_tokens(&message.content))
        .sum();
    // The size of a schema is only known once it is serialized; compared to the
    // rest it is small.
    let tools = request.tools.iter().map(|tool| match tool {
        Tool::Custom(tool) => {
            let description = tool.description.as_deref().map_or(0, text_tokens);
            tool.name.len() / BYTES_PER_TOKEN + description + 50
        }
        Tool::Defined(tool) => text_tokens(tool.json.get()),
    });
    let extra = request.extra.as_ref().map_or(0, |it| text_tokens(it.get()));
    u32::try_from(system + messages + tools.sum::<usize>() + extra).unwrap_or(u32::MAX)
}

fn text_tokens(text: &str) -> usize {
    text.len().div_ceil(BYTES_PER_TOKEN)
}

fn content_tokens(content: &Content) -> usize {
    match content {
        Content::Text(text) => text_tokens(text),
        Content::Blocks(blocks) => blocks.iter().map(block_tokens).sum(),
    }
}

fn block_tokens(block: &InputBlock) -> usize {
    match block {
        InputBlock::Text { text, .. } => text_tokens(text),
        InputBlock::Image { source, .. } => match source {
            ImageSource::Base64 { .. } | ImageSource::Url { .. } | ImageSource::File { .. } => {
                TOKENS_PER_IMAGE
            }
        },
        InputBlock::Document { source, .. } => match source {
            DocumentSource::Base64 { data, .. } => data.len() / PDF_BYTES_PER_TOKEN,
            DocumentSource::Text { data, .. } => text_tokens(data),
            DocumentSource::Url { .. } | DocumentSource::File { .. } => TOKENS_PER_REFERENCE,
            DocumentSource::Content { content } => content_tokens(content),
        },
        InputBlock::SearchResult { content, .. } => content.iter().map(block_tokens).sum(),
        InputBlock::ToolResult { content, .. } => content.as_ref().map_or(0, content_tokens),
        InputBlock::Thinking { thinking, .. } => text_tokens(thinking),
        InputBlock::RedactedThinking { data } => text_tokens(data),
        // JSON of unknown, but small size.
        InputBlock::ToolUse { input, .. } | InputBlock::Other(input) => text_tokens(input.get()),
    }
}
