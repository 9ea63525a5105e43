//! The parts of a document, of which several are at work at once.

use super::{
    input::{DocumentInput, DocumentMessage, not_utf8},
    sizes::CallSizes,
};
use crate::documents::Splitter;
use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use std::vec;
use tonic::Status;

/// The parts of a document, as they are done. While as many as may be are at work, no
/// more of the document is read.
pub struct PartsInFlight<F> {
    splitter: Splitter,
    /// What was read before.
    chunks: vec::IntoIter<Bytes>,
    has_ended: bool,
    /// Maximum number of parts at once.
    parallel: usize,
    begun: usize,
    running: FuturesUnordered<F>,
}

// === impl PartsInFlight ===

impl<T, F: Future<Output = Result<T, Status>>> PartsInFlight<F> {
    /// The parts of the document that begins with these chunks.
    pub fn new(chunks: Vec<Bytes>, sizes: CallSizes, parallel: usize) -> Self {
        PartsInFlight {
            splitter: Splitter::new(sizes.measure, sizes.part),
            chunks: chunks.into_iter(),
            has_ended: false,
            parallel,
            begun: 0,
            running: FuturesUnordered::new(),
        }
    }

    /// The next part that is done; `None` once all are. `work` does it, for the number of
    /// the part and its text.
    ///
    /// # Errors
    /// When a part fails, or the document cannot be read.
    pub async fn next<M: DocumentMessage>(
        &mut self,
        input: &mut DocumentInput<M>,
        mut work: impl FnMut(usize, String) -> F,
    ) -> Result<Option<T>, Status> {
        loop {
            while self.running.len() < self.parallel {
                let Some(text) = self.splitter.next_part() else {
                    break;
                };
                self.running.push(work(self.begun, text));
                self.begun += 1;
            }
            if self.has_ended && self.running.is_empty() {
                return Ok(None);
            }
            let may_read = !self.has_ended && self.running.len() < self.parallel;
            if may_read && let Some(chunk) = self.chunks.next() {
                self.splitter.push(&chunk).map_err(not_utf8)?;
                continue;
            }
            tokio::select! {
                biased;
                Some(done) = self.running.next() => return done.map(Some),
                chunk = input.next(), if may_read => match chunk? {
                    Some(chunk) => self.splitter.push(&chunk).map_err(not_utf8)?,
                    None => {
                        self.splitter.end().map_err(not_utf8)?;
                        self.has_ended = true;
                    }
                },
            }
        }
    }

    /// How many are at work.
    pub fn in_flight(&self) -> usize {
        self.running.len()
    }
}
