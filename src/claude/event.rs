//! The events of a streamed response.

use super::{
    answer::{AnswerBlock, Message, StopDetails, Tag, Usage},
    error::ErrorBody,
    sse::SseEvent,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One event of a stream, in the order `MessageStart`, then for each block
/// `BlockStart`, `BlockDelta`…, `BlockStop`, then `MessageDelta` and
/// `MessageStop`. An error may come at any time.
#[derive(Debug, Clone)]
pub enum StreamEvent {
    /// The response begins: without content, with the first token counts.
    MessageStart(Box<Message>),
    /// A content block begins.
    BlockStart {
        /// Index of the block in the response.
        index: u32,
        /// The block, without the content of the deltas.
        block: AnswerBlock,
    },
    /// More content of a block.
    BlockDelta {
        /// Index of the block in the response.
        index: u32,
        /// The content to append.
        delta: Delta,
    },
    /// A content block is complete.
    BlockStop {
        /// Index of the block in the response.
        index: u32,
    },
    /// How the response ends, with the final usage.
    MessageDelta(Box<MessageDelta>),
    /// The response is complete.
    MessageStop,
    /// The API failed after the response had begun.
    Error(Box<ErrorBody>),
}

/// Content to append to a block.
#[derive(Debug, Clone)]
pub enum Delta {
    /// Text to append to a text block.
    Text(String),
    /// JSON text to append to the input of a tool_use block.
    InputJson(String),
    /// Reasoning to append to a thinking block.
    Thinking(String),
    /// The signature of a thinking block.
    Signature(String),
    /// A citation of a text block, as received.
    Citation(Box<RawValue>),
    /// A delta of a type that is unknown here, as received.
    Other(Box<RawValue>),
}

/// How a response ends.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MessageDelta {
    /// The stop reason and its details.
    pub delta: Stop,
    /// Tokens used by the whole call.
    #[serde(default)]
    pub usage: Usage,
}

/// Why a streamed response stopped.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stop {
    /// The stop reason, as spelled by the API.
    pub stop_reason: Option<String>,
    /// The stop sequence that the model generated.
    pub stop_sequence: Option<String>,
    /// Details of a refusal.
    pub stop_details: Option<StopDetails>,
}

impl StreamEvent {
    /// Parses one server-sent event; `None` for `ping` and for unknown events.
    ///
    /// # Errors
    /// When a known event is not valid JSON of its type.
    pub fn read(event: &SseEvent) -> serde_json::Result<Option<StreamEvent>> {
        #[derive(Deserialize)]
        struct Start {
            message: Box<Message>,
        }
        #[derive(Deserialize)]
        struct BlockStart {
            index: u32,
            content_block: AnswerBlock,
        }
        #[derive(Deserialize)]
        struct BlockDelta<'a> {
            index: u32,
            #[serde(borrow)]
            delta: &'a RawValue,
        }
        #[derive(Deserialize)]
        struct BlockStop {
            index: u32,
        }

        let data = &event.data[..];
        Ok(Some(match &event.name[..] {
            b"content_block_delta" => {
                let it: BlockDelta<'_> = serde_json::from_slice(data)?;
                StreamEvent::BlockDelta {
                    index: it.index,
                    delta: Delta::read(it.delta)?,
                }
            }
            b"content_block_start" => {
                let it: BlockStart = serde_json::from_slice(data)?;
                StreamEvent::BlockStart {
                    index: it.index,
                    block: it.content_block,
                }
            }
            b"content_block_stop" => {
                let it: BlockStop = serde_json::from_slice(data)?;
                StreamEvent::BlockStop { index: it.index }
            }
            b"message_start" => {
                let it: Start = serde_json::from_slice(data)?;
                StreamEvent::MessageStart(it.message)
            }
            b"message_delta" => StreamEvent::MessageDelta(serde_json::from_slice(data)?),
            b"message_stop" => StreamEvent::MessageStop,
            b"error" => StreamEvent::Error(Box::new(ErrorBody::read(data))),
            _ => return Ok(None),
        }))
    }
}

impl Delta {
    fn read(raw: &RawValue) -> serde_json::Result<Delta> {
        #[derive(Deserialize)]
        struct Text {
            text: String,
        }
        #[derive(Deserialize)]
        struct InputJson {
            partial_json: String,
        }
        #[derive(Deserialize)]
        struct Thinking {
            thinking: String,
        }
        #[derive(Deserialize)]
        struct Signature {
            signature: String,
        }
        #[derive(Deserialize)]
        struct Citation {
            citation: Box<RawValue>,
        }

        let json = raw.get();
        let tag: Tag<'_> = serde_json::from_str(json)?;
        Ok(match &*tag.kind {
            "text_delta" => Delta::Text(serde_json::from_str::<Text>(json)?.text),
            "input_json_delta" => {
                Delta::InputJson(serde_json::from_str::<InputJson>(json)?.partial_json)
            }
            "thinking_delta" => Delta::Thinking(serde_json::from_str::<Thinking>(json)?.thinking),
            "signature_delta" => {
                Delta::Signature(serde_json::from_str::<Signature>(json)?.signature)
            }
            "citations_delta" => Delta::Citation(serde_json::from_str::<Citation>(json)?.citation),
            _ => Delta::Other(raw.to_owned()),
        })
    }
}
