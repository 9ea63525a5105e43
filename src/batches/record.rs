//! What is kept of a batch.

use crate::{
    access::limits::StoredCharge,
    claude::batches::BatchCounts,
    upstream::{ApiFailure, ApiHeaders, Fingerprint},
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// A batch, without its items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchRecord {
    /// Our id, which callers use, and with which the ids of its requests at the API
    /// begin.
    pub id: String,
    /// The tenant that it belongs to; empty without access control.
    pub tenant: String,
    /// The caller's id of the submission; empty if there is none.
    pub request_id: String,
    /// How far it is.
    pub phase: Phase,
    /// How many of its items are in which state, as the API said last.
    pub counts: BatchCounts,
    /// Number of its items.
    pub items: usize,
    /// When it was submitted to us, in seconds since 1970.
    pub created: u64,
    /// When it was seen to have ended, in seconds since 1970.
    pub ended: Option<u64>,
    /// The headers that it is created with.
    pub headers: Option<ApiHeaders>,
    /// The API key that it is created with: it belongs to its workspace.
    pub key: Option<Fingerprint>,
    /// When it was last sent to the API, in seconds since 1970.
    pub sent: Option<u64>,
    /// The API's id, once it is known.
    pub upstream_id: Option<String>,
    /// Whether it is to be canceled as soon as the API's id is known.
    pub is_cancel_wanted: bool,
    /// What is reserved for it in the budgets of the client, until it is settled.
    pub charge: Option<StoredCharge>,
    /// Why it has no results.
    pub failure: Option<ApiFailure>,
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It is being submitted, or an interrupted submission is looked for.
    Submitting,
    /// The API processes it.
    InProgress,
    /// It is being canceled.
    Canceling,
    /// It has ended.
    Ended,
    /// The API did not accept it.
    Failed,
}

/// The items of a batch: what their results are read with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchItems {
    /// The id of the batch.
    pub batch: String,
    /// The items, in the order of their numbers.
    pub items: Vec<BatchItem>,
    /// The label sets that the items refer to.
    pub label_sets: Vec<ItemLabels>,
}

/// An item of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchItem {
    /// The caller's id.
    pub id: String,
    /// The model that is asked.
    pub model: String,
    /// What its answer becomes.
    pub kind: ItemKind,
}

/// What the answer of an item becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemKind {
    /// A response of Generate.
    Generate,
    /// A summary.
    Summarize {
        /// Length of the text in characters.
        characters: usize,
    },
    /// Labels.
    Classify {
        /// Number of its label set.
        label_set: usize,
    },
}

/// What labels an answer may choose.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ItemLabels {
    /// Names of the labels, in their order.
    pub names: Vec<String>,
    /// Whether it may choose several.
    pub multi_label: bool,
    /// Whether it may choose none.
    pub allow_none: bool,
    /// Whether it gives a reason.
    pub include_reason: bool,
}

// === impl BatchRecord ===

impl BatchRecord {
    /// A batch of a tenant that is to be submitted, with this number of items, created
    /// at this time in seconds since 1970.
    pub fn new(id: &str, tenant: &str, items: usize, created: u64) -> Self {
        BatchRecord {
            id: id.to_owned(),
            tenant: tenant.to_owned(),
            request_id: String::new(),
            phase: Phase::Submitting,
            counts: BatchCounts {
                processing: items as u64,
                ..BatchCounts::default()
            },
            items,
            created,
            ended: None,
            headers: None,
            key: None,
            sent: None,
            upstream_id: None,
            is_cancel_wanted: false,
            charge: None,
            failure: None,
        }
    }

    /// An id that no other batch has.
    pub fn new_id() -> String {
        format!("batch_{}", HEXLOWER.encode(&rand::random::<[u8; 16]>()))
    }

    /// The id at the API of an item of a batch.
    pub fn custom_id_in(batch: &str, number: usize) -> String {
        format!("{batch}-{number}")
    }

    /// The number of the item with this id at the API; `None` if it is not of this
    /// batch.
    pub fn number_of(&self, custom_id: &str) -> Option<usize> {
        let number = custom_id.strip_prefix(&self.id)?.strip_prefix('-')?;
        number.parse().ok().filter(|number| *number < self.items)
    }

    /// Whether the API may not have it yet.
    pub fn needs_body(&self) -> bool {
        self.upstream_id.is_none() && !self.is_final()
    }

    /// Whether nothing more happens to it by itself.
    pub fn is_final(&self) -> bool {
        matches!(self.phase, Phase::Ended | Phase::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_takes_the_ids_of_the_largest_batch() {
        let record = BatchRecord::new(&BatchRecord::new_id(), "", 100_000, 0);
        let id = BatchRecord::custom_id_in(&record.id, 99_999);
        assert!(id.len() <= 64, "{id}");
        assert_eq!(record.number_of(&id), Some(99_999));
        for foreign in [
            "",
            "0",
            "batch_0-1",
            &BatchRecord::custom_id_in(&record.id, 100_000),
            &format!("{id}x"),
        ] {
            assert_eq!(record.number_of(foreign), None, "{foreign}");
        }
    }
}
