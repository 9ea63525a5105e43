//! The effort of the model, as flags and templates name it.

use crate::proto::v1;
use clap::ValueEnum;
use serde::Deserialize;

/// How much work the model puts into an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EffortName {
    /// The least effort: fast and short.
    Low,
    /// Balanced effort.
    Medium,
    /// Thorough work.
    High,
    /// More than high. Not every model supports it.
    Xhigh,
    /// The maximum. Not every model supports it.
    Max,
}

impl From<EffortName> for v1::Effort {
    fn from(effort: EffortName) -> Self {
        match effort {
            EffortName::Low => v1::Effort::Low,
            EffortName::Medium => v1::Effort::Medium,
            EffortName::High => v1::Effort::High,
            EffortName::Xhigh => v1::Effort::Xhigh,
            EffortName::Max => v1::Effort::Max,
        }
    }
}
