//! An estimate of a request's input tokens, from its size alone.
//!
//! It is only what a call is held back for before the API has counted; the
//! count corrects it. So it has to be quick and roughly right, and for text it
//! is: about four bytes of English are a token.

use super::request::{
    Content, DocumentSource, ImageSource, InputBlock, MessagesRequest, SystemPrompt,
};

const BYTES_PER_TOKEN: usize = 4;

/// A picture of the size that the API scales larger ones down to.
const TOKENS_PER_IMAGE: usize = 1600;

/// Base64 bytes of a PDF to a token: a page is some 2,000 tokens, and some
/// 80 kB of Base64.
const PDF_BYTES_PER_TOKEN: usize = 40;

/// What a document elsewhere, whose size is not known, is taken for.
const TOKENS_PER_REFERENCE: usize = 5000;

/// Roughly how many input tokens a request has.
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
    // Schemas have no size that is known without writing them; theirs is small
    // beside the rest.
    let tools = request.tools.iter().map(|tool| {
        tool.name.len() / BYTES_PER_TOKEN + tool.description.as_deref().map_or(0, text_tokens) + 50
    });
    u32::try_from(system + messages + tools.sum::<usize>()).unwrap_or(u32::MAX)
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
        },
        InputBlock::SearchResult { content, .. } => content.iter().map(block_tokens).sum(),
        InputBlock::ToolResult { content, .. } => content.as_ref().map_or(0, content_tokens),
        InputBlock::Thinking { thinking, .. } => text_tokens(thinking),
        InputBlock::RedactedThinking { data } => text_tokens(data),
        // JSON of no known size, and small.
        InputBlock::ToolUse { input, .. } | InputBlock::Other(input) => text_tokens(input.get()),
    }
}
