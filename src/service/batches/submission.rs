//! Reads the items of a batch: each is validated as a call of its RPC.

use crate::{
    access::limits::AccessError,
    batches::{
        BatchError, BatchItem, BatchItems, BatchRecord, ItemEstimate, ItemKind, ItemLabels,
        NewBatch,
    },
    claude::{estimate, request::MessagesRequest},
    proto::v1::{self, batch_item::Request as ItemRequest},
    service::{Rpcs, classify, generate, summarize},
    status::{self, Path, Violations},
    upstream::{self, CallOptions, Failed, UpstreamError},
};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use tonic::Status;

/// Maximum number of items; the API accepts no more.
const MAX_ITEMS: usize = 100_000;

/// Maximum length of an id of the caller.
const MAX_ID: usize = 128;

/// Maximum size of the body that submits a batch, in bytes; the API accepts no more.
const MAX_BODY: usize = 256 * 1024 * 1024;

/// Reads a batch.
///
/// # Errors
/// INVALID_ARGUMENT with every violation; PERMISSION_DENIED for a model that the caller
/// may not use.
pub async fn read(
    rpcs: &Rpcs,
    request: v1::SubmitBatchRequest,
    options: CallOptions,
) -> Result<NewBatch, Status> {
    let mut wrong = Violations::default();
    if !request.request_id.is_empty() && !is_id(&request.request_id) {
        wrong.add("request_id", ID);
    }
    if !(1..=MAX_ITEMS).contains(&request.items.len()) {
        wrong.add("items", format!("must contain 1 to {MAX_ITEMS} items"));
        return Err(wrong.into_status());
    }
    let mut builder = BatchBuilder::new(request.items.len());
    for (number, item) in request.items.into_iter().enumerate() {
        builder.add(rpcs, number, item, &options, &mut wrong)?;
    }
    wrong.into_result()?;
    let body = builder.body.finish();
    let key = match &rpcs.files {
        Some(files) => files.key_named_in(&body, &options).await,
        None => None,
    };
    Ok(NewBatch {
        tenant: options.tenant.map(|it| it.to_string()).unwrap_or_default(),
        caller: options.caller,
        request_id: request.request_id,
        headers: options.headers.map(|headers| (*headers).clone()),
        key,
        items: builder.items,
        estimates: builder.estimates,
        body,
    })
}

const ID: &str = "must be 1 to 128 printable ASCII characters";

fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_graphic() || it == b' ')
}

/// What is made of the items.
struct BatchBuilder {
    items: BatchItems,
    estimates: Vec<ItemEstimate>,
    body: BatchBody,
    ids: HashSet<String>,
    label_sets: HashMap<ItemLabels, usize>,
}

impl BatchBuilder {
    fn new(count: usize) -> Self {
        BatchBuilder {
            items: BatchItems {
                batch: BatchRecord::new_id(),
                items: Vec::with_capacity(count),
                label_sets: Vec::new(),
            },
            estimates: Vec::with_capacity(count),
            body: BatchBody::default(),
            ids: HashSet::with_capacity(count),
            label_sets: HashMap::new(),
        }
    }

    fn add(
        &mut self,
        rpcs: &Rpcs,
        number: usize,
        item: v1::BatchItem,
        options: &CallOptions,
        wrong: &mut Violations,
    ) -> Result<(), Status> {
        wrong.continue_under(String::new());
        let path = Path::root("items").item(number);
        if !is_id(&item.id) {
            wrong.add(path.field("id"), ID);
        } else if !self.ids.insert(item.id.clone()) {
            wrong.add(path.field("id"), "must be unique");
        }
        let Some(request) = item.request else {
            wrong.add(path.field("request"), "must be set");
            return Ok(());
        };
        let (request, kind) = self.asked(rpcs, path, request, wrong);
        if let Some(caller) = &options.caller {
            let allowed = caller
                .may_ask(&request.model)
                .map_err(AccessError::NotAllowed);
            let unpriced = upstream::unpriced_feature(&request);
            let allowed = allowed.and_then(|()| caller.may_cost(unpriced));
            allowed.map_err(|refused| status::batch_failed(&BatchError::AccessDenied(refused)))?;
        }
        self.body.push(&self.items.batch, number, &request)?;
        self.estimates.push(ItemEstimate {
            input_tokens: estimate::input_tokens(&request),
            max_tokens: request.max_tokens.unwrap_or(0),
        });
        self.items.items.push(BatchItem {
            id: item.id,
            model: request.model,
            kind,
        });
        Ok(())
    }

    /// What the API is asked for an item, and what becomes of its answer.
    fn asked(
        &mut self,
        rpcs: &Rpcs,
        path: Path<'_>,
        request: ItemRequest,
        wrong: &mut Violations,
    ) -> (MessagesRequest, ItemKind) {
        match request {
            ItemRequest::Generate(request) => {
                wrong.continue_under(path.field("generate").to_string());
                let asked = generate::messages_request(request, &rpcs.config, wrong);
                (asked, ItemKind::Generate)
            }
            ItemRequest::Summarize(request) => {
                wrong.continue_under(path.field("summarize").to_string());
                let checked = summarize::CheckedSummary::read(request, &rpcs.config, wrong);
                let characters = checked.characters;
                (checked.upstream, ItemKind::Summarize { characters })
            }
            ItemRequest::Classify(mut request) => {
                wrong.continue_under(path.field("classify").to_string());
                let (asked, _) = rpcs.classify_upstream(&mut request, wrong);
                let label_set = self.label_set(&request);
                (asked, ItemKind::Classify { label_set })
            }
        }
    }

    /// The number of the label set of a request: items usually share one.
    fn label_set(&mut self, request: &v1::ClassifyRequest) -> usize {
        let choice = classify::choice(request);
        let set = ItemLabels {
            names: choice.labels.iter().map(|it| it.name.clone()).collect(),
            multi_label: choice.multi_label,
            allow_none: choice.allow_none,
            include_reason: choice.include_reason,
        };
        let sets = &mut self.items.label_sets;
        *self.label_sets.entry(set).or_insert_with_key(|set| {
            sets.push(set.clone());
            sets.len() - 1
        })
    }
}

/// The body that submits a batch, under construction.
#[derive(Default)]
struct BatchBody(Vec<u8>);

impl BatchBody {
    fn push(
        &mut self,
        batch: &str,
        number: usize,
        request: &MessagesRequest,
    ) -> Result<(), Status> {
        let failed = |error| status::upstream_failed(&Failed { error, attempts: 0 }, "items");
        let params = upstream::body(request).map_err(failed)?;
        let before = if number == 0 { r#"{"requests":["# } else { "," };
        let id = BatchRecord::custom_id_in(batch, number);
        let head = format!(r#"{before}{{"custom_id":"{id}","params":"#);
        let bytes = self.0.len() + head.len() + params.len();
        if bytes > MAX_BODY {
            return Err(failed(UpstreamError::TooLarge { bytes }));
        }
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(&params);
        self.0.push(b'}');
        Ok(())
    }

    fn finish(mut self) -> Bytes {
        self.0.extend_from_slice(b"]}");
        Bytes::from(self.0)
    }
}
