//! The body of `POST /v1/messages` and `POST /v1/messages/count_tokens`.
//!
//! Fields that are `None` or empty are omitted: the API rejects unknown fields
//! and applies its own defaults to missing ones.

pub use super::cache_control::{CacheControl, CacheTtl};
use super::{
    lenient::Object,
    raw::RawObject,
    tools::{Tool, ToolChoice},
};
use serde::{
    Deserialize, Serialize, Serializer,
    ser::{Error, SerializeMap},
};

/// The body of a messages request. For `count_tokens`, fields that do not
/// affect the count stay empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagesRequest {
    /// Id of the model.
    pub model: String,
    /// Maximum number of output tokens; required except for `count_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemPrompt>,
    /// Tools that the model may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// How the model chooses among the tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// The conversation.
    pub messages: Vec<InputMessage>,
    /// Texts at which the model stops.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
    /// Whether and how the model thinks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// Effort and output format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_config: Option<OutputConfig>,
    /// The end user, for abuse detection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Which capacity serves the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    /// Caches up to the last block that can be cached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<CacheControl>,
    /// `true` requests server-sent events.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stream: bool,
    /// Fields that have none here, which are merged into the body when it is written
    /// ([`super::merge_fields`]).
    #[serde(skip)]
    pub extra: Option<RawObject>,
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputMessage {
    /// The author of the message.
    pub role: Role,
    /// Content of the message.
    pub content: Content,
    /// Fields that have none here.
    #[serde(skip)]
    pub extra: Option<RawObject>,
}

impl Serialize for InputMessage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut message = serializer.serialize_map(None)?;
        message.serialize_entry("role", &self.role)?;
        message.serialize_entry("content", &self.content)?;
        if let Some(extra) = &self.extra {
            let extra = Object::read(extra.get()).map_err(S::Error::custom)?;
            for (name, value) in extra.fields() {
                message.serialize_entry(name, value)?;
            }
        }
        message.end()
    }
}

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// An instruction in the middle of a conversation.
    System,
}

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
    /// A block of an earlier response that has no type here, sent back as
    /// received.
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

/// Whether and how the model thinks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Thinking {
    /// The model decides when and how much to think.
    Adaptive {
        /// How thinking appears in the response.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        display: Option<ThinkingDisplay>,
    },
    /// Thinking with a token budget.
    Enabled {
        /// At least 1,024 and less than `max_tokens`.
        budget_tokens: u32,
        /// How thinking appears in the response.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        display: Option<ThinkingDisplay>,
    },
    /// Only short notes between tool calls.
    BetweenTools {},
    /// No thinking.
    Disabled {},
}

/// How thinking appears in the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingDisplay {
    /// As a summary of the reasoning.
    Summarized,
    /// Omitted from the response.
    Omitted,
}

/// Effort and output format.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputConfig {
    /// How much effort the model puts into its response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// The required format of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<OutputFormat>,
}

/// How much effort the model puts into its response, the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// The lowest level.
    Low,
    /// A balance of quality and cost.
    Medium,
    /// A thorough response.
    High,
    /// More than high, less than maximum.
    Xhigh,
    /// The highest level.
    Max,
}

/// The required format of a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum OutputFormat {
    /// JSON that matches a schema.
    JsonSchema {
        /// JSON Schema of the output.
        schema: RawObject,
    },
}

/// Information about the caller's own user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Opaque id of the end user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

/// Which capacity serves a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    /// Priority capacity, if the organization has it.
    Auto,
    /// Standard capacity only.
    StandardOnly,
}

fn is_false(value: &bool) -> bool {
    !value
}
