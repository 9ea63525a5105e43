//! The events of a streamed answer.

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
    /// The answer begins: without content, with the first usage figures.
    MessageStart(Box<Message>),
    /// A block begins.
    BlockStart {
        /// Position in the answer.
        index: u32,
        /// The block, without what the deltas will bring.
        block: AnswerBlock,
    },
    /// More of a block.
    BlockDelta {
        /// Position in the answer.
        index: u32,
        /// What to append.
        delta: Delta,
    },
    /// A block is complete.
    BlockStop {
        /// Position in the answer.
        index: u32,
    },
    /// How the answer ends, with the final usage.
    MessageDelta(Box<MessageDelta>),
    /// The answer is complete.
    MessageStop,
    /// The API gave up after it had begun.
    Error(Box<ErrorBody>),
}

/// What to append to a block.
#[derive(Debug, Clone)]
pub enum Delta {
    /// To a text block.
    Text(String),
    /// To the input of a tool_use block: a piece of JSON text.
    InputJson(String),
    /// To a thinking block.
    Thinking(String),
    /// The signature of a thinking block.
    Signature(String),
    /// A citation of a text block, as it came.
    Citation(Box<RawValue>),
    /// Not known here, as it came.
    Other(Box<RawValue>),
}

/// How an answer ends.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MessageDelta {
    /// Why, and where.
    pub delta: Stop,
    /// Tokens used by the whole call.
    #[serde(default)]
    pub usage: Usage,
}

/// Why a streamed answer stopped.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stop {
    /// The reason, as the API writes it.
    pub stop_reason: Option<String>,
    /// The stop sequence that was written.
    pub stop_sequence: Option<String>,
    /// More about the stop, for a refusal.
    pub stop_details: Option<StopDetails>,
}

impl StreamEvent {
    /// Reads one server-sent event; `None` for `ping` and for events that are
    /// not known here.
    ///
    /// # Errors
    /// When a known event is not the JSON that it has to be.
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
