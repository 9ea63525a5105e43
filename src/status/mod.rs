//! The one place where gRPC statuses are made.
//!
//! Every status carries `google.rpc.ErrorInfo` with a [`Reason`]; if the API
//! responded, `RequestInfo` with its request id; if a retry makes sense,
//! `RetryInfo`. `grpc-retry-pushback-ms` (gRFC A6) repeats this for gRPC
//! clients: when to retry, or, once the service itself has retried or the call
//! must be signed again, not to.
//!
//! A status always fits into the trailers that clients accept (`size`).

mod access;
mod answer;
mod batches;
mod documents;
mod files;
mod server;
mod size;
mod upstream;
mod violations;

pub use access::{denied, rejected};
pub use answer::invalid_answer;
pub use batches::{
    batch_failed, batches_disabled, item_canceled, item_error, item_expired, item_failed,
    item_unreadable,
};
pub use documents::{complete_part, failed_item, in_part, items_cannot_be_signed, retry_delay};
pub use files::{file_failed, files_disabled};
pub use server::{
    deadline_exceeded, detailed, draining, invalid_timeout, malformed_message, message_too_dense,
    message_too_large, message_too_large_decoded, metadata_too_large, out_of_message_memory,
    overloaded, overloaded_by_peer, overloaded_by_tenant, panicked, reader_stalled,
    request_stalled, service_unknown, too_many_pending_calls, too_many_watches,
    too_many_watches_of_peer,
};
pub use upstream::upstream_failed;
pub use violations::{Path, Violations};

use crate::{
    proto::ERROR_DOMAIN,
    reason::{Reason, Retry},
};
use http::{HeaderMap, HeaderValue};
use std::{collections::HashMap, time::Duration};
use tonic::{Code, Status};
use tonic_types::ErrorDetails;

/// The metadata that tells gRPC clients when to retry (gRFC A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Tells a gRPC client not to repeat the call of this response, if it failed.
/// `RetryInfo` still says when it may succeed.
///
/// Covers statuses in the headers: with headers that are not a status, the
/// client does not retry anyway.
pub fn forbid_retry(headers: &mut HeaderMap) {
    let status = headers.get(Status::GRPC_STATUS);
    if status.is_some_and(|code| code != "0") {
        headers.insert(PUSHBACK, HeaderValue::from_static("-1"));
    }
}

/// A status under construction.
struct Draft {
    code: Code,
    message: String,
    details: ErrorDetails,
    retry: Retry,
    /// Attempts that were made for the call.
    attempts: u32,
}

impl Draft {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Draft {
            code: reason.code(),
            message: message.into(),
            details: ErrorDetails::with_error_info(reason.name(), ERROR_DOMAIN, []),
            retry: reason.retry(),
            attempts: 0,
        }
    }

    /// Puts `metadata` into the `ErrorInfo`. Its values are identifiers.
    fn metadata(mut self, reason: Reason, metadata: &[(&str, &str)]) -> Self {
        let metadata: HashMap<String, String> = metadata
            .iter()
            .map(|(name, value)| ((*name).to_owned(), size::identifier(value)))
            .collect();
        self.details
            .set_error_info(reason.name(), ERROR_DOMAIN, metadata);
        self
    }

    /// Adds the API's request id, for support.
    fn request_id(mut self, request_id: Option<&str>) -> Self {
        if let Some(request_id) = request_id {
            self.details
                .set_request_info(size::identifier(request_id), "");
        }
        self
    }

    /// Overrides the retry delay of the reason, if more is known.
    fn retry_after(mut self, delay: Option<Duration>) -> Self {
        if let (Retry::After(_), Some(delay)) = (self.retry, delay) {
            self.retry = Retry::After(delay);
        }
        self
    }

    fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    fn build(mut self) -> Status {
        if let Retry::After(delay) = self.retry {
            self.details.set_retry_info(Some(delay));
        }
        let pushback = self.pushback();
        let mut status = size::fitting(self.code, &self.message, self.details);
        if let Some(pushback) = pushback {
            status.metadata_mut().insert(PUSHBACK, pushback.into());
        }
        status
    }

    /// What gRPC clients with a retry policy should do. Retries in several
    /// layers multiply, so clients must not retry once the service has.
    fn pushback(&self) -> Option<i32> {
        if !matches!(self.code, Code::Unavailable | Code::ResourceExhausted) {
            return None;
        }
        Some(match self.retry {
            Retry::After(delay) if self.attempts <= 1 => {
                i32::try_from(delay.as_millis()).unwrap_or(i32::MAX)
            }
            _ => -1,
        })
    }
}

/// A status with only its reason and its message.
fn plain(reason: Reason, message: impl Into<String>) -> Status {
    Draft::new(reason, message).build()
}
