//! The body of an error answer, and of an `error` event in a stream.

use serde::{Deserialize, Serialize};

/// What the API says of an error. Branch on `kind` and `code`, never on the
/// message, whose wording is not stable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// The API's error type, for example `overloaded_error`; empty when the
    /// body was not the API's (a proxy's page, say).
    pub kind: String,
    /// Explanation for people.
    pub message: String,
    /// `error.details.error_code`, for example
    /// `enforced_spend_limit_reached`.
    pub code: Option<String>,
    /// The API's id of the request.
    pub request_id: Option<String>,
}

/// The error body on the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorEnvelope {
    /// Always `error`.
    #[serde(rename = "type", default = "envelope_type")]
    pub envelope: String,
    /// The error.
    pub error: ErrorObject,
    /// The API's id of the request.
    #[serde(default)]
    pub request_id: Option<String>,
}

/// The error in its envelope.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorObject {
    /// Error type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Explanation for people.
    #[serde(default)]
    pub message: String,
    /// More for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<ErrorDetails>,
}

/// More about an error, for programs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorDetails {
    /// Stable code of the cause.
    #[serde(default)]
    pub error_code: Option<String>,
}

impl ErrorBody {
    /// Reads a body. One that is not the API's gives an empty `ErrorBody`: its
    /// text may be anything and goes nowhere.
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

fn envelope_type() -> String {
    "error".to_owned()
}
