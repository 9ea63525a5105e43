//! The usage of a streamed response, counted once, where it arrives.
//!
//! The API counts at the beginning and at the end of a stream. What comes in
//! between is estimated by its length until then: a stream that is dropped
//! halfway still costs money. Budgets, rate limits and metrics all read this
//! meter.

use crate::claude::{
    answer::Usage,
    event::{Delta, StreamEvent},
};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Bytes of a response per token, until the API has counted.
const BYTES_PER_TOKEN: u64 = 4;

/// The usage of one streamed response. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct UsageMeter(Arc<Metered>);

#[derive(Debug, Default)]
struct Metered {
    /// The usage as counted by the API.
    counted: Mutex<Option<Usage>>,
    /// Bytes of the response since then.
    uncounted_bytes: AtomicU64,
}

impl UsageMeter {
    /// Adds an event to the usage.
    pub fn count(&self, event: &StreamEvent) {
        match event {
            StreamEvent::MessageStart(message) => {
                *self.0.counted.lock() = Some(message.usage.clone());
            }
            StreamEvent::BlockDelta {
                delta: Delta::Text(text) | Delta::InputJson(text) | Delta::Thinking(text),
                ..
            } => {
                self.0.uncounted_bytes.fetch_add(text.len() as u64, Relaxed);
            }
            StreamEvent::MessageDelta(delta) => {
                let mut counted = self.0.counted.lock();
                counted.get_or_insert_default().update(delta.usage.clone());
                self.0.uncounted_bytes.store(0, Relaxed);
            }
            _ => {}
        }
    }

    /// The usage so far; `None` before the API has counted anything.
    pub fn usage(&self) -> Option<Usage> {
        let mut usage = self.0.counted.lock().clone()?;
        let uncounted = self.0.uncounted_bytes.load(Relaxed);
        if uncounted > 0 {
            let output = usage.output_tokens.unwrap_or(0);
            let tokens = uncounted.div_ceil(BYTES_PER_TOKEN);
            usage.output_tokens = Some(output.saturating_add(tokens));
        }
        Some(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claude::sse::SseEvent;
    use bytes::Bytes;

    fn event(name: &'static str, data: &'static str) -> StreamEvent {
        let event = SseEvent {
            name: Bytes::from_static(name.as_bytes()),
            data: Bytes::from_static(data.as_bytes()),
        };
        StreamEvent::read(&event).unwrap().unwrap()
    }

    #[test]
    fn a_stream_that_is_cut_has_used_what_came() {
        let meter = UsageMeter::default();
        assert_eq!(meter.usage(), None);
        meter.count(&event(
            "message_start",
            r#"{"message":{"id":"m","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":10,"output_tokens":1}}}"#,
        ));
        meter.count(&event(
            "content_block_delta",
            r#"{"index":0,"delta":{"type":"text_delta","text":"123456789"}}"#,
        ));
        assert_eq!(meter.usage().unwrap().output_tokens, Some(1 + 3));
        meter.count(&event(
            "message_delta",
            r#"{"delta":{},"usage":{"output_tokens":7}}"#,
        ));
        let usage = meter.usage().unwrap();
        assert_eq!(
            (usage.input_tokens, usage.output_tokens),
            (Some(10), Some(7))
        );
    }
}
