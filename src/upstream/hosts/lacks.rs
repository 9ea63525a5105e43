//! Why no host can serve a call.

use super::HostFeature;
use crate::host_features::MessageFeature;
use std::sync::Arc;
use thiserror::Error;

/// Why no host can serve a call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HostLacks {
    /// None has this part of the API.
    #[error("no host that may serve the call has {}", .0.name())]
    Feature(HostFeature),
    /// Each lacks a feature that the call needs.
    #[error("no host that may serve the call has all that it needs: {}", listed(.0))]
    Needs(Vec<LackingHost>),
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

/// A host, and a feature that it lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LackingHost {
    /// Name of the host.
    pub host: Arc<str>,
    /// What it lacks.
    pub feature: MessageFeature,
}

impl HostLacks {
    /// Why none of the hosts so far can serve a call, with why another one cannot. What
    /// they lack of its needs says more than all else.
    pub(super) fn and(self, other: HostLacks) -> HostLacks {
        match (self, other) {
            (HostLacks::Needs(mut hosts), HostLacks::Needs(others)) => {
                hosts.extend(others);
                HostLacks::Needs(hosts)
            }
            (needs @ HostLacks::Needs(_), _) => needs,
            (_, other) => other,
        }
    }
}

fn listed(hosts: &[LackingHost]) -> String {
    let one = |it: &LackingHost| format!("{} lacks {}", it.host, it.feature.name());
    hosts.iter().map(one).collect::<Vec<_>>().join(", ")
}
