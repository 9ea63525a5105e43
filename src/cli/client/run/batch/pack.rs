//! Gathers documents for a batch.

use super::file::{BatchedDocument, OpenBatch};
use crate::proto::v1::{BatchItem, batch_item::Request};
use prost::Message;
use std::{collections::BTreeMap, mem};
use tonic::Status;
use uuid::Uuid;

/// Size of the requests in a batch, in bytes, beyond which no more are added. One more, a PDF
/// of up to 24 MiB, fits `server.max_message_bytes` of the service, which is 32 MiB unless
/// configured.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Requests that will be one batch.
#[derive(Debug)]
pub struct Pack {
    batch: OpenBatch,
    items: Vec<BatchItem>,
    bytes: usize,
    /// Whether an earlier run may have submitted it.
    is_of_earlier_run: bool,
}

// === impl Pack ===

impl Pack {
    /// A new batch of requests with these options.
    pub fn new(options: &str) -> Self {
        Pack {
            batch: OpenBatch {
                request_id: Uuid::new_v4().to_string(),
                options: options.to_owned(),
                documents: Vec::new(),
                id: None,
            },
            items: Vec::new(),
            bytes: 0,
            is_of_earlier_run: false,
        }
    }

    /// The batch that an earlier run may have submitted, so far without requests.
    pub fn again(batch: OpenBatch) -> Self {
        Pack {
            batch,
            items: Vec::new(),
            bytes: 0,
            is_of_earlier_run: true,
        }
    }

    /// Adds a document.
    pub fn add(&mut self, document: BatchedDocument, request: Request) {
        self.push(self.batch.documents.len(), request);
        self.batch.documents.push(document);
    }

    /// Adds the request of a document that it had already.
    pub fn restore(&mut self, index: usize, request: Request) {
        self.push(index, request);
    }

    fn push(&mut self, index: usize, request: Request) {
        let item = BatchItem {
            id: index.to_string(),
            request: Some(request),
        };
        self.bytes += item.encoded_len();
        self.items.push(item);
    }

    /// The number of its requests.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether its requests are as large as they should be together.
    pub fn is_large(&self) -> bool {
        self.bytes >= MAX_BYTES
    }

    /// Whether an earlier run may have submitted it.
    pub fn is_of_earlier_run(&self) -> bool {
        self.is_of_earlier_run
    }

    /// The batch.
    pub fn batch(&self) -> &OpenBatch {
        &self.batch
    }

    /// Its requests.
    pub fn items(&self) -> &[BatchItem] {
        &self.items
    }

    /// Leaves out the requests that are refused, by their place among all, and returns
    /// their documents.
    pub fn without(&mut self, refused: &BTreeMap<usize, Status>) -> Vec<(BatchedDocument, Status)> {
        let mut left_out = Vec::with_capacity(refused.len());
        for (place, item) in mem::take(&mut self.items).into_iter().enumerate() {
            let document = self.batch.document(&item.id);
            match (refused.get(&place), document) {
                (Some(status), Some(document)) => left_out.push((document.clone(), status.clone())),
                _ => self.items.push(item),
            }
        }
        left_out
    }
}
