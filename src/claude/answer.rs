//! The response of `POST /v1/messages`.

pub use super::usage::{CacheCreation, OutputTokensDetails, ServerToolUse, Usage};
use super::{
    extra::Extra,
    json_string,
    lenient::{Object, body_text},
    raw::JsonText,
    rest::Rest,
    tool_origin::ToolOrigin,
    unplaced::Unplaced,
    unreadable::Unreadable,
};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::fmt;

/// A complete response.
#[derive(Debug, Clone, Default, Serialize)]
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
    pub stop_sequence: Option<String>,
    /// Details of a refusal.
    pub stop_details: Option<StopDetails>,
    /// Tokens used by the call.
    pub usage: Usage,
    /// The fields that are unknown here.
    #[serde(skip)]
    pub rest: Option<Box<Rest>>,
    /// What a stream brought beside the content; empty for a response in one piece.
    #[serde(skip)]
    pub unplaced: Unplaced,
}

impl Message {
    /// Reads a response body. Only its content must have the documented form.
    ///
    /// # Errors
    /// When the body is not a JSON object, has no content, or a block of the
    /// content cannot be read.
    pub fn read(body: &[u8]) -> Result<Message, Unreadable> {
        let (body, mut repaired) = (body_text(body), String::new());
        let object = Object::read_repaired(&body, &mut repaired)
            .map_err(|error| Unreadable::not_an_object("the body", &error))?;
        let is_empty_message = || object.get("content").is_none() && object.kind() == "message";
        let blocks = match object.list("content") {
            Some(blocks) => blocks,
            None if is_empty_message() => Vec::new(),
            None => return Err(Unreadable::at("content", "is not a list")),
        };
        let blocks = blocks.into_iter().enumerate();
        let content = blocks.map(|(index, block)| AnswerBlock::read(block, index));
        Ok(Message {
            content: content.collect::<Result<_, _>>()?,
            ..Message::without_content(&object)
        })
    }

    /// Everything except the content; every field is optional.
    pub(super) fn without_content(object: &Object<'_>) -> Message {
        let usage = object.object("usage");
        Message {
            id: object.text("id").unwrap_or_default(),
            model: object.text("model").unwrap_or_default(),
            content: Vec::new(),
            stop_reason: object.text("stop_reason"),
            stop_sequence: object.text("stop_sequence"),
            stop_details: StopDetails::read(object),
            usage: usage.as_ref().map(Usage::read).unwrap_or_default(),
            rest: Rest::read(object, usage.as_ref()),
            unplaced: Unplaced::default(),
        }
    }

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
        /// The fields that are unknown here.
        #[serde(skip)]
        extra: Extra,
    },
    /// The model's reasoning.
    Thinking {
        /// The reasoning.
        thinking: String,
        /// The API's signature over the reasoning.
        signature: String,
        /// The fields that are unknown here.
        #[serde(skip)]
        extra: Extra,
    },
    /// Encrypted reasoning.
    RedactedThinking {
        /// Opaque data, to be sent back unchanged.
        data: String,
        /// The fields that are unknown here.
        #[serde(skip)]
        extra: Extra,
    },
    /// The model requests a tool call.
    ToolUse {
        /// Id of this tool call.
        id: String,
        /// Name of the tool.
        name: String,
        /// Input of the tool: one JSON object, byte for byte as received, and as
        /// far as it was received.
        input: JsonText,
        /// Who called it, and its toolset.
        #[serde(flatten)]
        origin: Option<Box<ToolOrigin>>,
        /// The fields that are unknown here.
        #[serde(skip)]
        extra: Extra,
    },
    /// A file that a tool of the API made.
    ContainerUpload {
        /// Id of the file.
        file_id: String,
        /// The fields that are unknown here.
        #[serde(skip)]
        extra: Extra,
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

impl AnswerBlock {
    /// Reads the block at a position in the content. What no field here has is
    /// carried as [`AnswerBlock::Other`].
    ///
    /// # Errors
    /// When its text is not a string.
    pub(super) fn read(raw: &RawValue, position: usize) -> Result<Self, Unreadable> {
        let other = |kind| AnswerBlock::Other {
            kind,
            json: raw.to_owned(),
        };
        let Ok(object) = Object::read(raw.get()) else {
            return Ok(other(String::new()));
        };
        let kind = object.kind();
        let extra = Extra::of(&kind, &object);
        Ok(match &*kind {
            "text" => AnswerBlock::Text {
                text: content_text(&object, "text", position)?,
                citations: citations(&object),
                extra,
            },
            "thinking" => AnswerBlock::Thinking {
                thinking: content_text(&object, "thinking", position)?,
                signature: object.text("signature").unwrap_or_default(),
                extra,
            },
            "redacted_thinking" => AnswerBlock::RedactedThinking {
                data: object.text("data").unwrap_or_default(),
                extra,
            },
            "tool_use" => AnswerBlock::ToolUse {
                id: object.text("id").unwrap_or_default(),
                name: object.text("name").unwrap_or_default(),
                input: object
                    .get("input")
                    .map_or_else(JsonText::empty_object, |input| {
                        JsonText::from(input.to_owned())
                    }),
                origin: ToolOrigin::read(&object),
                extra,
            },
            "container_upload" => AnswerBlock::ContainerUpload {
                file_id: object.text("file_id").unwrap_or_default(),
                extra,
            },
            _ => other(kind.into_owned()),
        })
    }
}

/// A text of the content; one that is missing or `null` is empty.
fn content_text(object: &Object<'_>, field: &str, position: usize) -> Result<String, Unreadable> {
    let Some(json) = object.get(field) else {
        return Ok(String::new());
    };
    json_string::decode(json.get()).ok_or_else(|| not_a_string(position, field))
}

/// The error for a part of the content that must be a string.
pub(super) fn not_a_string(position: usize, field: impl fmt::Display) -> Unreadable {
    Unreadable::at(
        format_args!("content[{position}].{field}"),
        "is not a string",
    )
}

fn citations(block: &Object<'_>) -> Vec<Box<RawValue>> {
    let citations = block.list("citations").unwrap_or_default();
    citations.into_iter().map(ToOwned::to_owned).collect()
}

/// Details of why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StopDetails {
    /// `refusal` is the only type so far.
    #[serde(rename = "type")]
    pub kind: String,
    /// Policy category, if there is one.
    pub category: Option<String>,
    /// Explanation for humans.
    pub explanation: Option<String>,
}

impl StopDetails {
    /// The details in a message or in its end; `None` if there are none.
    pub(super) fn read(end: &Object<'_>) -> Option<Self> {
        let details = end.object("stop_details")?;
        Some(StopDetails {
            kind: details.text("type").unwrap_or_default(),
            category: details.text("category"),
            explanation: details.text("explanation"),
        })
    }
}
