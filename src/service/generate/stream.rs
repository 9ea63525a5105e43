//! Maps the events of a streamed response.

use super::answer::{block, raw_text};
use crate::{
    claude::{
        answer::{AnswerBlock, Usage},
        event::{Delta, MessageDelta, StreamEvent},
    },
    proto::v1::{self, generate_stream_response::Event},
    service::answer::{refusal, stop_reason, usage},
};

/// Maps the API's events one to one, except for what a proto event combines:
/// the signature is sent with the end of its block, and the stop reason with
/// the end of the response.
#[derive(Debug, Default)]
pub struct GenerateTranslator {
    request_id: String,
    signature: String,
    usage: Usage,
    end: MessageDelta,
}

impl GenerateTranslator {
    /// A translator for one response.
    pub fn new(request_id: Option<String>) -> Self {
        GenerateTranslator {
            request_id: request_id.unwrap_or_default(),
            ..GenerateTranslator::default()
        }
    }

    /// The event to send, if this event results in one.
    pub fn translate(&mut self, event: StreamEvent) -> Option<v1::GenerateStreamResponse> {
        let event = match event {
            StreamEvent::MessageStart(message) => {
                let started = Event::Started(v1::Started {
                    id: message.id,
                    model: message.model,
                    usage: Some(usage(&message.usage)),
                    request_id: std::mem::take(&mut self.request_id),
                });
                self.usage = message.usage;
                started
            }
            StreamEvent::BlockStart { index, block } => Event::BlockStarted(v1::BlockStarted {
                index: position(index),
                block: Some(begun(block)),
            }),
            StreamEvent::BlockDelta { index, delta } => self.delta(position(index), delta)?,
            StreamEvent::BlockStop { index } => Event::BlockFinished(v1::BlockFinished {
                index: position(index),
                signature: std::mem::take(&mut self.signature),
            }),
            StreamEvent::MessageDelta(end) => {
                self.end = *end;
                return None;
            }
            StreamEvent::MessageStop => Event::Finished(self.finished()),
            // The upstream stream ends with an error instead.
            StreamEvent::Error(_) => return None,
        };
        Some(v1::GenerateStreamResponse { event: Some(event) })
    }

    fn delta(&mut self, index: i32, delta: Delta) -> Option<Event> {
        Some(match delta {
            Delta::Text(text) => Event::TextDelta(v1::TextDelta { index, text }),
            Delta::InputJson(partial_json) => Event::ToolInputDelta(v1::ToolInputDelta {
                index,
                partial_json,
            }),
            Delta::Thinking(thinking) => {
                Event::ThinkingDelta(v1::ThinkingDelta { index, thinking })
            }
            Delta::Signature(more) => {
                self.signature.push_str(&more);
                return None;
            }
            Delta::Citation(citation) => Event::CitationDelta(v1::CitationDelta {
                index,
                citation_json: raw_text(citation),
            }),
            Delta::Other(delta) => Event::OtherDelta(v1::OtherDelta {
                index,
                delta_json: raw_text(delta),
            }),
        })
    }

    fn finished(&mut self) -> v1::Finished {
        let end = std::mem::take(&mut self.end);
        self.usage.update(end.usage);
        let stop_reason_text = end.delta.stop_reason.unwrap_or_default();
        v1::Finished {
            stop_reason: stop_reason(&stop_reason_text).into(),
            stop_reason_text,
            stop_sequence: end.delta.stop_sequence.unwrap_or_default(),
            refusal: refusal(end.delta.stop_details),
            usage: Some(usage(&self.usage)),
        }
    }
}

/// The start of a block. The API starts a tool_use with the placeholder `{}`;
/// left in, it would precede the parts of the real input.
fn begun(mut begun: AnswerBlock) -> v1::ContentBlock {
    if let AnswerBlock::ToolUse { input, .. } = &mut begun
        && input.get() == "{}"
    {
        let mut block = block(begun);
        if let Some(v1::content_block::Block::ToolUse(tool_use)) = &mut block.block {
            tool_use.input_json.clear();
        }
        return block;
    }
    block(begun)
}

fn position(index: u32) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}
