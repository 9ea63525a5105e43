//! Compaction: the conversation so far becomes a block, from which a later request goes
//! on.

use super::{
    super::generate::{self, Prompt},
    message::{COMPACTION, MessageBlock},
};
use crate::claude::event::Stop;
use serde_json::{Map, Value, json};

const EDIT: &str = "compact_20260112";

/// Input tokens at which a conversation is compacted, unless the request says another
/// number.
const TRIGGER: u64 = 150_000;

/// A compaction that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compaction {
    /// Whether nothing follows the block.
    ends: bool,
    /// Whether the block is signed, to stand first in a later request.
    signed: bool,
}

impl Compaction {
    /// The compaction of a request of so many input tokens; `None` if it asks for none,
    /// or is too short for it.
    pub(super) fn asked(others: &Map<String, Value>, input: u64) -> Option<Self> {
        if others.get("compaction").is_some_and(|it| !it.is_null()) {
            return Some(Compaction {
                ends: true,
                signed: true,
            });
        }
        let edits = others.get("context_management")?["edits"].as_array()?;
        let edit = edits.iter().find(|edit| edit["type"] == EDIT)?;
        let trigger = edit["trigger"]["value"].as_u64().unwrap_or(TRIGGER);
        (input >= trigger).then(|| Compaction {
            ends: edit["pause_after_compaction"] == true,
            signed: false,
        })
    }

    /// The block with a summary of the conversation.
    fn block(self, prompt: &Prompt, hash: u64) -> MessageBlock {
        let mut block = json!({
            "type": COMPACTION,
            "content": generate::text(prompt),
            "encrypted_content": format!("Y21w{hash:016x}"),
        });
        if self.signed {
            block["signature"] = format!("c2lt{hash:016x}").into();
        }
        MessageBlock::whole(COMPACTION, &block)
    }

    /// Puts the block before an answer, or in its place.
    pub(super) fn apply(
        self,
        blocks: &mut Vec<MessageBlock>,
        stop: &mut Stop,
        prompt: &Prompt,
        hash: u64,
    ) {
        if self.ends {
            blocks.clear();
            *stop = Stop {
                stop_reason: Some(COMPACTION.to_owned()),
                ..Stop::default()
            };
        }
        blocks.insert(0, self.block(prompt, hash));
    }

    /// Input tokens of what follows the block.
    pub(super) fn input_after(self, blocks: &[MessageBlock]) -> u64 {
        match self.ends {
            true => 0,
            false => blocks.first().map_or(0, MessageBlock::tokens),
        }
    }
}

/// Moves what comes in a delta out of the fields of a block; returns the delta.
pub(super) fn delta(block: &mut Value) -> Value {
    json!({
        "type": "compaction_delta",
        "content": block["content"].take(),
        "encrypted_content": block["encrypted_content"].take(),
    })
}
