//! The body of `POST /v1/messages` and `POST /v1/messages/count_tokens`.
//!
//! Fields that are `None` or empty are omitted: the API rejects unknown fields
//! and applies its own defaults to missing ones.

pub use super::{
    cache_control::{CacheControl, CacheTtl},
    content::{Citations, Content, DocumentSource, ImageSource, InputBlock, SystemPrompt},
};
use super::{
    container::RequestedContainer,
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
    /// Id of the model. It stands first: hosts that have it elsewhere are sent the rest
    /// of the body as it is.
    pub model: String,
    /// `true` requests server-sent events.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stream: bool,
    /// Effort and output format. They follow here, since another model than the one that
    /// is asked for may not accept the effort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_config: Option<OutputConfig>,
    /// Maximum number of output tokens; required except for `count_tokens`. 0 only fills
    /// the cache.
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
    /// The end user, for abuse detection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Which capacity serves the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    /// Caches up to the last block that can be cached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<CacheControl>,
    /// The container in which the API's tools run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<RequestedContainer>,
    /// What the API reports of its cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<Diagnostics>,
    /// The region where the model runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_geo: Option<String>,
    /// How fast the model answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
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

/// What the API reports of its cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagnostics {
    /// Id of the response to compare with; `null` for the first one.
    #[serde(default)]
    pub previous_message_id: Option<String>,
}

/// How fast the model answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speed {
    /// The usual speed.
    Standard,
    /// More output tokens per second, at a higher price.
    Fast,
}

fn is_false(value: &bool) -> bool {
    !value
}
