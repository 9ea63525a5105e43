//! The message that answers a request of a batch.

use super::{super::state::SimulatorState, super::tokens, write};
use crate::{claude::request::MessagesRequest, models::KnownModel};

/// The message in JSON. It is at once whole, without a rate limit or a behaviour.
pub(in crate::simulator) fn batched(
    state: &SimulatorState,
    key: &str,
    request: &MessagesRequest,
    model: &'static KnownModel,
) -> String {
    let minimum = model.limits.cache_minimum;
    let cached = state.cache.pass(key, request, minimum);
    let input = tokens::of_request(request);
    let mut message = write(state.number(), None, request, model, input, cached);
    message.usage.service_tier = Some("batch".to_owned());
    message.json()
}
