//! Summarizes a document: in one call, or part by part and level by level.

use super::{
    super::{answer, summarize},
    begin::Beginning,
    calls::{DocumentCalls, key},
    input::{DocumentInput, FinishedParts},
    parts::PartsInFlight,
    requests::SummaryRequests,
    totals::DocumentTotals,
};
use crate::{
    claude::{answer::Message, request::MessagesRequest},
    documents::merge_groups,
    proto::v1::{self, summarize_document_response::Event},
    status,
    upstream::Answered,
};
use futures::{Stream, StreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

/// Summarizes one document.
pub struct DocumentSummarizer {
    pub requests: SummaryRequests,
    pub calls: DocumentCalls,
    pub totals: DocumentTotals,
    /// What an earlier call has finished.
    pub finished: FinishedParts<v1::SummarizedPart>,
    /// Maximum number of calls at once.
    pub parallel: usize,
    /// Kept until the document is done.
    pub permit: OwnedSemaphorePermit,
}

/// The summary of a part, or of several.
struct PartSummary {
    number: usize,
    part: v1::SummarizedPart,
    /// Whether an earlier call has finished it.
    is_earlier: bool,
}

/// The chunks of a document.
type Input = DocumentInput<v1::SummarizeDocumentRequest>;

// === impl DocumentSummarizer ===

impl DocumentSummarizer {
    /// Summarizes the document that comes.
    pub fn events(
        mut self,
        mut input: Input,
    ) -> impl Stream<Item = Result<v1::SummarizeDocumentResponse, Status>> + Send {
        async_stream::try_stream! {
            let _permit = &self.permit;
            let sizes = self.requests.sizes;
            let chunks = match Beginning::read(&mut input, sizes, self.parallel).await? {
                Beginning::Chunks(chunks) => chunks,
                Beginning::Whole(text) => {
                    yield event(Event::Progress(self.progress(&input, 1)));
                    let answered = self.calls.ask(self.requests.of_whole(&text)).await?;
                    self.totals.add_part();
                    yield event(Event::Finished(self.done(answered, &input)));
                    return;
                }
            };
            let mut summaries = Vec::new();
            let mut parts = PartsInFlight::new(chunks, sizes, self.parallel);
            while let Some(done) = parts
                .next(&mut input, |number, text| self.part(number, self.requests.of_part(&text)))
                .await?
            {
                self.totals.add_part();
                self.count(&done);
                input.hold(done.part.summary.len()).await?;
                if summaries.len() <= done.number {
                    summaries.resize(done.number + 1, String::new());
                }
                summaries[done.number].clone_from(&done.part.summary);
                yield event(Event::PartFinished(done.part));
                yield event(Event::Progress(self.progress(&input, parts.in_flight())));
            }
            drop(parts);
            loop {
                self.totals.add_level();
                let tokens: Vec<u64> =
                    summaries.iter().map(|it| sizes.measure.tokens(it)).collect();
                let groups = merge_groups(&tokens, sizes.part);
                let texts: Vec<&str> = summaries.iter().map(String::as_str).collect();
                if groups.len() == 1 {
                    yield event(Event::Progress(self.progress(&input, 1)));
                    let answered = self.calls.ask(self.requests.of_all(&texts)).await?;
                    yield event(Event::Finished(self.done(answered, &input)));
                    return;
                }
                // One without a neighbour stays as it is.
                let mut merged: Vec<String> = groups
                    .iter()
                    .map(|group| match group.len() {
                        1 => summaries[group.start].clone(),
                        _ => String::new(),
                    })
                    .collect();
                let several = groups.iter().enumerate().filter(|(_, group)| group.len() > 1);
                let merges: Vec<_> = several
                    .map(|(number, group)| {
                        self.part(number, self.requests.of_some(&texts[group.clone()]))
                    })
                    .collect();
                let mut running = stream::iter(merges).buffer_unordered(self.parallel);
                while let Some(done) = running.next().await {
                    let done = done?;
                    self.count(&done);
                    merged[done.number].clone_from(&done.part.summary);
                    yield event(Event::PartFinished(done.part));
                }
                drop(running);
                summaries = merged;
            }
        }
    }

    /// Asks about a part, or takes what an earlier call has finished.
    fn part(
        &self,
        number: usize,
        request: MessagesRequest,
    ) -> impl Future<Output = Result<PartSummary, Status>> + Send + use<> {
        let key = key(&request);
        let level = self.totals.level();
        let earlier = self.finished.get(&key).cloned();
        let calls = self.calls.clone();
        async move {
            if let Some(part) = earlier {
                let is_earlier = true;
                return Ok(PartSummary {
                    number,
                    part,
                    is_earlier,
                });
            }
            let answered = calls.ask(request).await;
            let answered = answered.and_then(|it| complete(&it.value).map(|()| it));
            let message = answered
                .map_err(|status| status::in_part(&status, level, number))?
                .value;
            let part = v1::SummarizedPart {
                key,
                summary: message.text().trim().to_owned(),
                level,
                number: answer::saturating(number as u64),
                usage: Some(answer::usage(&message.usage)),
                model: message.model,
            };
            Ok(PartSummary {
                number,
                part,
                is_earlier: false,
            })
        }
    }

    fn count(&mut self, finished: &PartSummary) {
        if !finished.is_earlier {
            let usage = finished.part.usage.clone().unwrap_or_default();
            self.totals.add_calls(&finished.part.model, usage, 1);
        }
    }

    fn progress(&self, input: &Input, in_flight: usize) -> v1::DocumentProgress {
        self.totals.progress(input.received(), in_flight)
    }

    /// The end, with the last answer.
    fn done(&mut self, answered: Answered<Message>, input: &Input) -> v1::DocumentSummary {
        let usage = answer::usage(&answered.value.usage);
        self.totals.add_calls(&answered.value.model, usage, 1);
        let characters = input.characters();
        let mut summary = summarize::response(answered.value, answered.origin, characters);
        summary.usage = Some(self.totals.usage());
        v1::DocumentSummary {
            summary: Some(summary),
            total: Some(self.totals.plan(input.received())),
        }
    }
}

/// Whether the summary of a part is complete.
fn complete(message: &Message) -> Result<(), Status> {
    status::complete_part(message.stop_reason.as_deref().unwrap_or_default())
}

fn event(event: Event) -> v1::SummarizeDocumentResponse {
    v1::SummarizeDocumentResponse { event: Some(event) }
}
