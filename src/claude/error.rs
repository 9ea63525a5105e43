//! The body of an error response, and of an `error` event in a stream.

use serde::{Deserialize, Serialize};

/// An error reported by the API. Match on `kind` and `code`, never on the
/// message, whose wording is not stable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// The API's error type, for example `overloaded_error`; empty when the
    /// body did not come from the API (but from a proxy, say).
    pub kind: String,
    /// Explanation for humans.
    pub message: String,
    /// `error.details.error_code`, for example
    /// `enforced_spend_limit_reached`.
    pub code: Option<String>,
    /// The API's request id.
    pub request_id: Option<String>,
}

/// The error body on the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorEnvelope {
    /// Always `error`.
    #[serde(rename = "type", default = "envelope_type")]
    pub envelope: String,
    /// The error object.
    pub error: ErrorObject,
    /// The API's request id.
    #[serde(default)]
    pub request_id: Option<String>,
}

/// The error in its envelope.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorObject {
    /// The API's error type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Explanation for humans.
    #[serde(default)]
    pub message: String,
    /// Details for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<ErrorDetails>,
}

/// Details of an error, for programs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorDetails {
    /// Stable code of the cause.
    #[serde(default)]
    pub error_code: Option<String>,
}

impl ErrorBody {
    /// Parses a body. A body that did not come from the API becomes an empty
    /// `ErrorBody`: its text could be anything and is discarded.
    pub fn read(body: &[u8]) -> ErrorBody {
        match serde_json::from_slice::<ErrorEnvelope>(body) {
            Ok(envelope) => ErrorBody {
                kind: envelope.error.kind,
                message: envelope.error.message,
                code: envelope
                    .error
                    .details
                    .and_then(|details| details.error_code),
                request_id: envelope.request_id,
            },
            Err(_) => ErrorBody::default(),
        }
    }
}

/// Each HTTP status of the API's errors with its error type. If a type has
/// several statuses, its main one comes first.
const TYPES: [(u16, &str); 15] = [
    (400, "invalid_request_error"),
    (422, "invalid_request_error"),
    (401, "authentication_error"),
    (402, "billing_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (409, "conflict_error"),
    (413, "request_too_large"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (502, "api_error"),
    (503, "api_error"),
    (504, "timeout_error"),
    (408, "timeout_error"),
    (529, "overloaded_error"),
];

/// The API's error type for an HTTP status; `None` for a status that the API
/// does not document.
pub fn type_of_status(status: u16) -> Option<&'static str> {
    let found = TYPES.iter().find(|(one, _)| *one == status);
    found.map(|(_, kind)| *kind)
}

/// The HTTP status of an error type; 500 for an unknown type. Needed for
/// `error` events: their stream has already returned 200.
pub fn status_of_type(kind: &str) -> u16 {
    let found = TYPES.iter().find(|(_, one)| *one == kind);
    found.map_or(500, |(status, _)| *status)
}

fn envelope_type() -> String {
    "error".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_the_first_status_of_its_rows() {
        for (status, kind) in TYPES {
            assert_eq!(type_of_status(status), Some(kind));
        }
        assert_eq!(type_of_status(418), None);
        assert_eq!(status_of_type("invalid_request_error"), 400);
        assert_eq!(status_of_type("api_error"), 500);
        assert_eq!(status_of_type("timeout_error"), 504);
        assert_eq!(status_of_type("overloaded_error"), 529);
        assert_eq!(status_of_type("new_error"), 500);
    }
}
