//! Classifies a document: in one call, or part by part.

use super::{
    super::{answer, classify::Classifier},
    begin::Beginning,
    calls::{PAYLOAD, Rounds, key},
    input::{DocumentInput, FinishedParts},
    label_votes::LabelVotes,
    parts::PartsInFlight,
    requests::ClassifyRequests,
    totals::DocumentTotals,
};
use crate::{
    claude::request::MessagesRequest,
    proto::v1::{self, classify_document_response::Event},
    status,
};
use futures::Stream;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

/// Classifies one document.
pub struct DocumentClassifier {
    pub requests: ClassifyRequests,
    pub classifier: Arc<Classifier>,
    pub totals: DocumentTotals,
    /// What an earlier call has finished.
    pub finished: FinishedParts<v1::ClassifiedPart>,
    /// Maximum number of calls at once.
    pub parallel: usize,
    /// Kept until the document is done.
    pub permit: OwnedSemaphorePermit,
}

/// The labels of a part.
struct PartLabels {
    part: v1::ClassifiedPart,
    /// How much of the document the part is.
    tokens: u64,
    /// Whether an earlier call has finished it.
    is_earlier: bool,
}

/// The chunks of a document.
type Input = DocumentInput<v1::ClassifyDocumentRequest>;

// === impl DocumentClassifier ===

impl DocumentClassifier {
    /// Classifies the document that comes.
    pub fn events(
        mut self,
        mut input: Input,
    ) -> impl Stream<Item = Result<v1::ClassifyDocumentResponse, Status>> + Send {
        async_stream::try_stream! {
            let _permit = &self.permit;
            let sizes = self.requests.sizes;
            let chunks = match Beginning::read(&mut input, sizes, self.parallel).await? {
                Beginning::Chunks(chunks) => chunks,
                Beginning::Whole(text) => {
                    yield event(Event::Progress(self.totals.progress(input.received(), 1)));
                    let request = self.requests.of_text(&text);
                    let labels = classified(&self.classifier, request).await?;
                    self.totals.add_part();
                    self.count(&labels);
                    yield event(Event::Finished(self.done(labels, &input)));
                    return;
                }
            };
            let mut votes = LabelVotes::new(self.classifier.choice());
            let mut parts = PartsInFlight::new(chunks, sizes, self.parallel);
            while let Some(done) = parts
                .next(&mut input, |number, text| {
                    let tokens = sizes.measure.tokens(&text);
                    self.part(number, self.requests.of_text(&text), tokens)
                })
                .await?
            {
                self.totals.add_part();
                let labels = done.part.classification.clone().unwrap_or_default();
                if !done.is_earlier {
                    self.count(&labels);
                }
                votes.add(labels, done.part.number, done.tokens);
                yield event(Event::PartFinished(done.part));
                let progress = self.totals.progress(input.received(), parts.in_flight());
                yield event(Event::Progress(progress));
            }
            drop(parts);
            let labels = votes.result();
            yield event(Event::Finished(self.done(labels, &input)));
        }
    }

    /// Asks about a part, or takes what an earlier call has finished.
    fn part(
        &self,
        number: usize,
        request: MessagesRequest,
        tokens: u64,
    ) -> impl Future<Output = Result<PartLabels, Status>> + Send + use<> {
        let key = key(&request);
        let earlier = self.finished.get(&key).cloned();
        let classifier = Arc::clone(&self.classifier);
        async move {
            let number_sent = answer::saturating(number as u64);
            if let Some(part) = earlier {
                return Ok(PartLabels {
                    part: v1::ClassifiedPart {
                        number: number_sent,
                        ..part
                    },
                    tokens,
                    is_earlier: true,
                });
            }
            let labels = classified(&classifier, request).await;
            let labels = labels.map_err(|status| status::in_part(&status, 0, number))?;
            Ok(PartLabels {
                part: v1::ClassifiedPart {
                    key,
                    classification: Some(labels),
                    number: number_sent,
                },
                tokens,
                is_earlier: false,
            })
        }
    }

    fn count(&mut self, labels: &v1::ClassifyResponse) {
        let usage = labels.usage.clone().unwrap_or_default();
        self.totals
            .add_calls(&labels.model, usage, labels.model_calls);
    }

    /// The end, with the labels of the document.
    fn done(&self, labels: v1::ClassifyResponse, input: &Input) -> v1::DocumentClassification {
        v1::DocumentClassification {
            classification: Some(v1::ClassifyResponse {
                usage: Some(self.totals.usage()),
                model_calls: i32::try_from(self.totals.calls()).unwrap_or(i32::MAX),
                ..labels
            }),
            total: Some(self.totals.plan(input.received())),
        }
    }
}

/// Asks until there is a valid answer.
async fn classified(
    classifier: &Classifier,
    mut request: MessagesRequest,
) -> Result<v1::ClassifyResponse, Status> {
    let mut rounds = Rounds::default();
    loop {
        match classifier.classified(&mut request, PAYLOAD).await {
            Ok(labels) => return Ok(labels),
            Err(status) => rounds.failed(status).await?,
        }
    }
}

fn event(event: Event) -> v1::ClassifyDocumentResponse {
    v1::ClassifyDocumentResponse { event: Some(event) }
}
