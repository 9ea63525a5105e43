//! One item: calls its RPC, as a call of its own.

use crate::{
    access::limits::ItemLimits,
    proto::v1::{self, item::Request as ItemRequest, process_items_response::Result as Outcome},
    service::{Rpcs, call::PRIORITY},
    status::{self, Path, Violations},
};
use tonic::{
    Extensions, Request, Response, Status,
    metadata::{MetadataMap, MetadataValue},
};

/// Maximum length of an id, in bytes.
const MAX_ID: usize = 256;

/// Calls the RPCs of items.
pub struct ItemCalls {
    pub rpcs: Rpcs,
    /// The limits on calls that each item counts for.
    pub limits: Option<ItemLimits>,
    /// The metadata of each call.
    pub metadata: MetadataMap,
    pub extensions: Extensions,
}

// === impl ItemCalls ===

impl ItemCalls {
    /// The answer about an item.
    ///
    /// # Errors
    /// Those of its RPC, whose violations name the fields of the item.
    pub async fn result(&self, item: v1::Item) -> Result<Outcome, Status> {
        let mut wrong = Violations::under("item");
        if item.id.len() > MAX_ID {
            wrong.add("id", format!("must have at most {MAX_ID} bytes"));
        }
        let Some(request) = item.request else {
            wrong.add(Path::root("request"), "must be set");
            return Err(wrong.into_status());
        };
        wrong.into_result()?;
        let _counted = match &self.limits {
            Some(limits) => Some(limits.begin().await.map_err(|it| status::denied(&it))?),
            None => None,
        };
        let rpcs = &self.rpcs;
        match request {
            ItemRequest::Generate(request) => Rpcs::generate(rpcs, self.request(request))
                .await
                .map(Response::into_inner)
                .map(Outcome::Generate),
            ItemRequest::Summarize(request) => Rpcs::summarize(rpcs, self.request(request))
                .await
                .map(Response::into_inner)
                .map(Outcome::Summarize),
            ItemRequest::Classify(request) => Rpcs::classify(rpcs, self.request(request))
                .await
                .map(Response::into_inner)
                .map(Outcome::Classify),
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        Request::from_parts(self.metadata.clone(), self.extensions.clone(), message)
    }
}

/// Metadata with batch priority, unless the caller says otherwise: others wait for a single
/// answer.
pub fn in_batch(mut metadata: MetadataMap) -> MetadataMap {
    if !metadata.contains_key(PRIORITY) {
        metadata.insert(PRIORITY, MetadataValue::from_static("batch"));
    }
    metadata
}

/// The result of an item that has no answer.
pub fn failed(status: &Status) -> Outcome {
    Outcome::Error(status::failed_item(status))
}
