//! The line of one document in the results of a run: JSON, in a shape with a version.

use crate::cli::{
    client::failure::{code_name, failed},
    exit::Failure,
};
use crate::kinds::Reading;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tonic::Status;
use tonic_types::StatusExt;

/// The version of the shape. It rises when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// How each line begins.
const BEGINNING: &[u8] = br#"{"version":"#;

/// A document, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultLine {
    version: u32,
    /// The path, as on the command line; `-` for standard input.
    pub file: String,
    pub status: ResultStatus,
    /// SHA-256 of its content, in hexadecimal digits; absent if it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// SHA-256 of the request without its document, and of what is sent of a PDF.
    pub options: String,
    /// What was read, and what was left out; absent if it could not be read.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// The response of the RPC in its JSON mapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Value>,
    /// What the answer costs, in US dollars, if the price of its model is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dollars: Option<f64>,
    /// Number of calls; 0 if none was made.
    pub calls: u32,
    /// Id of the batch that it was in, if it was in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// Why there is no answer, or an incomplete one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ResultError>,
}

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultStatus {
    /// It has its answer.
    Ok,
    /// The model refused, or its answer was truncated: asking again would not help.
    Incomplete,
    /// It has no answer; a resumed run asks again.
    Failed,
}

/// Why a document has no complete answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultError {
    /// The gRPC code, such as `UNAVAILABLE`; absent if it is not of a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The reason of the service's error, as in `docs/errors.md`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    message: String,
    /// The exit code of a command that has only this failure.
    exit: u8,
    #[serde(skip)]
    failure: Failure,
}

/// What a resumed run reads of a line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EarlierLine {
    version: u32,
    pub file: String,
    pub status: ResultStatus,
    #[serde(default)]
    digest: String,
    options: String,
    #[serde(default)]
    response: EarlierResponse,
}

/// What a resumed run reads of a response.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct EarlierResponse {
    /// Those of a classification.
    #[serde(default)]
    labels: Vec<String>,
}

// === impl ResultLine ===

impl ResultLine {
    /// The line of a document that has not been read.
    pub fn new(file: String, options: String) -> Self {
        ResultLine {
            version: VERSION,
            file,
            status: ResultStatus::Failed,
            digest: None,
            options,
            reading: None,
            response: None,
            dollars: None,
            calls: 0,
            batch: None,
            error: None,
        }
    }

    /// What to say about the document, and the exit code of a command that has no other;
    /// `None` for success.
    pub fn failure(&self) -> Option<&Failure> {
        self.error.as_ref().map(|error| &error.failure)
    }
}

// === impl ResultError ===

impl ResultError {
    /// What is not the failure of a call.
    pub fn of(failure: Failure) -> Self {
        let message = match &failure {
            Failure::Explained { reasons, .. } => reasons.join("; "),
            Failure::Reported(_) | Failure::PipeClosed => String::new(),
        };
        ResultError {
            code: None,
            reason: None,
            message,
            exit: failure.exit() as u8,
            failure,
        }
    }

    /// The failure of a call.
    pub fn of_call(status: &Status) -> Self {
        let details = status.get_error_details();
        ResultError {
            code: Some(code_name(status.code())),
            reason: details.error_info().map(|info| info.reason.clone()),
            message: status.message().to_owned(),
            ..ResultError::of(failed(status))
        }
    }
}

// === impl EarlierLine ===

impl EarlierLine {
    /// Reads a line; `None` if it is of another version, or was cut.
    pub fn read(line: &[u8]) -> Option<Self> {
        let line: EarlierLine = serde_json::from_slice(line).ok()?;
        (line.version == VERSION).then_some(line)
    }

    /// The labels that it has, if it is of a classification.
    pub fn labels(&self) -> &[String] {
        &self.response.labels
    }

    /// Whether this may be the beginning of a line that was cut.
    pub fn is_cut(line: &[u8]) -> bool {
        let is_blank = line.iter().all(|byte| *byte == 0);
        is_blank || line.starts_with(BEGINNING) || BEGINNING.starts_with(line)
    }

    /// Whether it answers this content with these options.
    pub fn answers(&self, digest: &str, options: &str) -> bool {
        self.status != ResultStatus::Failed && self.digest == digest && self.options == options
    }
}

/// SHA-256 in hexadecimal digits.
pub fn digest_of(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}
