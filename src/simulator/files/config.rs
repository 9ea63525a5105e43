//! `[simulator.files]`: the Files API.

use serde::{Deserialize, Serialize};

/// The Files API. Files are kept in memory, those of all API keys together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorFilesConfig {
    /// Maximum number of files. A file beyond it is refused with status 400
    /// (`storage_quota_exceeded`).
    pub max_files: usize,
    /// Maximum size of all files, in bytes. A file beyond it is refused with status 400
    /// (`storage_quota_exceeded`).
    pub max_bytes: usize,
    /// Maximum size of one file, in bytes. A larger one is refused with status 413.
    pub max_file_bytes: usize,
}

impl Default for SimulatorFilesConfig {
    fn default() -> Self {
        SimulatorFilesConfig {
            max_files: 1000,
            max_bytes: 256 * 1024 * 1024,
            max_file_bytes: 32 * 1024 * 1024,
        }
    }
}
