//! What a client is limited to: its usage, and the priority of its calls.

use crate::call::Priority;
use serde::{Deserialize, Serialize};

/// The limits of a client. An absent limit means unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientLimits {
    /// Calls per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Input tokens per minute, cache reads included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens_per_minute: Option<u64>,
    /// Concurrent calls, streams included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_in_flight: Option<u64>,
    /// Input and output tokens per day (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// Input and output tokens per calendar month (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_month: Option<u64>,
    /// US dollars per day (UTC), according to the price table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dollars_per_day: Option<f64>,
    /// US dollars per calendar month (UTC), according to the price table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dollars_per_month: Option<f64>,
}

impl ClientLimits {
    /// Whether there is no limit.
    pub(super) fn is_unlimited(&self) -> bool {
        *self == ClientLimits::default()
    }

    /// Whether a budget in dollars applies.
    pub fn are_in_dollars(&self) -> bool {
        self.dollars_per_day.is_some() || self.dollars_per_month.is_some()
    }
}

/// A priority, as spelled in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PriorityName {
    /// Calls that nobody is waiting for.
    Batch,
    /// Calls that somebody is waiting for.
    #[default]
    Interactive,
}

impl From<PriorityName> for Priority {
    fn from(name: PriorityName) -> Priority {
        match name {
            PriorityName::Batch => Priority::Batch,
            PriorityName::Interactive => Priority::Interactive,
        }
    }
}
