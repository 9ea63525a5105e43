//! A batch to be submitted.

use super::record::{BatchItems, BatchRecord};
use crate::{
    access::Identity,
    models::Tokens,
    upstream::{ApiHeaders, Fingerprint},
};
use bytes::Bytes;
use std::sync::Arc;

/// A batch to be submitted.
pub struct NewBatch {
    /// The tenant that it belongs to.
    pub tenant: String,
    /// Who submits it; `None` without access control.
    pub caller: Option<Arc<Identity>>,
    /// The caller's id of the submission; empty if there is none.
    pub request_id: String,
    /// The headers that it is created with.
    pub headers: Option<ApiHeaders>,
    /// The API key that has what its requests name; `None` if any will do.
    pub key: Option<Fingerprint>,
    /// Its items.
    pub items: BatchItems,
    /// The estimated usage of each item.
    pub estimates: Vec<ItemEstimate>,
    /// The body that submits it.
    pub body: Bytes,
}

/// The estimated usage of an item.
#[derive(Debug, Clone, Copy)]
pub struct ItemEstimate {
    /// Input tokens.
    pub input_tokens: u32,
    /// Maximum number of output tokens.
    pub max_tokens: u32,
}

impl NewBatch {
    /// What is kept of it, from this time on, in seconds since 1970.
    pub(super) fn record(&self, now: u64) -> BatchRecord {
        let (id, items) = (&self.items.batch, self.items.items.len());
        BatchRecord {
            request_id: self.request_id.clone(),
            headers: self.headers.clone(),
            key: self.key,
            ..BatchRecord::new(id, &self.tenant, items, now)
        }
    }

    /// The model and the estimated usage of each item.
    pub(super) fn estimates(&self) -> impl Iterator<Item = (&str, Tokens)> {
        let models = self.items.items.iter().map(|item| item.model.as_str());
        models.zip(self.estimates.iter().map(|item| Tokens {
            input: u64::from(item.input_tokens),
            output: u64::from(item.max_tokens),
            ..Tokens::default()
        }))
    }
}
