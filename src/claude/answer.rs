//! The response of `POST /v1/messages`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::value::RawValue;

/// A complete response.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Message {
    /// Id of the message, assigned by the API.
    pub id: String,
    /// The model that answered.
    pub model: String,
    /// The content, block by block.
    pub content: Vec<AnswerBlock>,
    /// Why the model stopped, as spelled by the API; absent until a stream
    /// ends.
    pub stop_reason: Option<String>,
    /// The stop sequence that the model generated.
    #[serde(default)]
    pub stop_sequence: Option<String>,
    /// Details of a refusal.
    #[serde(default)]
    pub stop_details: Option<StopDetails>,
    /// Tokens used by the call.
    pub usage: Usage,
}

impl Message {
    /// The text blocks, concatenated.
    pub fn text(&self) -> String {
        self.content
            .iter()
            .filter_map(|block| match block {
                AnswerBlock::Text { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }
}

/// One content block of a response.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AnswerBlock {
    /// Plain text.
    Text {
        /// Text of the block.
        text: String,
        /// Citations, each as the API sent it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<Box<RawValue>>,
    },
    /// The model's reasoning.
    Thinking {
        /// The reasoning.
        thinking: String,
        /// The API's signature over the reasoning.
        signature: String,
    },
    /// Encrypted reasoning.
    RedactedThinking {
        /// Opaque data, to be sent back unchanged.
        data: String,
    },
    /// The model requests a tool call.
    ToolUse {
        /// Id of this tool call.
        id: String,
        /// Name of the tool.
        name: String,
        /// Input of the tool: one JSON object, byte for byte as received.
        input: Box<RawValue>,
    },
    /// A block of a type that is unknown here.
    #[serde(untagged, serialize_with = "serialize_other")]
    Other {
        /// The `type` of the block.
        kind: String,
        /// The whole block as received, `type` included.
        json: Box<RawValue>,
    },
}

fn serialize_other<S: Serializer>(
    _kind: &String,
    json: &RawValue,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    json.serialize(serializer)
}

/// The `type` of a block, event or delta. It is read first and determines how
/// the rest is parsed. (Serde's own tagged enums would copy every value and
/// cannot keep raw JSON.)
#[derive(Deserialize)]
pub(super) struct Tag<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: std::borrow::Cow<'a, str>,
}

impl<'de> Deserialize<'de> for AnswerBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        read_block(raw).map_err(D::Error::custom)
    }
}

fn read_block(raw: &RawValue) -> serde_json::Result<AnswerBlock> {
    #[derive(Deserialize)]
    struct Text {
        text: String,
        citations: Option<Vec<Box<RawValue>>>,
    }
    #[derive(Deserialize)]
    struct Thinking {
        thinking: String,
        #[serde(default)]
        signature: String,
    }
    #[derive(Deserialize)]
    struct Redacted {
        data: String,
    }
    #[derive(Deserialize)]
    struct ToolUse {
        id: String,
        name: String,
        input: Box<RawValue>,
    }

    let json = raw.get();
    let tag: Tag<'_> = serde_json::from_str(json)?;
    Ok(match &*tag.kind {
        "text" => {
            let block: Text = serde_json::from_str(json)?;
            AnswerBlock::Text {
                text: block.text,
                citations: block.citations.unwrap_or_default(),
            }
        }
        "thinking" => {
            let block: Thinking = serde_json::from_str(json)?;
            AnswerBlock::Thinking {
                thinking: block.thinking,
                signature: block.signature,
            }
        }
        "redacted_thinking" => {
            let block: Redacted = serde_json::from_str(json)?;
            AnswerBlock::RedactedThinking { data: block.data }
        }
        "tool_use" => {
            let block: ToolUse = serde_json::from_str(json)?;
            AnswerBlock::ToolUse {
                id: block.id,
                name: block.name,
                input: block.input,
            }
        }
        _ => AnswerBlock::Other {
            kind: tag.kind.into_owned(),
            json: raw.to_owned(),
        },
    })
}

/// Details of why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopDetails {
    /// `refusal` is the only type so far.
    #[serde(rename = "type")]
    pub kind: String,
    /// Policy category, if there is one.
    #[serde(default)]
    pub category: Option<String>,
    /// Explanation for humans.
    #[serde(default)]
    pub explanation: Option<String>,
}

/// Tokens used. In a stream the counts are cumulative and come twice: at the
/// start, and at the end, where absent ones have not changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Input tokens neither read from nor written to the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Output tokens, thinking included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Input tokens written to the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_creation_input_tokens: Option<u64>,
    /// Input tokens read from the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_input_tokens: Option<u64>,
    /// Cache writes by lifetime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_creation: Option<CacheCreation>,
    /// Output tokens by kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens_details: Option<OutputTokensDetails>,
    /// `standard`, `priority` or `batch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
}

/// Cache writes by lifetime.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheCreation {
    /// Tokens cached for five minutes.
    pub ephemeral_5m_input_tokens: u64,
    /// Tokens cached for one hour.
    pub ephemeral_1h_input_tokens: u64,
}

/// Output tokens by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutputTokensDetails {
    /// Tokens spent on thinking.
    pub thinking_tokens: u64,
}

impl Usage {
    /// All input tokens: uncached, written to the cache and read from it.
    pub fn total_input_tokens(&self) -> u64 {
        self.input_tokens.unwrap_or(0)
            + self.cache_creation_input_tokens.unwrap_or(0)
            + self.cache_read_input_tokens.unwrap_or(0)
    }

    /// Overwrites every count that `later` has.
    pub fn update(&mut self, later: Usage) {
        fn take<T>(slot: &mut Option<T>, later: Option<T>) {
            if later.is_some() {
                *slot = later;
            }
        }
        take(&mut self.input_tokens, later.input_tokens);
        take(&mut self.output_tokens, later.output_tokens);
        take(
            &mut self.cache_creation_input_tokens,
            later.cache_creation_input_tokens,
        );
        take(
            &mut self.cache_read_input_tokens,
            later.cache_read_input_tokens,
        );
        take(&mut self.cache_creation, later.cache_creation);
        take(&mut self.output_tokens_details, later.output_tokens_details);
        take(&mut self.service_tier, later.service_tier);
    }
}
