//! Submits batches, each under an id by which the service knows it again.

use super::{
    calls::BatchCalls,
    file::{BatchedDocument, BatchesFile, OpenBatch},
    pack::Pack,
};
use crate::{
    cli::{client::failure::failed, exit::Failure},
    proto::{ERROR_DOMAIN, v1::batch_item::Request},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

/// Submits batches.
pub struct Submitter<'a> {
    calls: &'a BatchCalls,
    file: BatchesFile,
    /// SHA-256 of the requests without their documents, in hexadecimal digits.
    options: String,
    /// The batches that an earlier run may have submitted.
    again: Vec<Pack>,
    /// Where the documents of those are: the index of the batch, and theirs in it.
    places: HashMap<(String, String), (usize, usize)>,
}

/// What became of a submission.
pub struct Submitted {
    /// The batch; none if all of its documents were refused.
    pub batch: Vec<OpenBatch>,
    /// The documents that the service cannot ask about, and why.
    pub refused: Vec<(BatchedDocument, Status)>,
}

/// The documents in batches that the service has.
pub struct KnownDocuments(HashSet<(String, String)>);

// === impl Submitter ===

impl<'a> Submitter<'a> {
    /// Submits requests with these options, and goes on with those batches in the file that
    /// have the same.
    pub fn new(calls: &'a BatchCalls, file: BatchesFile, options: &str) -> Self {
        let mut submitter = Submitter {
            calls,
            file,
            options: options.to_owned(),
            again: Vec::new(),
            places: HashMap::new(),
        };
        let unknown = submitter.open_batches().filter(|it| it.id.is_none());
        let unknown: Vec<OpenBatch> = unknown.cloned().collect();
        for (number, batch) in unknown.into_iter().enumerate() {
            let documents = batch.documents.iter().enumerate();
            let places = documents.map(|(index, it)| (it.key(), (number, index)));
            submitter.places.extend(places);
            submitter.again.push(Pack::again(batch));
        }
        submitter
    }

    /// The documents in batches that the service has.
    pub fn known(&self) -> KnownDocuments {
        let batches = self.open_batches().filter(|it| it.id.is_some());
        let documents = batches.flat_map(|it| it.documents.iter());
        KnownDocuments(documents.map(BatchedDocument::key).collect())
    }

    /// Puts a request into the batch of an earlier run that had it, and returns it if there
    /// is none.
    pub fn restored(&mut self, document: &BatchedDocument, request: Request) -> Option<Request> {
        let Some((number, index)) = self.places.remove(&document.key()) else {
            return Some(request);
        };
        self.again[number].restore(index, request);
        None
    }

    /// What is left to submit: the batches of earlier runs, and this one.
    pub fn rest(&mut self, pack: Pack) -> Vec<Pack> {
        let mut rest = std::mem::take(&mut self.again);
        rest.push(pack);
        rest.retain(|pack| pack.len() > 0);
        rest
    }

    /// Submits a batch, without the documents that the service refuses.
    ///
    /// # Errors
    /// When the file cannot be written, or the service does not take the batch for another
    /// cause. A resumed run submits it again.
    pub async fn submit(&mut self, mut pack: Pack) -> Result<Submitted, Failure> {
        if !pack.is_of_earlier_run() {
            written(self.file.submitting(pack.batch()))?;
        }
        let mut refused = Vec::new();
        loop {
            let request_id = &pack.batch().request_id;
            if pack.len() == 0 {
                written(self.file.collected(request_id))?;
                let batch = Vec::new();
                return Ok(Submitted { batch, refused });
            }
            match self.calls.submit(request_id, pack.items()).await {
                Ok(batch) => {
                    written(self.file.submitted(request_id, batch.id.clone()))?;
                    let batch = OpenBatch {
                        id: Some(batch.id),
                        ..pack.batch().clone()
                    };
                    let batch = vec![batch];
                    return Ok(Submitted { batch, refused });
                }
                Err(status) => {
                    let places = refused_places(&status);
                    if places.is_empty() {
                        return Err(failed(&status).about("the batch was not submitted"));
                    }
                    refused.extend(pack.without(&places));
                }
            }
        }
    }

    /// The batches that the service has.
    pub fn submitted(&self) -> Vec<OpenBatch> {
        let batches = self.open_batches().filter(|it| it.id.is_some());
        batches.cloned().collect()
    }

    /// Forgets and deletes a batch whose results are in the output file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn forget(&mut self, batch: &OpenBatch) -> Result<(), Failure> {
        written(self.file.collected(&batch.request_id))?;
        self.calls.delete(batch.id()).await;
        Ok(())
    }

    /// Ends the run: removes the file if no batch is left in it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn end(self) -> Result<(), Failure> {
        written(self.file.remove_if_empty())
    }

    fn open_batches(&self) -> impl Iterator<Item = &OpenBatch> {
        let all = self.file.open_batches().iter();
        all.filter(|it| it.options == self.options)
    }
}

// === impl KnownDocuments ===

impl KnownDocuments {
    /// Whether a document is among them.
    pub fn contains(&self, document: &BatchedDocument) -> bool {
        self.0.contains(&document.key())
    }
}

/// The places of the items that make the service refuse a batch, and what is wrong with
/// each of them.
fn refused_places(status: &Status) -> BTreeMap<usize, Status> {
    let details = status.get_error_details();
    let info = details.error_info();
    let reason = info.map_or("", |info| info.reason.as_str());
    let mut problems = BTreeMap::<usize, String>::new();
    for violation in details
        .bad_request()
        .map_or(&[][..], |it| &it.field_violations)
    {
        if let Some((place, field)) = place_in(&violation.field) {
            let problem = format!("{field}: {}", violation.description);
            let all = problems.entry(place).or_default();
            let separator = if all.is_empty() { "" } else { "; " };
            *all = format!("{all}{separator}{problem}");
        }
    }
    let refused = problems.into_iter().map(|(place, problem)| {
        let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, []);
        let status = Status::with_error_details(status.code(), problem, details);
        (place, status)
    });
    refused.collect()
}

/// The number and the field in `items[17].summarize.text`.
fn place_in(field: &str) -> Option<(usize, &str)> {
    let (place, field) = field.strip_prefix("items[")?.split_once("].")?;
    Some((place.parse().ok()?, field))
}

fn written<T>(written: io::Result<T>) -> Result<T, Failure> {
    written.map_err(|error| Failure::usage(format!("failed to write the file of batches: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_named_by_its_place() {
        assert_eq!(
            place_in("items[17].summarize.text"),
            Some((17, "summarize.text"))
        );
        for other in ["items", "request_id", "items[x].id", "text"] {
            assert_eq!(place_in(other), None, "{other}");
        }
    }
}
