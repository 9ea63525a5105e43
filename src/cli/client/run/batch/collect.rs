//! Makes lines of the results of batches.

use super::{
    calls::{BatchCalls, status_of},
    file::{BatchedDocument, OpenBatch},
    wait::FinishedBatch,
};
use crate::{
    cli::{
        client::{
            failure::failed,
            run::{
                ask::{Asker, Outcome},
                line::ResultLine,
                question::Question,
            },
        },
        exit::Failure,
    },
    proto::v1::stream_batch_results_response::Result as ItemResult,
};
use std::collections::HashSet;
use tonic::Status;

/// Makes lines of the results of batches.
pub struct Collector<'a, 'b, Q> {
    asker: &'b Asker<'a, Q>,
    calls: &'b BatchCalls,
    /// The documents that the command line names.
    named: HashSet<String>,
    /// Those that wait for a result, with their content.
    awaited: HashSet<(String, String)>,
}

// === impl Collector ===

impl<'a, 'b, Q: Question> Collector<'a, 'b, Q> {
    /// Makes lines for the documents with these names, and for those that the command line
    /// does not name any more.
    pub fn new(asker: &'b Asker<'a, Q>, calls: &'b BatchCalls, named: HashSet<String>) -> Self {
        Collector {
            asker,
            calls,
            named,
            awaited: HashSet::new(),
        }
    }

    /// Awaits the result of a document.
    pub fn await_result(&mut self, document: &BatchedDocument) {
        self.awaited.insert(document.key());
    }

    /// What became of documents that the service refused.
    pub fn refused(&self, refused: Vec<(BatchedDocument, Status)>) -> Vec<Outcome> {
        let refused = refused.into_iter();
        let outcomes =
            refused.map(|(document, status)| Outcome::unanswered(self.line(document), &status));
        outcomes.collect()
    }

    /// What became of the documents of a batch that has ended. Documents whose content is
    /// another one by now, or that have an answer, are left out.
    ///
    /// # Errors
    /// When its results cannot be read.
    pub async fn collected(&mut self, ended: &FinishedBatch) -> Result<Vec<Outcome>, Failure> {
        let batch = &ended.batch;
        let results = match &ended.error {
            Some(error) => {
                let items = (0..batch.documents.len()).map(|index| index.to_string());
                items.map(|item| (item, Err(error.clone()))).collect()
            }
            None => self.results(batch).await?,
        };
        let mut outcomes = Vec::with_capacity(results.len());
        for (item, result) in results {
            let Some(document) = batch.document(&item) else {
                continue;
            };
            if !self.awaited.remove(&document.key()) && self.named.contains(&document.file) {
                continue;
            }
            let mut line = self.line(document.clone());
            line.batch.clone_from(&batch.id);
            outcomes.push(match result {
                Ok(answer) => self.asker.answered(line, &answer, Vec::new()),
                Err(status) => Outcome::unanswered(line, &status),
            });
        }
        Ok(outcomes)
    }

    /// The results of all items, by their ids.
    async fn results(
        &self,
        batch: &OpenBatch,
    ) -> Result<Vec<(String, Result<Q::Answer, Status>)>, Failure> {
        let results = self.calls.results(batch.id()).await;
        let results = results.map_err(|status| failed(&status))?.into_iter();
        let results = results.map(|it| {
            let result = match it.result {
                Some(ItemResult::Error(error)) => Err(status_of(&error)),
                result => {
                    let answer = result.and_then(|result| self.asker.question.batch_answer(result));
                    answer.ok_or_else(|| Status::data_loss("a result of an unknown kind"))
                }
            };
            (it.id, result)
        });
        Ok(results.collect())
    }

    /// The line of a document that has been in a batch.
    fn line(&self, document: BatchedDocument) -> Box<ResultLine> {
        let mut line = ResultLine::new(document.file, self.asker.options().to_owned());
        line.digest = Some(document.digest);
        line.reading = Some(document.reading);
        line.calls = 1;
        Box::new(line)
    }
}
