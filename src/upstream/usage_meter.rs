//! The usage of one attempt, counted once, where its response arrives.
//!
//! The API counts at the beginning and at the end of a stream, and each of its
//! figures takes precedence. What it has not reported is estimated: a stream that
//! is dropped halfway still costs money, and so does an answer without a usage.
//! Budgets, rate limits, metrics and the log line of the call all read this meter,
//! whether the attempt succeeds, fails or is cancelled.

use crate::{
    claude::{
        answer::{AnswerBlock, Usage},
        event::{Delta, StreamEvent},
    },
    models::Tokens,
};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// Sixths of a token for each byte of ASCII, of which a token has about 3.5: a
/// budget must rather be charged too much than too little.
/// Source: <https://docs.claude.com/en/docs/about-claude/glossary#tokens>
const SIXTHS_PER_ASCII_BYTE: usize = 2;

/// The same for other bytes: a character of two bytes is one token, one of three
/// bytes (Chinese, Japanese, Korean) one and a half.
const SIXTHS_PER_OTHER_BYTE: usize = 3;

/// The usage of one attempt. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct UsageMeter(Arc<Metered>);

#[derive(Debug, Default)]
struct Metered {
    /// The estimate of the input, until the API has counted.
    estimated_input: u64,
    counted: Mutex<Counted>,
    /// Sixths of the tokens of the response that the API has not counted yet.
    uncounted: AtomicU64,
    has_content: AtomicBool,
    /// Whether nothing came, and the API may have processed the request.
    is_lost: AtomicBool,
}

/// What the API has counted.
#[derive(Debug, Default, Clone, Copy)]
struct Counted {
    /// Whether the response has begun: the API has read the input.
    has_begun: bool,
    /// Whether a figure of the input was reported.
    has_input: bool,
    tokens: Tokens,
}

// === impl UsageMeter ===

impl UsageMeter {
    /// The meter of a request with this estimate of its input tokens.
    pub fn new(estimated_input: u32) -> Self {
        UsageMeter(Arc::new(Metered {
            estimated_input: u64::from(estimated_input),
            ..Metered::default()
        }))
    }

    /// Adds an event of a stream to the usage.
    pub fn count(&self, event: &StreamEvent) {
        match event {
            StreamEvent::MessageStart(message) => self.report(&message.usage),
            StreamEvent::BlockStart { block, .. } => {
                self.content_came();
                self.add_block(block);
            }
            StreamEvent::BlockDelta { delta, .. } => {
                self.content_came();
                match delta {
                    Delta::Text(text) | Delta::InputJson(text) | Delta::Thinking(text) => {
                        self.add(text.as_bytes());
                    }
                    Delta::Other(json) => self.add(json.get().as_bytes()),
                    Delta::Signature(_) | Delta::Citation(_) => {}
                }
            }
            StreamEvent::MessageDelta(delta) => self.report(&delta.usage),
            _ => {}
        }
    }

    /// Takes over each figure that a response reports.
    pub fn report(&self, usage: &Usage) {
        let mut counted = self.0.counted.lock();
        counted.has_begun = true;
        counted.has_input |= usage.input_tokens.is_some()
            || usage.cache_read_input_tokens.is_some()
            || usage.cache_creation_input_tokens.is_some();
        counted.tokens.update(usage);
        if usage.output_tokens.is_some() {
            self.0.uncounted.store(0, Relaxed);
        }
    }

    /// Adds a part of a response that the API has not counted.
    pub fn add(&self, part: &[u8]) {
        let other = part.iter().filter(|byte| !byte.is_ascii()).count();
        let ascii = part.len() - other;
        let sixths = ascii * SIXTHS_PER_ASCII_BYTE + other * SIXTHS_PER_OTHER_BYTE;
        self.0.uncounted.fetch_add(sixths as u64, Relaxed);
    }

    fn add_block(&self, block: &AnswerBlock) {
        match block {
            AnswerBlock::Text { text, .. } => self.add(text.as_bytes()),
            AnswerBlock::Thinking { thinking, .. } => self.add(thinking.as_bytes()),
            AnswerBlock::ToolUse { name, .. } => self.add(name.as_bytes()),
            AnswerBlock::RedactedThinking { .. }
            | AnswerBlock::ContainerUpload { .. }
            | AnswerBlock::Other { .. } => {}
        }
    }

    /// Content of an answer came, which is therefore paid for.
    pub fn content_came(&self) {
        self.0.has_content.store(true, Relaxed);
    }

    /// What came was an error of the API, which costs nothing.
    pub fn nothing_came(&self) {
        self.0.has_content.store(false, Relaxed);
        self.0.uncounted.store(0, Relaxed);
    }

    /// The attempt ended without the API having said anything of it: it may have processed
    /// the request.
    pub fn lost(&self) {
        self.0.is_lost.store(true, Relaxed);
    }

    /// What is charged for the attempt: its usage, or the estimate of its input if it was
    /// lost; `None` if it costs nothing.
    pub fn charged(&self) -> Option<Tokens> {
        let lost = || Tokens {
            input: self.0.estimated_input,
            ..Tokens::default()
        };
        let is_lost = self.0.is_lost.load(Relaxed);
        self.usage().or_else(|| is_lost.then(lost))
    }

    /// Whether content of an answer came.
    pub fn has_content(&self) -> bool {
        self.0.has_content.load(Relaxed)
    }

    /// The usage so far; `None` before the response has begun.
    pub fn usage(&self) -> Option<Tokens> {
        let counted = *self.0.counted.lock();
        if !counted.has_begun && !self.has_content() {
            return None;
        }
        let mut tokens = counted.tokens;
        if !counted.has_input {
            tokens.input = self.0.estimated_input;
        }
        let estimated = self.0.uncounted.load(Relaxed).div_ceil(6);
        tokens.output = tokens.output.saturating_add(estimated);
        Some(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::{answer::Message, event::MessageDelta};

    fn usage(input: Option<u64>, output: Option<u64>) -> Usage {
        Usage {
            input_tokens: input,
            output_tokens: output,
            ..Usage::default()
        }
    }

    fn start(usage: Usage) -> StreamEvent {
        StreamEvent::MessageStart(Box::new(Message {
            usage,
            ..Message::default()
        }))
    }

    fn delta(delta: Delta) -> StreamEvent {
        StreamEvent::BlockDelta { index: 0, delta }
    }

    fn text(text: &str) -> StreamEvent {
        delta(Delta::Text(text.to_owned()))
    }

    fn end(usage: Usage) -> StreamEvent {
        StreamEvent::MessageDelta(Box::new(MessageDelta {
            usage,
            ..MessageDelta::default()
        }))
    }

    /// Input and output after these events, for an estimated input of 100.
    fn used(events: &[StreamEvent]) -> Option<(u64, u64)> {
        let meter = UsageMeter::new(100);
        events.iter().for_each(|event| meter.count(event));
        meter.usage().map(|tokens| (tokens.input, tokens.output))
    }

    #[test]
    fn what_the_api_has_counted_is_used_and_the_rest_is_estimated() {
        let begun = || start(usage(Some(10), Some(1)));
        let nothing = || usage(None, None);
        let rows = [
            (vec![], None),
            (vec![begun()], Some((10, 1))),
            (vec![begun(), text("123456789")], Some((10, 1 + 3))),
            (
                vec![begun(), text("123456789"), end(usage(None, Some(7)))],
                Some((10, 7)),
            ),
            // The API corrects its first figure.
            (vec![begun(), end(usage(Some(12), Some(7)))], Some((12, 7))),
            // A report without a figure changes nothing.
            (
                vec![begun(), text("123456789"), end(nothing())],
                Some((10, 1 + 3)),
            ),
            (vec![start(nothing())], Some((100, 0))),
            (vec![start(nothing()), text("123456")], Some((100, 2))),
            (
                vec![start(nothing()), end(usage(None, Some(7)))],
                Some((100, 7)),
            ),
        ];
        for (events, expected) in rows {
            assert_eq!(used(&events), expected, "{events:?}");
        }
    }

    #[test]
    fn an_estimate_is_rather_too_high() {
        let output = |event: StreamEvent| used(&[event]).unwrap().1;
        let english = "The quick brown fox jumps over the lazy dog. ";
        assert_eq!(output(text(english)), 15, "ten tokens or so");
        assert_eq!(
            output(text("\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}")),
            6
        );
        assert_eq!(output(text("\u{4f60}\u{597d}\u{4e16}\u{754c}")), 6);
        assert_eq!(output(text("\u{1f600}")), 2);
        let json = r#"{"city":"Zug"}"#.to_owned();
        assert_eq!(output(delta(Delta::InputJson(json))), 5);
        assert_eq!(output(delta(Delta::Thinking("so".to_owned()))), 1);
    }

    #[test]
    fn figures_saturate() {
        let meter = UsageMeter::new(1);
        meter.report(&usage(Some(u64::MAX), Some(u64::MAX)));
        meter.add(b"more");
        let tokens = meter.usage().unwrap();
        assert_eq!((tokens.input, tokens.output), (u64::MAX, u64::MAX));
    }
}
