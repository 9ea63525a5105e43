//! `[admin]`: the port for operators.

use super::host;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::sync::Semaphore;

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
    /// service starts without an admin port if that is in use. An address other
    /// than loopback requires `allow_remote`.
    pub listen: Option<SocketAddr>,
    /// Whether `listen` may be an address other than loopback. Only where a
    /// network policy or a firewall lets nobody but operators reach it: the admin
    /// port has no access control and no TLS.
    pub allow_remote: bool,
    /// Hosts that requests may name in addition to IP addresses and `localhost`,
    /// such as `claude-grpc.example.com`, without a port. Requests for other
    /// hosts get HTTP 421: a web page could have its own name resolve to the admin
    /// port (DNS rebinding).
    pub allowed_hosts: Vec<String>,
    /// Maximum number of open connections; at least 1. For a further one, the oldest
    /// idle connection of the peer with the most is closed; if no peer with as many
    /// has an idle one, the further one is. A quarter of them may be of one peer: an
    /// IPv4 address, or the first 64 bits of an IPv6 address; its further
    /// connections are closed at once. A connection is closed after 30 seconds
    /// without a request, and after 10 minutes.
    pub max_connections: usize,
}

impl Default for AdminConfig {
    fn default() -> Self {
        AdminConfig {
            enabled: true,
            listen: None,
            allow_remote: false,
            allowed_hosts: Vec::new(),
            max_connections: 64,
        }
    }
}

impl AdminConfig {
    /// Validates what the types do not express. Calls `wrong` with the key and
    /// the problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        let remote = self
            .listen
            .filter(|it| !it.ip().to_canonical().is_loopback());
        if let Some(listen) = remote
            && self.enabled
            && !self.allow_remote
        {
            let problem = format!(
                "{listen} is not a loopback address, and the admin port has no access control: \
                 listen on 127.0.0.1, or set admin.allow_remote = true if only operators can \
                 reach it"
            );
            wrong("listen", problem);
        }
        for name in &self.allowed_hosts {
            if !host::is_host(name) {
                let problem =
                    format!("invalid host {name:?}: must be like claude-grpc.example.com");
                wrong("allowed_hosts", problem);
            }
        }
        let maximum = Semaphore::MAX_PERMITS;
        if !(1..=maximum).contains(&self.max_connections) {
            wrong(
                "max_connections",
                format!("must be between 1 and {maximum}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(change: impl FnOnce(&mut AdminConfig)) -> Vec<String> {
        let mut config = AdminConfig::default();
        change(&mut config);
        let mut keys = Vec::new();
        config.check(&mut |key, _| keys.push(key.to_owned()));
        keys
    }

    #[test]
    fn only_who_asks_for_it_listens_beyond_loopback() {
        let listens = |address: &str, allow_remote, enabled| {
            wrong(|config| {
                config.listen = Some(address.parse().unwrap());
                config.allow_remote = allow_remote;
                config.enabled = enabled;
            })
        };
        for local in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(listens(local, false, true).is_empty(), "{local}");
        }
        for remote in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            assert_eq!(listens(remote, false, true), ["listen"], "{remote}");
            assert!(listens(remote, true, true).is_empty(), "{remote}");
            assert!(listens(remote, false, false).is_empty(), "{remote}");
        }
    }

    #[test]
    fn what_would_never_match_or_accept_is_named() {
        let host = |name: &str| vec![name.to_owned()];
        assert!(wrong(|it| it.allowed_hosts = host("a.example")).is_empty());
        assert_eq!(
            wrong(|it| it.allowed_hosts = host("a:1")),
            ["allowed_hosts"]
        );
        assert_eq!(wrong(|it| it.max_connections = 0), ["max_connections"]);
    }
}
