//! The RPCs of `claude.v1.DocumentService`.
//!
//! A document holds no more memory than one call's worth of text, or its parts in flight:
//! while those are at work, no more of it is read, and its sender waits.

mod begin;
mod calls;
mod classification;
mod input;
mod label_votes;
mod parts;
mod plan;
mod prompt;
mod requests;
mod sizes;
mod summary;
mod totals;

use super::{Events, Rpcs, call, classify::Classifier};
use crate::{
    access::SignedCall,
    proto::{
        DecodedSize,
        v1::{
            self, classify_document_response::Event as ClassifyEvent,
            document_service_server::DocumentService, summarize_document_response::Event,
        },
    },
    status::{self, Violations},
    upstream::{CallOptions, KeyChoice, RoutedRpc},
};
use calls::DocumentCalls;
use classification::DocumentClassifier;
use futures::{StreamExt, stream};
use input::DocumentInput;
use plan::PartTokens;
use requests::{ClassifyRequests, SummaryRequests};
use std::sync::Arc;
use summary::DocumentSummarizer;
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Request, Response, Status, Streaming};
use totals::DocumentTotals;

/// Which part of the memory of messages a document may hold.
const PART_OF_MEMORY: usize = 4;

/// Length of a SHA-256, in bytes.
const SHA256: usize = 32;

#[tonic::async_trait]
impl DocumentService for Rpcs {
    type SummarizeDocumentStream = Events<v1::SummarizeDocumentResponse>;
    type ClassifyDocumentStream = Events<v1::ClassifyDocumentResponse>;

    async fn summarize_document(
        &self,
        request: Request<Streaming<v1::SummarizeDocumentRequest>>,
    ) -> Result<Response<Self::SummarizeDocumentStream>, Status> {
        let call = self.document_call(&request, RoutedRpc::Summarize)?;
        let memory = call::memory(request.extensions(), &self.memory);
        let size = request.extensions().get::<DecodedSize>().cloned();
        let (start, mut input) = DocumentInput::begin(request.into_inner(), memory, size).await?;
        let (mut wrong, settings) = settings(start.settings);
        let requests = SummaryRequests::read(settings, &self.config, call.memory, &mut wrong);
        let most = call.checked(start.parallel, &start.sha256, wrong)?;
        let parallel = requests.sizes.parallel(most, call.memory);
        input.expect(start.sha256);
        let finished = input.finished_parts().await?;
        let mut totals = DocumentTotals::new(self.prices.clone());
        if start.plan_only {
            let tokens = PartTokens::read(&mut input, requests.sizes).await?;
            tokens.summarized(&requests, &mut totals);
            let plan = totals.plan_for(requests.model(), input.received());
            let event = Some(Event::Plan(plan));
            return Ok(only(v1::SummarizeDocumentResponse { event }));
        }
        let summarizer = DocumentSummarizer {
            requests,
            calls: DocumentCalls {
                client: self.claude.clone(),
                options: call.options,
            },
            totals,
            finished,
            parallel,
            permit: call.permit,
        };
        Ok(Response::new(summarizer.events(input).boxed()))
    }

    async fn classify_document(
        &self,
        request: Request<Streaming<v1::ClassifyDocumentRequest>>,
    ) -> Result<Response<Self::ClassifyDocumentStream>, Status> {
        let call = self.document_call(&request, RoutedRpc::Classify)?;
        let memory = call::memory(request.extensions(), &self.memory);
        let size = request.extensions().get::<DecodedSize>().cloned();
        let (start, mut input) = DocumentInput::begin(request.into_inner(), memory, size).await?;
        let (mut wrong, mut settings) = settings(start.settings);
        let requests = ClassifyRequests::read(&mut settings, &self.config, call.memory, &mut wrong);
        let most = call.checked(start.parallel, &start.sha256, wrong)?;
        let parallel = requests.sizes.parallel(most, call.memory);
        input.expect(start.sha256);
        let finished = input.finished_parts().await?;
        let mut totals = DocumentTotals::new(self.prices.clone());
        if start.plan_only {
            let tokens = PartTokens::read(&mut input, requests.sizes).await?;
            tokens.classified(&requests, &mut totals);
            let plan = totals.plan_for(requests.model(), input.received());
            let event = Some(ClassifyEvent::Plan(plan));
            return Ok(only(v1::ClassifyDocumentResponse { event }));
        }
        let classifier = Classifier {
            client: self.claude.clone(),
            options: call.options,
            labels: settings,
        };
        let classifier = DocumentClassifier {
            requests,
            classifier: Arc::new(classifier),
            totals,
            finished,
            parallel,
            permit: call.permit,
        };
        Ok(Response::new(classifier.events(input).boxed()))
    }
}

/// What a call about a document has, whatever is asked.
struct DocumentCall {
    options: CallOptions,
    is_signed: bool,
    /// Maximum number of calls to the API at once.
    parallel: u32,
    /// Maximum length of what the document holds, in bytes.
    memory: usize,
    /// Kept until the document is done.
    permit: OwnedSemaphorePermit,
}

impl Rpcs {
    fn document_call<T>(
        &self,
        request: &Request<T>,
        rpc: RoutedRpc,
    ) -> Result<DocumentCall, Status> {
        let mut options = call::options(request, false, &self.config.passthrough)?;
        options.key_choice = KeyChoice::CachedPrefix;
        options.rpc = rpc;
        let permit = Arc::clone(&self.documents).try_acquire_owned();
        Ok(DocumentCall {
            options,
            is_signed: request.extensions().get::<SignedCall>().is_some(),
            parallel: self.config.documents.parallel,
            memory: self.memory.capacity() / PART_OF_MEMORY,
            permit: permit.map_err(|_| status::overloaded())?,
        })
    }
}

// === impl DocumentCall ===

impl DocumentCall {
    /// Validates what the first message has beside the settings, and returns the maximum
    /// number of calls at once.
    fn checked(
        &self,
        parallel: i32,
        sha256: &[u8],
        mut wrong: Violations,
    ) -> Result<usize, Status> {
        wrong.continue_under("start".to_owned());
        match sha256.len() {
            SHA256 => {}
            0 if self.is_signed => wrong.add(
                "sha256",
                "must be set in signed calls: the signature covers the first message only",
            ),
            0 => {}
            _ => wrong.add("sha256", "must have 32 bytes"),
        }
        let most = self.parallel;
        let allowed = match u32::try_from(parallel) {
            Ok(0) => most,
            Ok(requested) if requested <= most => requested,
            _ => {
                wrong.add("parallel", format!("must be between 1 and {most}"));
                1
            }
        };
        wrong.into_result()?;
        Ok(allowed as usize)
    }
}

/// The settings of the first message, and where violations of them are.
fn settings<T: Default>(settings: Option<T>) -> (Violations, T) {
    let mut wrong = Violations::under("start");
    if settings.is_none() {
        wrong.add("settings", "must be set");
    }
    wrong.continue_under("start.settings".to_owned());
    (wrong, settings.unwrap_or_default())
}

/// A stream of one event.
fn only<T: Send + 'static>(event: T) -> Response<Events<T>> {
    Response::new(stream::iter([Ok(event)]).boxed())
}
