//! A run whose documents are submitted as batches, at half the price.
//!
//! - **All documents are submitted first**, and results are collected as batches end.
//! - **Nothing is submitted twice**: the [`BatchesFile`] has each batch before the service
//!   has it, and until the output file has its results.
//! - **The first document goes alone** where all have a long prompt in common: the API
//!   processes the items of a batch side by side, and the others find the prompt in its
//!   cache.

mod calls;
mod collect;
mod count;
mod file;
mod pack;
mod submit;
mod wait;

pub use count::BatchCount;
pub use file::BatchesFile;

use super::{
    ask::{Asker, Opened, Outcome},
    line::EarlierLine,
    question::Question,
};
use crate::{
    cli::{
        client::{document::DocumentContent, inputs::Input, short_document::ShortDocument},
        exit::Failure,
    },
    proto::v1::CacheTtl,
};
use async_stream::try_stream;
use calls::BatchCalls;
use collect::Collector;
use file::BatchedDocument;
use futures::{Stream, StreamExt, stream};
use pack::Pack;
use std::{
    mem,
    pin::pin,
    time::{Duration, Instant},
};
use submit::{KnownDocuments, Submitter};
use wait::{BatchWaiter, Waited};

/// Documents that are read at once.
const AT_ONCE: usize = 4;

/// How many documents make it worth to submit the first one alone.
const MIN_TO_WARM: usize = 3;

/// How long the first document is waited for. Then the others go without it.
const MAX_WARMING: Duration = Duration::from_secs(15 * 60);

/// A run whose documents are submitted as batches.
pub struct BatchRun<'a, Q> {
    pub asker: Asker<'a, Q>,
    /// The batches of earlier runs, with which it goes on.
    pub file: BatchesFile,
    /// Maximum number of documents in a batch, all of whose results are in memory at once.
    pub size: usize,
    /// How long batches are waited for; `None` until they have ended.
    pub wait_for: Option<Duration>,
}

/// A document that was read for a batch.
enum Prepared {
    /// Nothing more is to be done about it.
    Done(Outcome),
    /// It is in a batch that the service has.
    InBatch(BatchedDocument),
    /// It is to be submitted.
    Document(BatchedDocument, ShortDocument),
}

// === impl BatchRun ===

impl<'a, Q: Question> BatchRun<'a, Q> {
    /// What becomes of each document. Whoever asks for the next outcome has written those
    /// before to the output file.
    pub fn outcomes(
        self,
        documents: Vec<(&'a Input, Option<EarlierLine>)>,
    ) -> impl Stream<Item = Result<Outcome, Failure>> {
        try_stream! {
            let BatchRun { asker, file, size, wait_for } = self;
            let (stop, waits) = (&asker.stop, wait_for != Some(Duration::ZERO));
            let mut is_cold =
                asker.question.shares_prompt() && documents.len() >= MIN_TO_WARM && waits;
            let ttl = if is_cold { CacheTtl::CacheTtl1h } else { CacheTtl::Unspecified };
            let calls = BatchCalls::new(asker.connection, asker.retry_for, stop.clone());
            let names = documents.iter().map(|(input, _)| input.source.name());
            let mut collector = Collector::new(&asker, &calls, names.collect());
            let mut submitter = Submitter::new(&calls, file, asker.options());
            let known = submitter.known();
            let mut pack = Pack::new(asker.options());

            let prepared = documents
                .into_iter()
                .map(|(input, earlier)| asker.prepared(input, earlier, &known));
            let mut prepared = pin!(stream::iter(prepared).buffered(AT_ONCE));
            while let Some(document) = prepared.next().await {
                match document {
                    Prepared::Done(outcome) => yield outcome,
                    Prepared::InBatch(document) => collector.await_result(&document),
                    Prepared::Document(document, content) => {
                        collector.await_result(&document);
                        let request = asker.question.batch_request(content, ttl);
                        if let Some(request) = submitter.restored(&document, request) {
                            pack.add(document, request);
                        }
                    }
                }
                let most = if is_cold { 1 } else { size };
                if pack.len() < most && !pack.is_large() {
                    continue;
                }
                let full = mem::replace(&mut pack, Pack::new(asker.options()));
                let submitted = submitter.submit(full).await?;
                for outcome in collector.refused(submitted.refused) {
                    yield outcome;
                }
                if mem::take(&mut is_cold) {
                    let time = wait_for.map_or(MAX_WARMING, |time| time.min(MAX_WARMING));
                    let end = Some(Instant::now() + time);
                    let mut waiter = BatchWaiter::new(&calls, stop, submitted.batch, end);
                    while let Waited::Not(count) = waiter.next().await? {
                        yield Outcome::InBatches(count);
                    }
                }
            }
            for pack in submitter.rest(pack) {
                let submitted = submitter.submit(pack).await?;
                for outcome in collector.refused(submitted.refused) {
                    yield outcome;
                }
            }

            let end = wait_for.map(|time| Instant::now() + time);
            let mut waiter = BatchWaiter::new(&calls, stop, submitter.submitted(), end);
            loop {
                match waiter.next().await? {
                    Waited::Ended(ended) => {
                        for outcome in collector.collected(&ended).await? {
                            yield outcome;
                        }
                        submitter.forget(&ended.batch).await?;
                    }
                    Waited::Not(count) => yield Outcome::InBatches(count),
                    Waited::Over(count) => {
                        yield Outcome::InBatches(count);
                        break;
                    }
                }
            }
            submitter.end()?;
        }
    }
}

// === impl Asker ===

impl<Q: Question> Asker<'_, Q> {
    /// Reads a document for a batch, unless one of these has it.
    async fn prepared(
        &self,
        input: &Input,
        earlier: Option<EarlierLine>,
        known: &KnownDocuments,
    ) -> Prepared {
        let (document, mut line) = match self.opened(input, earlier).await {
            Opened::Done(outcome) => return Prepared::Done(outcome),
            Opened::Document(document, line) => (document, line),
        };
        let digest = line.digest.clone().unwrap_or_default();
        let mut batched = BatchedDocument::new(line.file.clone(), digest);
        if known.contains(&batched) {
            return Prepared::InBatch(batched);
        }
        let document = match self.read(document, &mut line).await {
            Ok(DocumentContent::Short(document)) => document,
            Ok(DocumentContent::Long(_)) => {
                let advice = "is too long for a batch: ask about it without --batch";
                return Prepared::Done(Outcome::failed(line, Failure::usage(advice)));
            }
            Err(failure) => return Prepared::Done(Outcome::failed(line, failure)),
        };
        match self
            .reserve(&DocumentContent::Short(document.clone()))
            .await
        {
            Ok(Some(_)) => {}
            Ok(None) => return Prepared::Done(Outcome::NotAsked),
            Err(status) => return Prepared::Done(Outcome::unanswered(line, &status)),
        }
        batched.reading = line.reading.unwrap_or_default();
        Prepared::Document(batched, document)
    }
}
