//! `[admin]`: the port for those who run the service.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where the admin port is, unless it is configured.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// The admin port: metrics, health, the status page, the level of the logs. It
/// asks nobody who they are, so it belongs on an address that only operators
/// reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Whether there is one.
    pub enabled: bool,
    /// Its address and port. Without it 127.0.0.1:9464, if that is free.
    pub listen: Option<SocketAddr>,
}

impl Default for AdminConfig {
    fn default() -> Self {
        AdminConfig {
            enabled: true,
            listen: None,
        }
    }
}
