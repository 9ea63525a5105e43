//! `[admin]`: the port for operators.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The address of the admin port when `admin.listen` is unset.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// The admin port: metrics, health, the status page and the log level. It does
/// not authenticate anyone, so it must only be reachable by operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Whether to open the admin port.
    pub enabled: bool,
    /// Address and port of the admin port. Unset, it is 127.0.0.1:9464, and the
    /// service starts without an admin port if that is in use.
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
