//! Values of labels: operations, errors, waits, and outcomes of exports.

use crate::telemetry::names;

/// An operation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Create a message.
    Chat,
    /// Count the tokens of a request.
    CountTokens,
    /// List the available models.
    ListModels,
    /// Create a batch.
    CreateBatch,
    /// List batches.
    ListBatches,
    /// Read a batch.
    GetBatch,
    /// Cancel a batch.
    CancelBatch,
    /// Delete a batch.
    DeleteBatch,
    /// Read the results of a batch.
    BatchResults,
    /// Upload a file.
    UploadFile,
    /// Read what is known of a file.
    GetFile,
    /// Delete a file.
    DeleteFile,
    /// Read the content of a file.
    DownloadFile,
}

impl Operation {
    /// The value of `gen_ai.operation.name`. The conventions define `chat` only.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Chat => "chat",
            Operation::CountTokens => "count_tokens",
            Operation::ListModels => "list_models",
            Operation::CreateBatch => "create_batch",
            Operation::ListBatches => "list_batches",
            Operation::GetBatch => "get_batch",
            Operation::CancelBatch => "cancel_batch",
            Operation::DeleteBatch => "delete_batch",
            Operation::BatchResults => "batch_results",
            Operation::UploadFile => "upload_file",
            Operation::GetFile => "get_file",
            Operation::DeleteFile => "delete_file",
            Operation::DownloadFile => "download_file",
        }
    }
}

/// An `error.type` of [`names::ERROR_TYPES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorType(u8);

impl ErrorType {
    /// The type with this name, or `_OTHER` if the name is unknown.
    pub fn named(name: &str) -> ErrorType {
        let found = names::ERROR_TYPES.iter().position(|one| *one == name);
        ErrorType(found.unwrap_or(names::ERROR_TYPES.len() - 1) as u8)
    }

    /// The name of the type.
    pub fn name(self) -> &'static str {
        names::ERROR_TYPES[self.index()]
    }

    /// The index into [`names::ERROR_TYPES`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What an attempt waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// For the backoff before a retry.
    Backoff,
    /// For the rate limits of the API.
    RateLimit,
    /// For a permit of the concurrency limit.
    Permit,
    /// For the first call with the same prefix, which writes it to the prompt cache.
    PromptCache,
}

/// Label values, indexed by [`Wait`].
pub const WAITS: [&str; 4] = ["backoff", "rate_limit", "permit", "prompt_cache"];

/// A kind of exported item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportSignal {
    /// Spans of traces.
    Traces,
    /// Points of metrics.
    Metrics,
    /// Log records.
    Logs,
    /// Log lines on stderr.
    Stderr,
}

/// Label values, indexed by [`ExportSignal`].
pub const SIGNALS: [&str; 4] = ["traces", "metrics", "logs", "stderr"];

/// The outcome of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportOutcome {
    /// The collector accepted the items.
    Sent,
    /// The queue was full.
    Dropped,
    /// The collector rejected the items or did not respond.
    Failed,
}

/// Label values, indexed by [`ExportOutcome`].
pub const EXPORT_OUTCOMES: [&str; 3] = ["sent", "dropped", "failed"];
