//! Assembles a complete response from the events of a stream.
//!
//! A call whose response could take longer than a request may stay unanswered
//! is streamed from the API even if the caller wants it in one piece.

use super::{
    answer::{AnswerBlock, Message},
    event::{Delta, MessageDelta, StreamEvent},
    merge::MergedBlock,
};
use serde_json::value::RawValue;

/// A response that is being assembled, from the events of an
/// [`EventReader`](super::event_reader::EventReader): what is not in their order
/// is ignored.
#[derive(Debug, Default)]
pub struct Gather {
    message: Box<Message>,
    end: MessageDelta,
    /// Blocks of unknown types that had deltas, with their positions.
    merged: Vec<(usize, MergedBlock)>,
}

impl Gather {
    /// Adds one event; returns the response after the last one. The caller must
    /// handle [`StreamEvent::Error`]; it is ignored here.
    pub fn push(&mut self, event: StreamEvent) -> Option<Box<Message>> {
        match event {
            StreamEvent::MessageStart(message) => {
                self.message = message;
                self.end = MessageDelta::of_start(&mut self.message);
            }
            StreamEvent::BlockStart { block, .. } => self.message.content.push(block),
            StreamEvent::BlockDelta { index, delta } => self.append(index, delta),
            StreamEvent::MessageDelta(end) => self.end.update(*end),
            StreamEvent::Other(event) => self.message.unplaced.push_event(event),
            StreamEvent::MessageStop => return Some(self.finish()),
            StreamEvent::BlockStop { .. } | StreamEvent::Error(_) => {}
        }
        None
    }

    /// How much is kept beside the content, in bytes.
    pub fn unplaced_size(&self) -> usize {
        self.message.unplaced.size()
    }

    fn append(&mut self, index: u32, delta: Delta) {
        let position = index as usize;
        let Some(block) = self.message.content.get_mut(position) else {
            return;
        };
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
            (AnswerBlock::ToolUse { input, .. }, Delta::InputJson(more)) => input.push_str(&more),
            (AnswerBlock::Other { json, .. }, Delta::InputJson(piece)) => {
                merged(&mut self.merged, position, json).push_input(&piece);
            }
            (AnswerBlock::Other { json, .. }, Delta::Other(delta)) => {
                let has_place = merged(&mut self.merged, position, json).push(&delta);
                if !has_place {
                    self.message.unplaced.push_delta(index, delta);
                }
            }
            (_, Delta::Other(delta)) => self.message.unplaced.push_delta(index, delta),
            // No reader of events gives a block what it cannot have.
            _ => {}
        }
    }

    fn finish(&mut self) -> Box<Message> {
        let mut message = std::mem::take(&mut self.message);
        let end = std::mem::take(&mut self.end);
        message.stop_reason = end.delta.stop_reason;
        message.stop_sequence = end.delta.stop_sequence;
        message.stop_details = end.delta.stop_details;
        message.usage = end.usage;
        message.rest = end.rest;
        for (position, block) in self.merged.drain(..) {
            if let Some(AnswerBlock::Other { json, .. }) = message.content.get_mut(position) {
                *json = block.finish();
            }
        }
        message
    }
}

/// The block at a position, with the deltas so far.
fn merged<'a>(
    blocks: &'a mut Vec<(usize, MergedBlock)>,
    position: usize,
    block: &RawValue,
) -> &'a mut MergedBlock {
    let found = blocks.iter().rposition(|(of, _)| *of == position);
    let found = found.unwrap_or_else(|| {
        blocks.push((position, MergedBlock::new(block.to_owned())));
        blocks.len() - 1
    });
    &mut blocks[found].1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::{event_reader::EventReader, unreadable::Unreadable};

    fn gather(stream: &str) -> Result<Option<Box<Message>>, Unreadable> {
        let mut reader = EventReader::default();
        reader.feed(stream.as_bytes());
        let mut gather = Gather::default();
        while let Some(event) = reader.next_event()? {
            if let Some(message) = gather.push(event) {
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
            r#"[{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"tool_use","id":"t","name":"n","input":{"n":12345678901234567890, "x": 1.0}},{"type":"new_thing","a":[1],"b":2}]"#
        );
        assert_eq!(message.stop_reason.as_deref(), Some("tool_use"));
        assert_eq!(message.usage.input_tokens, Some(7));
        assert_eq!(message.usage.output_tokens, Some(9));
    }

    #[test]
    fn a_cut_stream_is_no_answer() {
        assert!(gather(START).unwrap().is_none());
        assert!(gather(END).is_err());
    }
}
