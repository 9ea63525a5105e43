//! The shape of a request: what about it the API may limit by itself.
//!
//! The API has limits of their own for long prompts and for single features, and
//! no header of a 429 says which limit it was. What it says about a request is
//! therefore said of requests of the same shape only: a caller must not stop the
//! others by what it asks.

use super::LimitKind;
use crate::claude::request::{
    Content, DocumentSource, ImageSource, InputBlock, MessagesRequest, Speed, SystemPrompt,
};

/// Input tokens above which the API may apply the limits of long-context
/// requests instead of the standard ones.
/// Source: <https://docs.claude.com/en/api/rate-limits#long-context-rate-limits>
const LONG_CONTEXT: u32 = 200_000;

/// Where the classes of the input end, in tokens.
const INPUT_CLASSES: [u32; 7] = [
    10_000,
    25_000,
    50_000,
    100_000,
    LONG_CONTEXT,
    400_000,
    800_000,
];

/// Where the classes of `max_tokens` end.
const OUTPUT_CLASSES: [u32; 7] = [1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536];

const IMAGE: u32 = 1;
const DOCUMENT: u32 = 1 << 1;
const URL: u32 = 1 << 2;
const FILE: u32 = 1 << 3;
const TOOLS: u32 = 1 << 4;
const THINKING: u32 = 1 << 5;
const EFFORT: u32 = 1 << 6;
const FORMAT: u32 = 1 << 7;
const SERVICE_TIER: u32 = 1 << 8;
/// A block that has no type here, such as that of a server tool.
const OTHER: u32 = 1 << 9;
const FAST: u32 = 1 << 10;
const REGION: u32 = 1 << 11;
const CONTAINER: u32 = 1 << 12;

/// The shape of a request: the classes of its sizes, and the features that it
/// uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RequestShape {
    input: u8,
    output: u8,
    features: u32,
}

// === impl RequestShape ===

impl RequestShape {
    /// The shape of a request with this estimate of its input tokens.
    pub fn of(request: &MessagesRequest, input_tokens: u32) -> Self {
        let output_config = request.output_config.as_ref();
        let has = |is_used: bool, feature: u32| if is_used { feature } else { 0 };
        let mut features = has(!request.tools.is_empty(), TOOLS)
            | has(request.thinking.is_some(), THINKING)
            | has(output_config.is_some_and(|it| it.effort.is_some()), EFFORT)
            | has(output_config.is_some_and(|it| it.format.is_some()), FORMAT)
            | has(request.service_tier.is_some(), SERVICE_TIER)
            | has(request.speed == Some(Speed::Fast), FAST)
            | has(request.inference_geo.is_some(), REGION)
            | has(request.container.is_some(), CONTAINER);
        if let Some(SystemPrompt::Blocks(blocks)) = &request.system {
            features |= of_blocks(blocks);
        }
        for message in &request.messages {
            features |= of_content(&message.content);
        }
        RequestShape {
            input: class(input_tokens, &INPUT_CLASSES),
            output: class(request.max_tokens.unwrap_or(0), &OUTPUT_CLASSES),
            features,
        }
    }

    /// Which limits may apply, by the size of the input.
    pub fn limits(self) -> LimitKind {
        if self.input > class(LONG_CONTEXT, &INPUT_CLASSES) {
            LimitKind::LongContext
        } else {
            LimitKind::Standard
        }
    }

    /// Whether the request refers to what only one account has: files, containers, the
    /// results of server tools.
    pub fn is_bound(self) -> bool {
        self.features & (FILE | CONTAINER | OTHER) != 0
    }

    /// Identifies the shape in all replicas.
    pub fn id(self) -> u32 {
        (self.features << 8) | (u32::from(self.input) << 4) | u32::from(self.output)
    }
}

/// The first class whose end is not exceeded.
fn class(amount: u32, ends: &[u32]) -> u8 {
    ends.iter().map(|end| u8::from(amount > *end)).sum()
}

fn of_content(content: &Content) -> u32 {
    match content {
        Content::Text(_) => 0,
        Content::Blocks(blocks) => of_blocks(blocks),
    }
}

fn of_blocks(blocks: &[InputBlock]) -> u32 {
    blocks.iter().map(of_block).fold(0, |all, one| all | one)
}

fn of_block(block: &InputBlock) -> u32 {
    match block {
        InputBlock::Image { source, .. } => {
            IMAGE
                | match source {
                    ImageSource::Base64 { .. } => 0,
                    ImageSource::Url { .. } => URL,
                    ImageSource::File { .. } => FILE,
                }
        }
        InputBlock::Document { source, .. } => {
            DOCUMENT
                | match source {
                    DocumentSource::Base64 { .. } | DocumentSource::Text { .. } => 0,
                    DocumentSource::Url { .. } => URL,
                    DocumentSource::File { .. } => FILE,
                    DocumentSource::Content { content } => of_content(content),
                }
        }
        InputBlock::ToolResult { content, .. } => content.as_ref().map_or(0, of_content),
        InputBlock::Other(_) => OTHER,
        InputBlock::Text { .. }
        | InputBlock::SearchResult { .. }
        | InputBlock::ToolUse { .. }
        | InputBlock::Thinking { .. }
        | InputBlock::RedactedThinking { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(change: impl FnOnce(&mut serde_json::Value)) -> MessagesRequest {
        let hello = json!([{"role": "user", "content": "hello"}]);
        let mut body = json!({"model": "m", "max_tokens": 1000, "messages": hello});
        change(&mut body);
        serde_json::from_value(body).unwrap()
    }

    fn shape(change: impl FnOnce(&mut serde_json::Value)) -> RequestShape {
        RequestShape::of(&request(change), 10)
    }

    #[test]
    fn what_the_api_may_limit_by_itself_has_a_shape_of_its_own() {
        let content = |block: serde_json::Value| {
            shape(|body| body["messages"][0]["content"] = json!([block]))
        };
        let image = |source| content(json!({"type": "image", "source": source}));
        let document = |source| content(json!({"type": "document", "source": source}));
        let shapes = [
            shape(|_| {}),
            shape(|body| body["max_tokens"] = json!(64_000)),
            shape(|body| body["tools"] = json!([{"name": "t", "input_schema": {}}])),
            shape(|body| body["thinking"] = json!({"type": "adaptive"})),
            shape(|body| body["output_config"] = json!({"effort": "max"})),
            shape(|body| body["service_tier"] = json!("auto")),
            shape(|body| body["speed"] = json!("fast")),
            shape(|body| body["inference_geo"] = json!("us")),
            shape(|body| body["container"] = json!("c")),
            image(json!({"type": "base64", "media_type": "image/png", "data": ""})),
            image(json!({"type": "url", "url": "u"})),
            document(json!({"type": "url", "url": "u"})),
            document(json!({"type": "file", "file_id": "f"})),
            content(json!({"type": "server_tool_use", "id": "i"})),
            RequestShape::of(&request(|_| {}), 150_000),
            RequestShape::of(&request(|_| {}), 250_000),
        ];
        for (index, one) in shapes.iter().enumerate() {
            for other in &shapes[..index] {
                assert_ne!(one, other);
                assert_ne!(one.id(), other.id());
            }
        }
        assert_eq!(shape(|_| {}), shape(|body| body["max_tokens"] = json!(500)));
    }

    #[test]
    fn a_long_context_begins_above_200_000_tokens() {
        let of = |tokens| RequestShape::of(&request(|_| {}), tokens);
        assert_eq!(of(200_000).limits(), LimitKind::Standard);
        assert_eq!(of(200_001).limits(), LimitKind::LongContext);
    }
}
