//! Turns a complete response into the events of a stream.
//!
//! Some proxies answer a request for a stream with a complete response. What
//! reads the stream gets its content all at once, and nothing else differs.

use super::{
    answer::{AnswerBlock, Message},
    event::{Delta, MessageDelta, StreamEvent},
};

/// The events of a stream that says the same as `message`.
pub fn as_events(mut message: Message) -> Vec<StreamEvent> {
    let content = std::mem::take(&mut message.content);
    let usage = message.usage.clone();
    let end = MessageDelta::of_start(&mut message);
    message.usage = usage;
    let mut events = vec![StreamEvent::MessageStart(Box::new(message))];
    for (index, mut block) in (0..).zip(content) {
        // The input of a tool comes in deltas alone.
        let input = match &mut block {
            AnswerBlock::ToolUse { input, .. } => Some(std::mem::take(input)),
            _ => None,
        };
        events.push(StreamEvent::BlockStart { index, block });
        events.extend(input.map(|input| StreamEvent::BlockDelta {
            index,
            delta: Delta::InputJson(input.into_string()),
        }));
        events.push(StreamEvent::BlockStop { index });
    }
    events.push(StreamEvent::MessageDelta(Box::new(end)));
    events.push(StreamEvent::MessageStop);
    events
}
