//! `[simulator.batches]`: Message Batches.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Message Batches. They are kept in memory, those of all API keys together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorBatchesConfig {
    /// Time from the creation of a batch to the end of its last request. The requests
    /// end one by one over that time; up to 100 are processed at the same time.
    #[serde(with = "humantime_serde")]
    pub duration: Duration,
    /// Time from the creation of a batch to its expiry: requests that are not
    /// processed by then expire.
    #[serde(with = "humantime_serde")]
    pub expires_after: Duration,
    /// Maximum number of batches. A new one replaces the oldest that has ended, or is
    /// refused with status 429 if none has.
    pub max_batches: usize,
    /// Maximum size of all batches, in bytes: of the requests until a batch ends, then
    /// of its results. Reaching it has the same effect as reaching `max_batches`.
    pub max_bytes: usize,
}

impl Default for SimulatorBatchesConfig {
    fn default() -> Self {
        SimulatorBatchesConfig {
            duration: Duration::from_secs(1),
            expires_after: Duration::from_secs(24 * 3600),
            max_batches: 1000,
            max_bytes: 512 * 1024 * 1024,
        }
    }
}
