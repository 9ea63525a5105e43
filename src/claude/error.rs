//! The body of an error response, and of an `error` event in a stream.

use super::lenient::{Object, body_text};
use serde::Serialize;

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
#[derive(Debug, Clone, Serialize)]
pub struct ErrorEnvelope {
    /// Always `error`.
    #[serde(rename = "type")]
    pub envelope: String,
    /// The error object.
    pub error: ErrorObject,
    /// The API's request id.
    pub request_id: Option<String>,
}

/// The error in its envelope.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorObject {
    /// The API's error type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Explanation for humans.
    pub message: String,
    /// Details for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<ErrorDetails>,
}

/// Details of an error, for programs.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorDetails {
    /// Stable code of the cause.
    pub error_code: Option<String>,
}

impl ErrorBody {
    /// Reads a body. One that is not JSON did not come from the API and becomes
    /// an empty `ErrorBody`: its text could be anything and is discarded. What
    /// else is odd in it costs only itself.
    pub fn read(body: &[u8]) -> ErrorBody {
        let (body, mut repaired) = (body_text(body), String::new());
        let Ok(envelope) = Object::read_repaired(&body, &mut repaired) else {
            return ErrorBody::default();
        };
        let request_id = envelope.text("request_id");
        let Some(error) = envelope.object("error") else {
            // Proxies write an error as a string, or without an envelope.
            let message = envelope.text("error").or_else(|| envelope.text("message"));
            let message = message.or_else(|| envelope.text("Message"));
            return ErrorBody {
                message: message.unwrap_or_default(),
                request_id,
                ..ErrorBody::default()
            };
        };
        let details = error.object("details");
        ErrorBody {
            kind: error.text("type").unwrap_or_default(),
            message: error.text("message").unwrap_or_default(),
            code: details.and_then(|details| details.text("error_code")),
            request_id,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_details_cost_neither_type_nor_message() {
        let error = |json: &str| ErrorBody::read(json.as_bytes());
        for details in [
            "null",
            "[]",
            r#"[{"a":1}]"#,
            r#""x""#,
            "7",
            "{}",
            r#"{"error_code":null}"#,
            r#"{"error_code":{}}"#,
        ] {
            let read = error(&format!(
                r#"{{"error":{{"details":{details},"type":"t","message":"m"}},"request_id":5}}"#
            ));
            assert_eq!((&*read.kind, &*read.message), ("t", "m"), "{details}");
            assert_eq!((read.code, read.request_id.as_deref()), (None, Some("5")));
        }
        let coded = error(r#"{"error":{"type":"t","message":null,"details":{"error_code":42}}}"#);
        assert_eq!((coded.code.as_deref(), &*coded.message), (Some("42"), ""));
        let half = error("\u{FEFF}{\"error\":{\"type\":\"t\",\"message\":\"a\\ud83d\"}}");
        assert_eq!(half.message, "a\u{FFFD}");
        for plain in [r#"{"error":"m"}"#, r#"{"message":"m"}"#] {
            assert_eq!(
                (error(plain).kind, &*error(plain).message),
                (String::new(), "m")
            );
        }
        for foreign in [
            "<html>m</html>",
            "",
            "[]",
            "null",
            "\"m\"",
            "{\"error\":[]}",
        ] {
            assert_eq!(error(foreign), ErrorBody::default(), "{foreign}");
        }
    }

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
