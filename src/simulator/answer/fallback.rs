//! Fallbacks: another model answers in the place of one that refuses.

use super::{
    super::host::SimulatedHost,
    message::{FALLBACK, MessageBlock},
};
use crate::{claude::event::Stop, models::KnownModel};
use serde_json::{Map, Value, json};

/// The first of the models that the request names; `None` if it names none.
pub(super) fn model(
    others: &Map<String, Value>,
    host: SimulatedHost,
) -> Option<&'static KnownModel> {
    let first = others.get("fallbacks")?.get(0)?;
    host.find_model(first["model"].as_str()?).ok()
}

/// The block after which `to` writes, because `from` stopped with a refusal.
pub(super) fn block(from: &str, to: &KnownModel, refusal: &Stop) -> MessageBlock {
    let details = refusal.stop_details.as_ref();
    let category = details.and_then(|details| details.category.as_ref());
    let block = json!({
        "type": FALLBACK,
        "from": {"model": from},
        "to": {"model": to.id()},
        "trigger": {"type": "refusal", "category": category},
    });
    MessageBlock::whole(FALLBACK, &block)
}
