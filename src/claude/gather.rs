//! Assembles a complete response from the events of a stream.
//!
//! A call whose response could take minutes is streamed from the API even if
//! the caller wants it in one piece: events keep the connection alive, and a
//! dead connection is noticed.

use super::{
    answer::{AnswerBlock, Message},
    event::{Delta, StreamEvent},
};
use serde_json::{Map, Value, value::RawValue};
use thiserror::Error;

/// The events do not form a complete response.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GatherError {
    /// An event came where the protocol does not allow it.
    #[error("the stream's events are out of order: {0}")]
    Order(&'static str),
    /// The parts of a tool's input do not form a JSON object.
    #[error("the streamed input of a tool is not a JSON object")]
    ToolInput,
}

/// A response that is being assembled.
#[derive(Debug, Default)]
pub struct Gather {
    message: Option<Message>,
    /// The JSON text collected for the open block.
    input_json: String,
    open: Option<usize>,
}

impl Gather {
    /// Adds one event; returns the response after the last one. The caller must
    /// handle [`StreamEvent::Error`]; it is ignored here.
    ///
    /// # Errors
    /// When the events do not form a complete response.
    pub fn push(&mut self, event: StreamEvent) -> Result<Option<Message>, GatherError> {
        match event {
            StreamEvent::MessageStart(message) => self.message = Some(*message),
            StreamEvent::BlockStart { index, block } => self.start_block(index, block)?,
            StreamEvent::BlockDelta { index, delta } => self.append(index, delta)?,
            StreamEvent::BlockStop { index } => self.finish_block(index)?,
            StreamEvent::MessageDelta(end) => {
                let message = self.message()?;
                message.stop_reason = end.delta.stop_reason;
                message.stop_sequence = end.delta.stop_sequence;
                message.stop_details = end.delta.stop_details;
                message.usage.update(end.usage);
            }
            StreamEvent::MessageStop => {
                let message = self.message.take();
                return message.map(Some).ok_or(GatherError::Order(
                    "content_block_stop without content_block_start",
                ));
            }
            StreamEvent::Error(_) => {}
        }
        Ok(None)
    }

    fn message(&mut self) -> Result<&mut Message, GatherError> {
        self.message
            .as_mut()
            .ok_or(GatherError::Order("the first event is not message_start"))
    }

    fn start_block(&mut self, index: u32, block: AnswerBlock) -> Result<(), GatherError> {
        let index = index as usize;
        let message = self.message()?;
        if message.content.len() != index {
            return Err(GatherError::Order(
                "content block indexes are not consecutive",
            ));
        }
        message.content.push(block);
        self.open = Some(index);
        self.input_json.clear();
        Ok(())
    }

    fn open_block(&mut self, index: u32) -> Result<&mut AnswerBlock, GatherError> {
        if self.open != Some(index as usize) {
            return Err(GatherError::Order("delta for a block that is not open"));
        }
        self.message()?
            .content
            .last_mut()
            .ok_or(GatherError::Order("delta before the first block"))
    }

    fn append(&mut self, index: u32, delta: Delta) -> Result<(), GatherError> {
        let block = self.open_block(index)?;
        match (block, delta) {
            (AnswerBlock::Text { text, .. }, Delta::Text(more)) => text.push_str(&more),
            (AnswerBlock::Text { citations, .. }, Delta::Citation(citation)) => {
                citations.push(citation);
            }
            (AnswerBlock::Thinking { thinking, .. }, Delta::Thinking(more)) => {
                thinking.push_str(&more);
            }
            (AnswerBlock::Thinking { signature, .. }, Delta::Signature(more)) => {
                signature.push_str(&more);
            }
            (AnswerBlock::ToolUse { .. } | AnswerBlock::Other { .. }, Delta::InputJson(more)) => {
                self.input_json.push_str(&more);
            }
            // An unknown type of delta: the API may add some.
            _ => {}
        }
        Ok(())
    }

    fn finish_block(&mut self, index: u32) -> Result<(), GatherError> {
        let json = std::mem::take(&mut self.input_json);
        let block = self.open_block(index)?;
        match block {
            _ if json.is_empty() => {}
            AnswerBlock::ToolUse { input, .. } => {
                let raw = RawValue::from_string(json).map_err(|_| GatherError::ToolInput)?;
                if !raw.get().trim_start().starts_with('{') {
                    return Err(GatherError::ToolInput);
                }
                *input = raw;
            }
            // Server tools use such blocks: they, too, begin without their
            // input.
            AnswerBlock::Other { json: raw, .. } => *raw = with_input(raw, &json)?,
            _ => {}
        }
        self.open = None;
        Ok(())
    }
}

fn with_input(block: &RawValue, input: &str) -> Result<Box<RawValue>, GatherError> {
    let whole = || {
        let mut fields: Map<String, Value> = serde_json::from_str(block.get())?;
        fields.insert("input".to_owned(), serde_json::from_str(input)?);
        serde_json::value::to_raw_value(&fields)
    };
    whole().map_err(|_| GatherError::ToolInput)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::sse::SseDecoder;

    fn gather(stream: &str) -> Result<Option<Message>, GatherError> {
        let mut decoder = SseDecoder::default();
        decoder.feed(stream.as_bytes());
        let mut gather = Gather::default();
        while let Some(event) = decoder.next_event().unwrap() {
            let Some(event) = StreamEvent::read(&event).unwrap() else {
                continue;
            };
            if let Some(message) = gather.push(event)? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    const START: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":7,"output_tokens":1}}}

"#;
    const END: &str = r#"event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":9}}

event: message_stop
data: {"type":"message_stop"}

"#;

    #[test]
    fn puts_blocks_together_and_keeps_what_it_does_not_know() {
        let blocks = r#"event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: ping
data: {"type":"ping"}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"n\":12345678901234567890,"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":" \"x\": 1.0}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"new_thing","a":[1]}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"new_delta","b":2}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

"#;
        let message = gather(&format!("{START}{blocks}{END}")).unwrap().unwrap();
        assert_eq!(
            serde_json::to_string(&message.content).unwrap(),
            r#"[{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"tool_use","id":"t","name":"n","input":{"n":12345678901234567890, "x": 1.0}},{"type":"new_thing","a":[1]}]"#
        );
        assert_eq!(message.stop_reason.as_deref(), Some("tool_use"));
        assert_eq!(message.usage.input_tokens, Some(7));
        assert_eq!(message.usage.output_tokens, Some(9));
    }

    #[test]
    fn a_cut_stream_is_no_answer() {
        assert!(gather(START).unwrap().is_none());
        let outcome = gather(END);
        assert!(matches!(outcome, Err(GatherError::Order(_))));
    }
}
