//! Why no host can serve a call.

use super::HostFeature;
use thiserror::Error;

/// Why no host can serve a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HostLacks {
    /// None has this part of the API.
    #[error("no host that may serve the call has {}", .0.name())]
    Feature(HostFeature),
    /// None is known to serve the model.
    #[error("no host that may serve the call is known to have the model")]
    Model,
    /// None lets a call choose its workspace.
    #[error("no host that may serve the call lets it choose the workspace")]
    Workspace,
    /// The price of the model on the host is not known, and a budget in dollars applies.
    #[error(
        "no host that may serve the call has a known price for the model; a budget in dollars applies"
    )]
    Price,
    /// The call, its client and its route allow none.
    #[error("no host may serve the call")]
    Host,
}
