//! What a stream brought that is not in the content of its answer.

use serde_json::value::RawValue;

/// Deltas and events that are unknown here. What they mean for the content is not
/// known, and the content must go back to the API as it came: so they are kept beside it.
#[derive(Debug, Clone, Default)]
pub struct Unplaced {
    /// Deltas, each with the index of its block in the response.
    pub deltas: Vec<(u32, Box<RawValue>)>,
    /// Events.
    pub events: Vec<OtherEvent>,
    bytes: usize,
}

/// An event that is unknown here.
#[derive(Debug, Clone)]
pub struct OtherEvent {
    /// The `type` in its data, or else its name.
    pub kind: String,
    /// Its data as received, which may not be JSON.
    pub data: String,
}

impl Unplaced {
    /// Keeps a delta of a block.
    pub fn push_delta(&mut self, index: u32, delta: Box<RawValue>) {
        self.bytes += delta.get().len();
        self.deltas.push((index, delta));
    }

    /// Keeps an event.
    pub fn push_event(&mut self, event: OtherEvent) {
        self.bytes += event.size();
        self.events.push(event);
    }

    /// How much is kept, in bytes.
    pub fn size(&self) -> usize {
        self.bytes
    }
}

impl OtherEvent {
    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.kind.len() + self.data.len()
    }
}
