//! The responses of the Message Batches API.

use super::{
    answer::Message,
    error::ErrorBody,
    lenient::{Object, body_text},
    unreadable::Unreadable,
};

/// A batch, as the API describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageBatch {
    /// Id of the batch.
    pub id: String,
    /// How far it is.
    pub status: BatchStatus,
    /// How many requests are in which state.
    pub counts: BatchCounts,
    /// RFC 3339 time of the creation.
    pub created_at: String,
}

/// `processing_status` of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchStatus {
    /// `in_progress`, and whatever is unknown here.
    InProgress,
    /// `canceling`.
    Canceling,
    /// `ended`.
    Ended,
}

/// How many requests of a batch are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BatchCounts {
    /// Not processed yet.
    pub processing: u64,
    /// Answered.
    pub succeeded: u64,
    /// Failed.
    pub errored: u64,
    /// Canceled before they were processed.
    pub canceled: u64,
    /// Not processed in time.
    pub expired: u64,
}

/// One page of the list of batches, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchPage {
    /// The batches.
    pub data: Vec<MessageBatch>,
    /// Id of the last batch, if another page follows.
    pub next_after: Option<String>,
}

/// One line of the results of a batch.
#[derive(Debug, Clone)]
pub struct BatchResult {
    /// The id that the request was submitted with.
    pub custom_id: String,
    /// What became of the request.
    pub outcome: BatchOutcome,
}

/// What became of a request of a batch.
#[derive(Debug, Clone)]
pub enum BatchOutcome {
    /// It was answered.
    Succeeded(Box<Message>),
    /// It failed.
    Errored(ErrorBody),
    /// It was canceled before it was processed.
    Canceled,
    /// It was not processed in time.
    Expired,
    /// Its answer cannot be read, or is of an unknown type.
    Unreadable(Unreadable),
}

// === impl BatchCounts ===

impl BatchCounts {
    /// All requests of the batch.
    pub fn total(&self) -> u64 {
        [
            self.processing,
            self.succeeded,
            self.errored,
            self.canceled,
            self.expired,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

// === impl MessageBatch ===

impl MessageBatch {
    /// Reads a response body.
    ///
    /// # Errors
    /// When the body is not a JSON object with the id of a batch.
    pub fn read(body: &[u8]) -> Result<MessageBatch, Unreadable> {
        let body = body_text(body);
        let object =
            Object::read(&body).map_err(|error| Unreadable::not_an_object("the body", &error))?;
        MessageBatch::of(&object).ok_or_else(|| Unreadable::at("id", "is missing"))
    }

    fn of(object: &Object<'_>) -> Option<MessageBatch> {
        let counts = object.object("request_counts").unwrap_or_default();
        let count = |name| counts.count(name).unwrap_or(0);
        let status = object.text("processing_status");
        Some(MessageBatch {
            id: object.text("id").filter(|id| !id.is_empty())?,
            status: match status.as_deref() {
                Some("ended") => BatchStatus::Ended,
                Some("canceling") => BatchStatus::Canceling,
                _ => BatchStatus::InProgress,
            },
            counts: BatchCounts {
                processing: count("processing"),
                succeeded: count("succeeded"),
                errored: count("errored"),
                canceled: count("canceled"),
                expired: count("expired"),
            },
            created_at: object.text("created_at").unwrap_or_default(),
        })
    }
}

// === impl BatchPage ===

impl BatchPage {
    /// Reads a response body. A batch without an id is left out.
    ///
    /// # Errors
    /// When the body is not a JSON object with a list of batches.
    pub fn read(body: &[u8]) -> Result<BatchPage, Unreadable> {
        let body = body_text(body);
        let page =
            Object::read(&body).map_err(|error| Unreadable::not_an_object("the body", &error))?;
        let Some(batches) = page.list("data") else {
            return Err(Unreadable::at("data", "is not a list"));
        };
        let batches = batches.into_iter();
        let read = batches.filter_map(|batch| MessageBatch::of(&Object::read(batch.get()).ok()?));
        Ok(BatchPage {
            data: read.collect(),
            next_after: page.text("last_id").filter(|_| page.is_true("has_more")),
        })
    }
}

// === impl BatchResult ===

impl BatchResult {
    /// Reads one line of the results.
    ///
    /// # Errors
    /// When the line is not a JSON object with the id of a request.
    pub fn read(line: &[u8]) -> Result<BatchResult, Unreadable> {
        let line = body_text(line);
        let object =
            Object::read(&line).map_err(|error| Unreadable::not_an_object("the line", &error))?;
        let custom_id = object.text("custom_id");
        let result = object.object("result").unwrap_or_default();
        Ok(BatchResult {
            custom_id: custom_id.ok_or_else(|| Unreadable::at("custom_id", "is missing"))?,
            outcome: BatchOutcome::of(&result),
        })
    }
}

impl BatchOutcome {
    fn of(result: &Object<'_>) -> BatchOutcome {
        match &*result.kind() {
            "succeeded" => {
                let message = result.get("message").map_or("", |message| message.get());
                match Message::read(message.as_bytes()) {
                    Ok(message) => BatchOutcome::Succeeded(Box::new(message)),
                    Err(unreadable) => BatchOutcome::Unreadable(unreadable),
                }
            }
            "errored" => {
                let error = result.get("error").map_or("", |error| error.get());
                BatchOutcome::Errored(ErrorBody::read(error.as_bytes()))
            }
            "canceled" => BatchOutcome::Canceled,
            "expired" => BatchOutcome::Expired,
            _ => BatchOutcome::Unreadable(Unreadable::at("result.type", "is unknown")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_read_whatever_is_added_to_it() {
        let body = br#"{"id":"msgbatch_1","processing_status":"ended","new":1,
            "created_at":"2026-11-28T00:00:00Z","request_counts":{"succeeded":3,"errored":1}}"#;
        let batch = MessageBatch::read(body).unwrap();
        assert_eq!(batch.status, BatchStatus::Ended);
        assert_eq!(batch.counts.total(), 4);
        assert!(MessageBatch::read(b"{}").is_err());
        assert!(MessageBatch::read(b"[]").is_err());
    }

    #[test]
    fn each_outcome_is_told_from_the_others() {
        let outcome = |result: &str| {
            let line = format!(r#"{{"custom_id":"a","result":{result}}}"#);
            BatchResult::read(line.as_bytes()).unwrap().outcome
        };
        let message = r#"{"type":"succeeded","message":{"content":[{"type":"text","text":"x"}]}}"#;
        assert!(matches!(outcome(message), BatchOutcome::Succeeded(it) if it.text() == "x"));
        let error = r#"{"type":"errored","error":{"type":"error","error":{"type":"invalid_request_error","message":"m"}}}"#;
        assert!(
            matches!(outcome(error), BatchOutcome::Errored(it) if it.kind == "invalid_request_error")
        );
        assert!(matches!(
            outcome(r#"{"type":"canceled"}"#),
            BatchOutcome::Canceled
        ));
        assert!(matches!(
            outcome(r#"{"type":"expired"}"#),
            BatchOutcome::Expired
        ));
        for unreadable in [r#"{"type":"new"}"#, "null", r#"{"type":"succeeded"}"#] {
            assert!(
                matches!(outcome(unreadable), BatchOutcome::Unreadable(_)),
                "{unreadable}"
            );
        }
        assert!(BatchResult::read(b"{}").is_err());
    }

    #[test]
    fn a_page_says_whether_another_follows() {
        let page = |more: bool| {
            let body = format!(r#"{{"data":[{{"id":"a"}},{{}}],"has_more":{more},"last_id":"a"}}"#);
            BatchPage::read(body.as_bytes()).unwrap()
        };
        assert_eq!(page(true).data.len(), 1);
        assert_eq!(page(true).next_after.as_deref(), Some("a"));
        assert_eq!(page(false).next_after, None);
    }
}
