//! The events of a streamed response.

use super::{
    answer::{AnswerBlock, Message, StopDetails, Usage},
    error::ErrorBody,
    lenient::Object,
    rest::Rest,
    unplaced::OtherEvent,
};
use serde::Serialize;
use serde_json::value::RawValue;

/// One event of a stream, in the order `MessageStart`, then for each block
/// `BlockStart`, `BlockDelta`…, `BlockStop`, then `MessageDelta` and
/// `MessageStop`. Several blocks may be open at once, and an error may come at
/// any time. So may events that are unknown here, after `MessageStart`. [`EventReader`](super::event_reader::EventReader) holds the API's
/// events to this.
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
    /// An event that is unknown here.
    Other(OtherEvent),
    /// The API failed after the response had begun.
    Error(Box<ErrorBody>),
}

/// Content to append to a block.
#[derive(Debug, Clone)]
pub enum Delta {
    /// Text to append to a text block.
    Text(String),
    /// JSON text to append to the input of a tool_use block, or of a block that
    /// is unknown here.
    InputJson(String),
    /// Reasoning to append to a thinking block.
    Thinking(String),
    /// The signature of a thinking block.
    Signature(String),
    /// A citation of a text block, as received.
    Citation(Box<RawValue>),
    /// A delta that is unknown here, or whose block is, as received.
    Other(Box<RawValue>),
}

/// How a response ends.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MessageDelta {
    /// The stop reason and its details.
    pub delta: Stop,
    /// Tokens used by the whole call.
    pub usage: Usage,
    /// The fields that are unknown here.
    #[serde(skip)]
    pub rest: Option<Box<Rest>>,
}

/// Why a streamed response stopped.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stop {
    /// The stop reason, as spelled by the API.
    pub stop_reason: Option<String>,
    /// The stop sequence that the model generated.
    pub stop_sequence: Option<String>,
    /// Details of a refusal.
    pub stop_details: Option<StopDetails>,
}

impl MessageDelta {
    /// Reads a `message_delta`, in which every field is optional.
    pub(super) fn read(event: &Object<'_>) -> MessageDelta {
        let (delta, usage) = (event.object("delta"), event.object("usage"));
        let mut rest = Rest::read(event, usage.as_ref());
        if let Some(delta) = &delta {
            Rest::update(&mut rest, Rest::read(delta, None));
        }
        MessageDelta {
            delta: delta.as_ref().map(Stop::read).unwrap_or_default(),
            usage: usage.as_ref().map(Usage::read).unwrap_or_default(),
            rest,
        }
    }

    /// The end that a message has already at its start, moved out of it.
    pub fn of_start(message: &mut Message) -> MessageDelta {
        MessageDelta {
            delta: Stop {
                stop_reason: message.stop_reason.take(),
                stop_sequence: message.stop_sequence.take(),
                stop_details: message.stop_details.take(),
            },
            usage: std::mem::take(&mut message.usage),
            rest: message.rest.take(),
        }
    }

    /// Overwrites everything that `later` has.
    pub fn update(&mut self, later: MessageDelta) {
        self.delta.update(later.delta);
        self.usage.update(later.usage);
        Rest::update(&mut self.rest, later.rest);
    }
}

impl Stop {
    /// The end of a message or of a stream.
    pub(super) fn read(end: &Object<'_>) -> Stop {
        Stop {
            stop_reason: end.text("stop_reason"),
            stop_sequence: end.text("stop_sequence"),
            stop_details: StopDetails::read(end),
        }
    }

    fn update(&mut self, later: Stop) {
        self.stop_reason = later.stop_reason.or_else(|| self.stop_reason.take());
        self.stop_sequence = later.stop_sequence.or_else(|| self.stop_sequence.take());
        self.stop_details = later.stop_details.or_else(|| self.stop_details.take());
    }
}
