//! `[simulator]`: the stand-in for the Claude API.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Where the simulator listens, and how it behaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorConfig {
    /// Address and port to listen on; port 0 for any free one.
    pub listen: SocketAddr,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        SimulatorConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}
