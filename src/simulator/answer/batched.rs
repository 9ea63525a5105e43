//! The message that answers a request of a batch.

use super::{
    super::{check::CheckedRequest, state::SimulatorState, tokens},
    write,
};

/// The message in JSON. It is at once whole, without a rate limit or a behaviour.
pub(in crate::simulator) fn batched(
    state: &SimulatorState,
    key: &str,
    checked: &CheckedRequest,
) -> String {
    let minimum = checked.model.limits.cache_minimum;
    let (cached, writes) = state.cache.read(key, &checked.request, minimum);
    state.cache.write(writes);
    let input = tokens::of_request(&checked.request);
    let mut message = write(state, key, state.number(), None, checked, input, cached);
    message.usage.service_tier = Some("batch".to_owned());
    message.json()
}
