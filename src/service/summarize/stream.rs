//! Maps the events of a streamed summary.

use crate::{
    claude::{
        answer::AnswerBlock,
        event::{Delta, MessageDelta, StreamEvent},
    },
    proto::v1::{self, summarize_stream_response::Event},
    service::{
        answer::{refusal, stop_reason, usage},
        text,
    },
    upstream::AnswerOrigin,
};

/// Maps the API's events to parts of a summary and its end.
#[derive(Debug)]
pub struct SummaryTranslator {
    origin: AnswerOrigin,
    /// Length of the summarized text in characters.
    characters: usize,
    /// Length of the summary so far, in characters.
    written: usize,
    /// Whitespace that belongs to the summary if more text follows.
    blanks: String,
    model: String,
    end: MessageDelta,
}

impl SummaryTranslator {
    /// A translator for the summary of a text of `characters` characters.
    pub fn new(origin: AnswerOrigin, characters: usize) -> Self {
        SummaryTranslator {
            origin,
            characters,
            written: 0,
            blanks: String::new(),
            model: String::new(),
            end: MessageDelta::default(),
        }
    }

    /// The event to send, if this event results in one.
    pub fn translate(&mut self, event: StreamEvent) -> Option<v1::SummarizeStreamResponse> {
        let event = match event {
            StreamEvent::MessageStart(mut message) => {
                self.end = MessageDelta::of_start(&mut message);
                self.model = message.model;
                return None;
            }
            StreamEvent::BlockStart {
                block: AnswerBlock::Text { text, .. },
                ..
            }
            | StreamEvent::BlockDelta {
                delta: Delta::Text(text),
                ..
            } => Event::TextDelta(self.more(&text)?),
            StreamEvent::MessageDelta(end) => {
                self.end.update(*end);
                return None;
            }
            StreamEvent::MessageStop => Event::Finished(self.finished()),
            _ => return None,
        };
        Some(v1::SummarizeStreamResponse { event: Some(event) })
    }

    /// The part of a text to send now. Whitespace around a summary is not part
    /// of it.
    fn more(&mut self, text: &str) -> Option<String> {
        let text = if self.written == 0 {
            text.trim_start()
        } else {
            text
        };
        let (more, blanks) = text.split_at(text.trim_end().len());
        if more.is_empty() {
            self.blanks.push_str(blanks);
            return None;
        }
        let mut sent = std::mem::replace(&mut self.blanks, blanks.to_owned());
        sent.push_str(more);
        self.written += sent.chars().count();
        Some(sent)
    }

    fn finished(&mut self) -> v1::SummarizeResponse {
        let end = std::mem::take(&mut self.end);
        let stop_reason_text = end.delta.stop_reason.unwrap_or_default();
        let stop_reason = stop_reason(&stop_reason_text);
        let written = match stop_reason {
            v1::StopReason::Refusal => 0,
            _ => self.written,
        };
        let origin = std::mem::take(&mut self.origin);
        v1::SummarizeResponse {
            summary: String::new(),
            length_ratio: text::length_ratio(written, self.characters),
            stop_reason: stop_reason.into(),
            stop_reason_text,
            refusal: refusal(end.delta.stop_details),
            usage: Some(usage(&end.usage)),
            model: std::mem::take(&mut self.model),
            request_id: origin.request_id.unwrap_or_default(),
            host: origin.host.to_string(),
            cached: false,
        }
    }
}
