//! Maps the events of a streamed response.

use super::answer::{RestFields, block, other_delta, other_event, position, raw_text};
use crate::{
    claude::{
        answer::AnswerBlock,
        event::{Delta, MessageDelta, StreamEvent},
        merge::MergedBlock,
    },
    proto::v1::{self, generate_stream_response::Event},
    service::answer::{refusal, stop_reason, usage},
    upstream::AnswerOrigin,
};
use std::collections::BTreeMap;

/// Maps the API's events one to one, except for what a proto event combines:
/// a signature, and an unknown block with its deltas, are sent with the end of
/// the block, and the stop reason with the end of the response.
#[derive(Debug, Default)]
pub struct GenerateTranslator {
    origin: AnswerOrigin,
    /// Signatures of the open blocks.
    signatures: BTreeMap<u32, String>,
    /// The open blocks of unknown types.
    unknown: BTreeMap<u32, UnknownBlock>,
    end: MessageDelta,
}

/// A block of a type that is unknown here.
#[derive(Debug)]
struct UnknownBlock {
    kind: String,
    merged: MergedBlock,
}

impl GenerateTranslator {
    /// A translator for one response.
    pub fn new(origin: AnswerOrigin) -> Self {
        GenerateTranslator {
            origin,
            ..GenerateTranslator::default()
        }
    }

    /// The event to send, if this event results in one.
    pub fn translate(&mut self, event: StreamEvent) -> Option<v1::GenerateStreamResponse> {
        let event = match event {
            StreamEvent::MessageStart(mut message) => {
                let origin = std::mem::take(&mut self.origin);
                let started = Event::Started(v1::Started {
                    id: std::mem::take(&mut message.id),
                    model: std::mem::take(&mut message.model),
                    usage: Some(usage(&message.usage)),
                    request_id: origin.request_id.unwrap_or_default(),
                    host: origin.host.to_string(),
                });
                self.end = MessageDelta::of_start(&mut message);
                started
            }
            StreamEvent::BlockStart { index, block } => self.block_started(index, block),
            StreamEvent::BlockDelta { index, delta } => self.delta(index, delta)?,
            StreamEvent::BlockStop { index } => Event::BlockFinished(v1::BlockFinished {
                index: position(index),
                signature: self.signatures.remove(&index).unwrap_or_default(),
                other: self.unknown.remove(&index).and_then(UnknownBlock::complete),
            }),
            StreamEvent::MessageDelta(end) => {
                self.end.update(*end);
                return None;
            }
            StreamEvent::Other(event) => Event::OtherEvent(other_event(event)),
            StreamEvent::MessageStop => Event::Finished(self.finished()),
            // The upstream stream ends with an error instead.
            StreamEvent::Error(_) => return None,
        };
        Some(v1::GenerateStreamResponse { event: Some(event) })
    }

    fn block_started(&mut self, index: u32, mut started: AnswerBlock) -> Event {
        if let AnswerBlock::Thinking { signature, .. } = &mut started
            && !signature.is_empty()
        {
            self.signatures.insert(index, std::mem::take(signature));
        }
        if let AnswerBlock::Other { kind, json } = &started {
            let (kind, merged) = (kind.clone(), MergedBlock::new(json.clone()));
            self.unknown.insert(index, UnknownBlock { kind, merged });
        }
        Event::BlockStarted(v1::BlockStarted {
            index: position(index),
            block: Some(block(started)),
        })
    }

    fn delta(&mut self, number: u32, delta: Delta) -> Option<Event> {
        let index = position(number);
        if let Some(UnknownBlock { merged, .. }) = self.unknown.get_mut(&number) {
            match &delta {
                Delta::InputJson(piece) => merged.push_input(piece),
                Delta::Other(delta) => {
                    merged.push(delta);
                }
                _ => {}
            }
        }
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
                self.signatures.entry(number).or_default().push_str(&more);
                return None;
            }
            Delta::Citation(citation) => Event::CitationDelta(v1::CitationDelta {
                index,
                citation_json: raw_text(citation),
            }),
            Delta::Other(delta) => Event::OtherDelta(other_delta(number, delta)),
        })
    }

    fn finished(&mut self) -> v1::Finished {
        let end = std::mem::take(&mut self.end);
        let rest = RestFields::of(end.rest);
        let stop_reason_text = end.delta.stop_reason.unwrap_or_default();
        v1::Finished {
            stop_reason: stop_reason(&stop_reason_text).into(),
            stop_reason_text,
            stop_sequence: end.delta.stop_sequence.unwrap_or_default(),
            refusal: refusal(end.delta.stop_details),
            usage: Some(usage(&end.usage)),
            container: rest.container,
            diagnostics_json: rest.diagnostics_json,
            extra_json: rest.extra_json,
        }
    }
}

impl UnknownBlock {
    /// The block with its deltas, if there were any.
    fn complete(self) -> Option<v1::OtherBlock> {
        self.merged.is_changed().then(|| v1::OtherBlock {
            r#type: self.kind,
            json: raw_text(self.merged.finish()),
        })
    }
}
