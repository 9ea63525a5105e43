//! Translates the results of a batch: each item gets the response of its RPC.

use crate::{
    batches::{BatchItem, BatchItems, BatchRecord, ItemKind, ItemLabels},
    claude::{
        answer::Message,
        batches::{BatchOutcome, BatchResult},
    },
    proto::v1::{self, stream_batch_results_response::Result as ItemResult},
    service::{
        classify::{self, LabelChoice},
        generate, summarize,
    },
    status,
    upstream::{AnswerOrigin, BatchResults, Failed, UpstreamError},
};
use futures::{Stream, StreamExt};
use std::sync::Arc;
use tonic::Status;

/// The responses of a batch, exactly one for each item, or an error at the end.
pub fn responses(
    record: Arc<BatchRecord>,
    items: BatchItems,
    mut results: BatchResults,
) -> impl Stream<Item = Result<v1::StreamBatchResultsResponse, Status>> + Send + 'static {
    let label_sets: Vec<Vec<v1::Label>> = items.label_sets.iter().map(labels).collect();
    async_stream::stream! {
        let mut missing = vec![true; items.items.len()];
        while let Some(result) = results.next().await {
            let BatchResult { custom_id, outcome } = match result {
                Ok(result) => result,
                Err(error) => {
                    yield Err(broken(error));
                    return;
                }
            };
            // What is not of this batch, or came before, is nobody's result.
            let Some(number) = record.number_of(&custom_id) else {
                continue;
            };
            if std::mem::take(&mut missing[number]) {
                let item = &items.items[number];
                yield Ok(v1::StreamBatchResultsResponse {
                    id: item.id.clone(),
                    result: Some(result_of(item, outcome, &items.label_sets, &label_sets)),
                });
            }
        }
        if missing.contains(&true) {
            yield Err(broken(UpstreamError::Broken));
        }
    }
}

fn broken(error: UpstreamError) -> Status {
    status::upstream_failed(&Failed { error, attempts: 1 }, "id")
}

fn result_of(
    item: &BatchItem,
    outcome: BatchOutcome,
    label_sets: &[ItemLabels],
    labels: &[Vec<v1::Label>],
) -> ItemResult {
    let answered = match outcome {
        BatchOutcome::Succeeded(message) => answer(item.kind, *message, label_sets, labels),
        BatchOutcome::Errored(error) => Err(status::item_failed(error)),
        BatchOutcome::Canceled => Err(status::item_canceled()),
        BatchOutcome::Expired => Err(status::item_expired()),
        BatchOutcome::Unreadable(unreadable) => Err(status::item_unreadable(unreadable)),
    };
    answered.unwrap_or_else(|status| ItemResult::Error(status::item_error(&status)))
}

fn answer(
    kind: ItemKind,
    message: Message,
    label_sets: &[ItemLabels],
    labels: &[Vec<v1::Label>],
) -> Result<ItemResult, Status> {
    Ok(match kind {
        ItemKind::Generate => {
            ItemResult::Generate(generate::response(message, AnswerOrigin::default()))
        }
        ItemKind::Summarize { characters } => ItemResult::Summarize(summarize::response(
            message,
            AnswerOrigin::default(),
            characters,
        )),
        ItemKind::Classify { label_set } => {
            let set = &label_sets[label_set];
            let choice = LabelChoice {
                labels: &labels[label_set],
                multi_label: set.multi_label,
                allow_none: set.allow_none,
                include_reason: set.include_reason,
            };
            ItemResult::Classify(classify::response_in_batch(message, choice)?)
        }
    })
}

/// Labels with their names, which is all that an answer is read with.
fn labels(set: &ItemLabels) -> Vec<v1::Label> {
    let names = set.names.iter();
    let labels = names.map(|name| v1::Label {
        name: name.clone(),
        ..v1::Label::default()
    });
    labels.collect()
}
