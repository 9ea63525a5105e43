//! Prevents the service from being exposed to a network by mistake.

use crate::{access::AccessConfig, server::ServerConfig};
use std::net::SocketAddr;
use thiserror::Error;

/// The service would be reachable from other machines without access control or
/// without TLS, and the configuration does not opt out of that explicitly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ExposureError {
    /// Access control is off, so that anyone could use the API key.
    #[error(
        "server.listen ({0}) is not a loopback address, and without access control anyone who \
         can reach it could use the API key: set access.clients_file (`claude-grpc clients add` \
         creates one), listen on 127.0.0.1, or set access.allow_anonymous = true if something \
         else authenticates callers"
    )]
    Anonymous(SocketAddr),
    /// TLS is off, so that keys and prompts would be sent in plaintext.
    #[error(
        "server.listen ({0}) is not a loopback address, and without TLS keys and prompts would be \
         sent in plaintext: set server.tls.cert_file and server.tls.key_file, listen on \
         127.0.0.1, or set server.allow_plaintext = true if the network or a proxy encrypts \
         traffic"
    )]
    PlainText(SocketAddr),
}

impl ExposureError {
    /// Checks the address that the service would listen on. A simulator without
    /// clients may listen anywhere, since it has nothing to protect.
    ///
    /// # Errors
    /// When the service must not start with this configuration.
    pub fn check(
        server: &ServerConfig,
        access: &AccessConfig,
        simulates: bool,
    ) -> Result<(), ExposureError> {
        let is_guarded = access.clients_file.is_some();
        if server.listen.ip().to_canonical().is_loopback() || (simulates && !is_guarded) {
            return Ok(());
        }
        if !is_guarded && !access.allow_anonymous {
            return Err(ExposureError::Anonymous(server.listen));
        }
        if !server.tls.is_on() && !server.allow_plaintext {
            return Err(ExposureError::PlainText(server.listen));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_open_to_others() {
        let clients = Some("clients.toml".into());
        let guarded = AccessConfig {
            clients_file: clients,
            ..AccessConfig::default()
        };
        let anonymous = AccessConfig {
            allow_anonymous: true,
            ..AccessConfig::default()
        };
        let none = AccessConfig::default();
        let server = |listen: &str| ServerConfig {
            listen: listen.parse().unwrap(),
            ..ServerConfig::default()
        };
        let check = |server: &ServerConfig, access| {
            let checked = ExposureError::check(server, access, false);
            checked.map_err(|error| matches!(error, ExposureError::Anonymous(_)))
        };
        for local in [
            "127.0.0.1:1",
            "[::1]:1",
            "127.1.2.3:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(check(&server(local), &none), Ok(()), "{local}");
        }
        for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1"] {
            let mut server = server(open);
            assert_eq!(check(&server, &none), Err(true), "{open}");
            assert_eq!(check(&server, &guarded), Err(false), "{open}");
            assert_eq!(check(&server, &anonymous), Err(false), "{open}");
            assert_eq!(ExposureError::check(&server, &none, true), Ok(()));
            assert!(ExposureError::check(&server, &guarded, true).is_err());
            server.allow_plaintext = true;
            assert_eq!(check(&server, &guarded), Ok(()), "{open}");
            assert_eq!(check(&server, &anonymous), Ok(()), "{open}");
            server.allow_plaintext = false;
            server.tls.cert_file = Some("tls.crt".into());
            assert_eq!(check(&server, &guarded), Ok(()), "{open}");
        }
    }
}
