//! The body of `POST /v1/messages` and `POST /v1/messages/count_tokens`.
//!
//! Fields that are `None` or empty are left out: the API refuses what it does
//! not know and fills in its own defaults for what is missing.

use super::raw::RawObject;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One JSON object with its keys in the order given: a schema.
pub type JsonObject = Map<String, Value>;

/// The body of a messages request. For `count_tokens` the fields that do not
/// change the count stay empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagesRequest {
    /// Model id.
    pub model: String,
    /// Upper limit of output tokens; required except for `count_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// System prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemPrompt>,
    /// Tools that the model may ask for.
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
    /// Effort and form of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_config: Option<OutputConfig>,
    /// The end user, for abuse detection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Which capacity serves the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    /// Marks the last block that can be cached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<CacheControl>,
    /// `true` asks for server-sent events.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stream: bool,
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: Content,
}

/// Who speaks.
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

/// A text, or blocks: the API takes both wherever there is content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Short for one text block.
    Text(String),
    /// Block by block.
    Blocks(Vec<InputBlock>),
}

/// A system prompt: a text, or text blocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SystemPrompt {
    /// Short for one text block.
    Text(String),
    /// Block by block; only [`InputBlock::Text`] is allowed here.
    Blocks(Vec<InputBlock>),
}

/// One block of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum InputBlock {
    /// Plain text.
    Text {
        /// The text.
        text: String,
        /// End of a prefix to be cached.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
        /// Citations of an earlier answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        citations: Option<Vec<RawObject>>,
    },
    /// A picture.
    Image {
        /// Where it is.
        source: ImageSource,
        /// End of a prefix to be cached.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    /// A PDF or text document.
    Document {
        /// Where it is.
        source: DocumentSource,
        /// Title shown to the model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// What is known about the document.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context: Option<String>,
        /// Whether the answer cites from it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        citations: Option<Citations>,
        /// End of a prefix to be cached.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    /// A passage found by the caller's own search.
    SearchResult {
        /// Where it is from.
        source: String,
        /// Title of the source.
        title: String,
        /// The passage; only [`InputBlock::Text`] is allowed here.
        content: Vec<InputBlock>,
        /// Whether the answer cites from it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        citations: Option<Citations>,
        /// End of a prefix to be cached.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    /// The model asked for a tool to be run.
    ToolUse {
        /// Id of this use.
        id: String,
        /// Name of the tool.
        name: String,
        /// Input of the tool.
        input: RawObject,
        /// End of a prefix to be cached.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    /// What running a tool gave.
    ToolResult {
        /// Id of the use.
        tool_use_id: String,
        /// The result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<Content>,
        /// Whether the tool failed.
        #[serde(default, skip_serializing_if = "is_false")]
        is_error: bool,
        /// End of a prefix to be cached.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    /// Reasoning of an earlier answer.
    Thinking {
        /// The reasoning.
        thinking: String,
        /// The API's signature over it.
        signature: String,
    },
    /// Encrypted reasoning of an earlier answer.
    RedactedThinking {
        /// Opaque.
        data: String,
    },
    /// A block of an earlier answer that is not mapped here, sent back as it
    /// came.
    #[serde(untagged)]
    Other(RawObject),
}

/// Where a picture is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ImageSource {
    /// In the request.
    Base64 {
        /// `image/jpeg`, `image/png`, `image/gif` or `image/webp`.
        media_type: String,
        /// The file in Base64.
        data: String,
    },
    /// At an address.
    Url {
        /// The address.
        url: String,
    },
    /// Uploaded before.
    File {
        /// Id of the file.
        file_id: String,
    },
}

/// Where a document is.
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
    /// A PDF at an address.
    Url {
        /// The address.
        url: String,
    },
    /// Uploaded before.
    File {
        /// Id of the file.
        file_id: String,
    },
}

/// Whether an answer cites from a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Citations {
    /// `true` to cite.
    pub enabled: bool,
}

/// End of a prefix to be cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum CacheControl {
    /// The only kind there is.
    Ephemeral {
        /// How long the prefix is kept; the API's default is five minutes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ttl: Option<CacheTtl>,
    },
}

/// How long a cached prefix is kept after its last use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CacheTtl {
    /// Five minutes.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// One hour.
    #[serde(rename = "1h")]
    OneHour,
}

/// A tool that the model may ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Name, unique in the request.
    pub name: String,
    /// What the tool does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of the input.
    pub input_schema: JsonObject,
    /// Whether inputs are guaranteed to match the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Example inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_examples: Vec<RawObject>,
    /// End of a prefix to be cached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<CacheControl>,
}

/// How the model chooses among the tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToolChoice {
    /// It decides whether to use one.
    Auto {
        /// At most one tool in a turn.
        #[serde(default, skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
    /// It has to use one.
    Any {
        /// Exactly one tool in a turn.
        #[serde(default, skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
    /// It has to use this one.
    Tool {
        /// Name of the tool.
        name: String,
        /// Exactly one tool in a turn.
        #[serde(default, skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
    /// It must not use any.
    None {},
}

/// Whether and how the model thinks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Thinking {
    /// The model decides when and how much.
    Adaptive {
        /// How thinking shows in the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        display: Option<ThinkingDisplay>,
    },
    /// Think with a budget.
    Enabled {
        /// At least 1,024 and less than `max_tokens`.
        budget_tokens: u32,
        /// How thinking shows in the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        display: Option<ThinkingDisplay>,
    },
    /// Short notes between tool calls only.
    BetweenTools {},
    /// No thinking.
    Disabled {},
}

/// How thinking shows in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingDisplay {
    /// As a summary.
    Summarized,
    /// Not at all.
    Omitted,
}

/// Effort and form of the answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputConfig {
    /// How much effort the model puts in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// The form that the answer has to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<OutputFormat>,
}

/// How much effort the model puts into its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// The least.
    Low,
    /// Balanced.
    Medium,
    /// Thorough.
    High,
    /// More than high.
    Xhigh,
    /// All that the model can do.
    Max,
}

/// The form that an answer has to have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum OutputFormat {
    /// JSON that matches a schema.
    JsonSchema {
        /// The schema.
        schema: JsonObject,
    },
}

/// About the caller's own user.
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
    /// Priority where the organization has it.
    Auto,
    /// Standard only.
    StandardOnly,
}

fn is_false(value: &bool) -> bool {
    !value
}
