//! One batch, and how the API describes it.

use bytes::Bytes;
use serde::Serialize;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio_util::sync::CancellationToken;

/// A batch as of now.
#[derive(Debug, Clone)]
pub(in crate::simulator) struct Batch {
    pub(super) id: String,
    /// The API key that created it.
    pub(super) key: String,
    pub(super) created_at: SystemTime,
    pub(super) expires_after: Duration,
    pub(super) cancel_initiated_at: Option<SystemTime>,
    /// Number of its requests.
    pub(super) requests: usize,
    /// Bytes that it takes: of the requests until it ends, then of the results.
    pub(super) bytes: usize,
    /// Cancelled when the rest of the requests is not to be processed.
    pub(super) stop: CancellationToken,
    pub(super) ended: Option<EndedBatch>,
}

/// Why a call of a batch is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchRefusal {
    /// The key has no batch of this id.
    Unknown,
    /// It has no results before it has ended.
    NoResults,
    /// It is not deleted before it has ended.
    InProgress,
    /// The batches in progress leave no room for another one.
    NoRoom,
}

/// What is known of a batch once it has ended.
#[derive(Debug, Clone)]
pub(super) struct EndedBatch {
    pub(super) at: SystemTime,
    pub(super) counts: RequestCounts,
    /// Lines of JSON, each with its end.
    pub(super) results: Arc<[Bytes]>,
}

/// Numbers of requests by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct RequestCounts {
    pub(super) processing: usize,
    pub(super) succeeded: usize,
    pub(super) errored: usize,
    pub(super) canceled: usize,
    pub(super) expired: usize,
}

impl Batch {
    /// The results.
    ///
    /// # Errors
    /// Until the batch has ended.
    pub(super) fn results(&self) -> Result<Arc<[Bytes]>, BatchRefusal> {
        match &self.ended {
            Some(ended) => Ok(Arc::clone(&ended.results)),
            None => Err(BatchRefusal::NoResults),
        }
    }

    /// The object of the API, with the URL of the results at an origin.
    pub(super) fn described(&self, origin: &str) -> DescribedBatch<'_> {
        let ended = self.ended.as_ref();
        let processing_status = match (ended, self.cancel_initiated_at) {
            (Some(_), _) => "ended",
            (None, Some(_)) => "canceling",
            (None, None) => "in_progress",
        };
        // The requests are counted as processing until all have ended.
        let processing = RequestCounts {
            processing: self.requests,
            ..RequestCounts::default()
        };
        DescribedBatch {
            id: &self.id,
            kind: "message_batch",
            processing_status,
            request_counts: ended.map_or(processing, |ended| ended.counts),
            created_at: rfc3339(self.created_at),
            expires_at: rfc3339(self.created_at + self.expires_after),
            ended_at: ended.map(|ended| rfc3339(ended.at)),
            cancel_initiated_at: self.cancel_initiated_at.map(rfc3339),
            archived_at: None,
            results_url: ended.map(|_| format!("{origin}{}/{}/results", super::PATH, self.id)),
        }
    }
}

/// The object of the API.
#[derive(Debug, Serialize)]
pub(super) struct DescribedBatch<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    processing_status: &'static str,
    request_counts: RequestCounts,
    created_at: String,
    expires_at: String,
    ended_at: Option<String>,
    cancel_initiated_at: Option<String>,
    /// Results are never archived: a batch goes with them.
    archived_at: Option<String>,
    results_url: Option<String>,
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time).to_string()
}
