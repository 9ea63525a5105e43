//! What is told apart: operations, errors, waits, and what becomes of exports.

use crate::telemetry::names;

/// What is asked of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An answer.
    Chat,
    /// A count of tokens.
    CountTokens,
    /// The catalogue.
    ListModels,
}

impl Operation {
    /// `gen_ai.operation.name`; only the first is the conventions'.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Chat => "chat",
            Operation::CountTokens => "count_tokens",
            Operation::ListModels => "list_models",
        }
    }
}

/// An `error.type` of [`names::ERROR_TYPES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorType(u8);

impl ErrorType {
    /// The one of this name; a name that is not known gives `_OTHER`.
    pub fn named(name: &str) -> ErrorType {
        let found = names::ERROR_TYPES.iter().position(|one| *one == name);
        ErrorType(found.unwrap_or(names::ERROR_TYPES.len() - 1) as u8)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        names::ERROR_TYPES[self.index()]
    }

    /// Its place in [`names::ERROR_TYPES`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What an attempt waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// For the time of its repetition.
    Backoff,
    /// For the rate limits of the API.
    RateLimit,
    /// For a permit of the concurrency limit.
    Permit,
}

/// By the values of [`Wait`].
pub const WAITS: [&str; 3] = ["backoff", "rate_limit", "permit"];

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportSignal {
    /// Spans.
    Traces,
    /// Points.
    Metrics,
    /// Log records.
    Logs,
    /// Lines on stderr.
    Stderr,
}

/// By the values of [`ExportSignal`].
pub const SIGNALS: [&str; 4] = ["traces", "metrics", "logs", "stderr"];

/// What became of exported items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportOutcome {
    /// The collector took them.
    Sent,
    /// There was no room in the queue.
    Dropped,
    /// The collector refused them, or did not answer.
    Failed,
}

/// By the values of [`ExportOutcome`].
pub const EXPORT_OUTCOMES: [&str; 3] = ["sent", "dropped", "failed"];
