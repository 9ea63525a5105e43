//! The message that answers a request of a batch.

use super::{
    super::{
        cache::{CacheUsage, CacheWrites},
        check::CheckedRequest,
        state::SimulatorState,
        tokens,
    },
    write,
};

/// An answer that has not begun: its prompt has been read.
pub(in crate::simulator) struct BatchedAnswer {
    checked: CheckedRequest,
    cached: CacheUsage,
    writes: CacheWrites,
}

impl BatchedAnswer {
    /// Reads the prompt.
    pub(in crate::simulator) fn begin(
        state: &SimulatorState,
        key: &str,
        checked: CheckedRequest,
    ) -> Self {
        let minimum = checked.model.limits.cache_minimum;
        let (cached, writes) = state.cache.read(key, &checked.request, minimum);
        BatchedAnswer {
            checked,
            cached,
            writes,
        }
    }

    /// The message in JSON. It is whole at once, without a rate limit or a behaviour.
    pub(in crate::simulator) fn json(self, state: &SimulatorState, key: &str) -> String {
        state.cache.write(self.writes);
        let (checked, number) = (&self.checked, state.number());
        let input = tokens::of_request(&checked.request);
        let mut message = write(state, key, number, None, checked, input, self.cached);
        message.usage.service_tier = Some("batch".to_owned());
        message.json()
    }
}
