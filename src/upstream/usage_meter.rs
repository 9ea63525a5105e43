//! The usage of one attempt, counted once, where its response arrives.
//!
//! The API counts at the beginning and at the end of a stream. What comes in
//! between is estimated by its length until then: a stream that is dropped
//! halfway still costs money. Budgets, rate limits, metrics and the log line of
//! the call all read this meter, whether the attempt succeeds, fails or is
//! cancelled.

use crate::{
    claude::{
        answer::Usage,
        event::{Delta, StreamEvent},
    },
    pricing::Tokens,
};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// Bytes of a response per token, until the API has counted.
const BYTES_PER_TOKEN: u64 = 4;

/// The usage of one attempt. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct UsageMeter(Arc<Metered>);

#[derive(Debug, Default)]
struct Metered {
    /// The usage as counted by the API.
    counted: Mutex<Option<Tokens>>,
    /// Bytes of the response since then.
    uncounted_bytes: AtomicU64,
    has_content: AtomicBool,
}

impl UsageMeter {
    /// Adds an event of a stream to the usage.
    pub fn count(&self, event: &StreamEvent) {
        match event {
            StreamEvent::MessageStart(message) => self.set(&message.usage),
            StreamEvent::BlockStart { .. } => self.content_came(),
            StreamEvent::BlockDelta { delta, .. } => {
                self.content_came();
                if let Delta::Text(text) | Delta::InputJson(text) | Delta::Thinking(text) = delta {
                    self.0.uncounted_bytes.fetch_add(text.len() as u64, Relaxed);
                }
            }
            StreamEvent::MessageDelta(delta) => {
                let mut counted = self.0.counted.lock();
                counted.get_or_insert_default().update(&delta.usage);
                self.0.uncounted_bytes.store(0, Relaxed);
            }
            _ => {}
        }
    }

    /// Sets the usage that a response reports.
    pub fn set(&self, usage: &Usage) {
        *self.0.counted.lock() = Some(Tokens::of(usage));
    }

    /// Content of an answer came, which is therefore paid for.
    pub fn content_came(&self) {
        self.0.has_content.store(true, Relaxed);
    }

    /// Whether content of an answer came.
    pub fn has_content(&self) -> bool {
        self.0.has_content.load(Relaxed)
    }

    /// The usage so far; `None` before the API has counted anything.
    pub fn usage(&self) -> Option<Tokens> {
        let mut tokens = (*self.0.counted.lock())?;
        let uncounted = self.0.uncounted_bytes.load(Relaxed);
        let estimated = uncounted.div_ceil(BYTES_PER_TOKEN);
        tokens.output = tokens.output.saturating_add(estimated);
        Some(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::{
        answer::Message,
        event::{Delta, MessageDelta},
    };

    fn usage(input: Option<u64>, output: u64) -> Usage {
        Usage {
            input_tokens: input,
            output_tokens: Some(output),
            ..Usage::default()
        }
    }

    #[test]
    fn a_stream_that_is_cut_has_used_what_came() {
        let meter = UsageMeter::default();
        assert_eq!(meter.usage(), None);
        meter.count(&StreamEvent::MessageStart(Box::new(Message {
            usage: usage(Some(10), 1),
            ..Message::default()
        })));
        meter.count(&StreamEvent::BlockDelta {
            index: 0,
            delta: Delta::Text("123456789".to_owned()),
        });
        assert!(meter.has_content());
        assert_eq!(meter.usage().unwrap().output, 1 + 3);
        meter.count(&StreamEvent::MessageDelta(Box::new(MessageDelta {
            usage: usage(None, 7),
            ..MessageDelta::default()
        })));
        let usage = meter.usage().unwrap();
        assert_eq!((usage.input, usage.output), (10, 7));
    }
}
