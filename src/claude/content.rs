//! The content of the messages of a request, and of its system prompt.

use super::{cache_control::CacheControl, raw::RawObject, tool_origin::ToolCaller};
use serde::{Deserialize, Serialize};

/// A text or a list of blocks: the API accepts both wherever there is content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Short for a single text block.
    Text(String),
    /// A list of blocks.
    Blocks(Vec<InputBlock>),
}

/// A system prompt: a text, or text blocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SystemPrompt {
    /// Short for a single text block.
    Text(String),
    /// A list of blocks; only [`InputBlock::Text`] is allowed here.
    Blocks(Vec<InputBlock>),
}

/// One content block of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum InputBlock {
    /// Plain text.
    Text {
        /// Text of the block.
        text: String,
        /// End of a cached prefix.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
        /// Citations of an earlier response.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        citations: Option<Vec<RawObject>>,
    },
    /// An image.
    Image {
        /// Where the image comes from.
        source: ImageSource,
        /// End of a cached prefix.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
        /// What happens to it before the model sees it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transformations: Option<ImageTransformations>,
    },
    /// A PDF or text document.
    Document {
        /// Where the document comes from.
        source: DocumentSource,
        /// Title shown to the model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// Background information about the document.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context: Option<String>,
        /// Whether the response may cite it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        citations: Option<Citations>,
        /// End of a cached prefix.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    /// A passage found by the caller's own search.
    SearchResult {
        /// URL or name of the source.
        source: String,
        /// Title of the source.
        title: String,
        /// The passage; only [`InputBlock::Text`] is allowed here.
        content: Vec<InputBlock>,
        /// Whether the response may cite it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        citations: Option<Citations>,
        /// End of a cached prefix.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    /// A tool call that the model requested.
    ToolUse {
        /// Id of this tool call.
        id: String,
        /// Name of the tool.
        name: String,
        /// Input of the tool.
        input: RawObject,
        /// End of a cached prefix.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
        /// Who called the tool.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caller: Option<ToolCaller>,
        /// The toolset that it is a member of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        toolset_name: Option<String>,
    },
    /// The result of a tool call.
    ToolResult {
        /// Id of the tool call.
        tool_use_id: String,
        /// Output of the tool.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<Content>,
        /// Whether the tool failed.
        #[serde(default, skip_serializing_if = "is_false")]
        is_error: bool,
        /// End of a cached prefix.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
        /// The toolset that the tool is a member of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        toolset_name: Option<String>,
    },
    /// Reasoning of an earlier response.
    Thinking {
        /// The reasoning.
        thinking: String,
        /// The API's signature over the reasoning.
        signature: String,
    },
    /// Encrypted reasoning of an earlier response.
    RedactedThinking {
        /// Opaque data, sent back unchanged.
        data: String,
    },
    /// A block that nothing here looks into: one of an earlier response that has no
    /// type here, sent back as received, or a [`GivenBlock`](super::given::GivenBlock).
    #[serde(untagged)]
    Other(RawObject),
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ImageSource {
    /// An image in the request itself.
    Base64 {
        /// `image/jpeg`, `image/png`, `image/gif` or `image/webp`.
        media_type: String,
        /// The file in Base64.
        data: String,
    },
    /// An image at a URL.
    Url {
        /// URL of the image.
        url: String,
    },
    /// An image that was uploaded before.
    File {
        /// Id of the uploaded file.
        file_id: String,
    },
}

/// What happens to an image before the model sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageTransformations {
    /// What happens to one that is too large for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oversized_image: Option<OversizedImage>,
}

/// What happens to an image that is too large for the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OversizedImage {
    /// It is scaled down.
    Downsize,
    /// The request is rejected.
    Error,
}

/// Where a document comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum DocumentSource {
    /// A PDF in the request.
    Base64 {
        /// `application/pdf`.
        media_type: String,
        /// The file in Base64.
        data: String,
    },
    /// Plain text in the request.
    Text {
        /// `text/plain`.
        media_type: String,
        /// The text.
        data: String,
    },
    /// A PDF at a URL.
    Url {
        /// URL of the PDF.
        url: String,
    },
    /// A document that was uploaded before.
    File {
        /// Id of the uploaded file.
        file_id: String,
    },
    /// Parts, each of which is cited as a whole.
    Content {
        /// The parts; only [`InputBlock::Text`] and [`InputBlock::Image`] are allowed
        /// here.
        content: Content,
    },
}

/// Whether a response may cite a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Citations {
    /// `true` enables citations.
    pub enabled: bool,
}

impl InputBlock {
    /// Its mark of what the API caches. That of what is carried as JSON is not looked for.
    pub fn cache_control(&self) -> Option<CacheControl> {
        match self {
            InputBlock::Text { cache_control, .. }
            | InputBlock::Image { cache_control, .. }
            | InputBlock::Document { cache_control, .. }
            | InputBlock::SearchResult { cache_control, .. }
            | InputBlock::ToolUse { cache_control, .. }
            | InputBlock::ToolResult { cache_control, .. } => *cache_control,
            InputBlock::Thinking { .. }
            | InputBlock::RedactedThinking { .. }
            | InputBlock::Other(_) => None,
        }
    }

    /// Its text, if it is nothing but text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            InputBlock::Text {
                text,
                citations: None,
                ..
            } => Some(text),
            _ => None,
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
