//! `[server]`: the gRPC port, its limits, and TLS.

use crate::{duration_limits, memory::memory_limit};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tokio::sync::Semaphore;

/// Which part of the memory messages may have: they cost 4 to 5 times their size
/// (docs/operations.md, Size), and the answers, connections and the service itself
/// need the rest.
const PART_OF_MEMORY: usize = 8;

/// The gRPC port: its address, its limits and what it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port to listen on. Port 0 picks a free port. An address other
    /// than loopback requires access control and TLS, or an explicit opt-out
    /// (`access.allow_anonymous`, `server.allow_plaintext`).
    pub listen: SocketAddr,
    /// Maximum size of a received message, in bytes after decompression; at
    /// least 1. The Claude API accepts 32 MiB of JSON, in which Base64 makes
    /// images and PDFs a third larger.
    pub max_message_bytes: usize,
    /// Maximum number of bytes of all messages in flight, after decompression and with
    /// what their elements take once they are decoded, from their first byte to the
    /// end of their answer; at least 1. A message that does not fit waits, up to
    /// `bytes_timeout`. So does one whose tenant, or peer without access control, has
    /// its share: its other messages hold more than 8 times its weight as many bytes as
    /// stay free, or 16 times for a message of up to 64 KiB. Unset, it is an eighth of
    /// the limit of the memory cgroup, or of the memory of the machine: a message costs
    /// several times its size.
    pub max_bytes_in_flight: Option<usize>,
    /// Maximum time that a message waits for others to make room. Then the call
    /// is shed with `UNAVAILABLE`. Must be greater than 0.
    #[serde(with = "humantime_serde")]
    pub bytes_timeout: Duration,
    /// Maximum duration of a call. Shortens later deadlines, and applies to
    /// callers that send none. Must be greater than 0.
    #[serde(with = "humantime_serde")]
    pub max_deadline: Duration,
    /// Maximum time, up to half of it more, for which the reader of a response may
    /// take nothing while there is something to send; less than 16 KiB of a larger
    /// message is nothing. Then the call ends. Time in which the API sends nothing
    /// does not count. Must be greater than 0.
    #[serde(with = "humantime_serde")]
    pub stall_timeout: Duration,
    /// Maximum time that calls in flight may continue after SIGTERM or SIGINT;
    /// then they are aborted.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// Whether to serve gRPC reflection, which publishes the schema of the API.
    /// Unset, it is served on loopback addresses only. With access control,
    /// reflection requires credentials.
    pub reflection: Option<bool>,
    /// Whether to serve gRPC-Web, for browsers. Also enables HTTP/1.1.
    pub grpc_web: bool,
    /// Origins that browsers may send calls from (CORS), such as
    /// `https://app.example.com`; `*` allows any origin. Calls that a browser
    /// sends from another origin are rejected with HTTP 403.
    pub cors_origins: Vec<String>,
    /// Maximum number of concurrent HTTP/2 streams, and so of calls, per
    /// connection; at least 1.
    pub max_concurrent_streams: u32,
    /// Maximum number of concurrent calls over all connections; at least 1.
    /// Further calls are shed with `UNAVAILABLE`, since another replica may have
    /// capacity. A tenant of the clients file may run at most four times its weight
    /// as many calls as could still begin, and so may, with weight 1, a peer whose
    /// calls are nobody's: one alone gets four fifths.
    pub max_calls: usize,
    /// Maximum number of open connections; at least 1. For a further one, the oldest
    /// idle connection of the peer with the most is closed; if no peer with as many
    /// has an idle one, the further one is.
    pub max_connections: usize,
    /// Maximum number of open connections per peer: an IPv4 address, or the
    /// first 64 bits of an IPv6 address; at least 1. Further connections are
    /// closed at once. Unset, a quarter of `max_connections`, so that no peer can
    /// use up all of them. Behind a proxy that opens a connection for each call,
    /// set it to `max_connections`: the proxy is the peer of all callers.
    pub max_connections_per_peer: Option<usize>,
    /// Maximum number of calls per peer that are not past authentication: those
    /// whose message has not arrived, and all calls of health and reflection; at
    /// least 1. Further ones are shed with `UNAVAILABLE`.
    pub max_pending_calls_per_peer: usize,
    /// Maximum number of open `Health/Watch` streams over all peers; at least 1. One
    /// peer has at most 4 times as many as are free, so four fifths if it is alone.
    /// Further ones are shed with `UNAVAILABLE`.
    pub max_watches: usize,
    /// Maximum duration of the TLS handshake, of the beginning of HTTP/2 (its
    /// preface and SETTINGS), and of the head of each request from its first
    /// byte to its last; then the connection is closed. Must be greater than 0.
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
    /// Maximum time in which a call must send 1 KiB of its message, or the rest
    /// of it; then it ends with `DEADLINE_EXCEEDED`. Must be greater than 0.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// Time without a call after which a connection is closed gracefully; up to
    /// half of it more may pass. Must be greater than 0.
    #[serde(with = "humantime_serde")]
    pub max_connection_idle: Duration,
    /// Age at which a connection is closed gracefully, with ±10 % jitter, so
    /// that callers rebalance onto new replicas (gRFC A9). Must be greater than
    /// 0.
    #[serde(with = "humantime_serde")]
    pub max_connection_age: Duration,
    /// Time without received data after which a connection is pinged. Must be
    /// greater than 0.
    #[serde(with = "humantime_serde")]
    pub keepalive_interval: Duration,
    /// Maximum time to wait for the answer to a keepalive ping before the
    /// connection is closed. Must be greater than 0.
    #[serde(with = "humantime_serde")]
    pub keepalive_timeout: Duration,
    /// Whether to serve without TLS on an address other than loopback. Only for
    /// networks that encrypt traffic themselves, or behind a proxy that
    /// terminates TLS.
    pub allow_plaintext: bool,
    /// TLS of the port.
    pub tls: TlsConfig,
}

/// `[server.tls]`: TLS of the gRPC port, enabled by `cert_file`. All files are
/// PEM, and are reloaded within seconds when they change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// File with the server certificate, followed by its intermediate
    /// certificates. Requires `key_file`.
    pub cert_file: Option<PathBuf>,
    /// File with the private key of the certificate. Must be readable by its
    /// owner only. Requires `cert_file`.
    pub key_file: Option<PathBuf>,
    /// File with the CAs that sign client certificates (mutual TLS). A caller
    /// is the client of the clients file that lists a name of its certificate
    /// under `certificates`. Requires `cert_file`.
    pub client_ca_file: Option<PathBuf>,
    /// Whether every connection must present a client certificate, those of
    /// health checks included. Requires `client_ca_file`.
    pub client_cert_required: bool,
}

impl TlsConfig {
    /// Whether a certificate is configured, and so TLS is served.
    pub fn is_on(&self) -> bool {
        self.cert_file.is_some()
    }

    fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if self.cert_file.is_some() != self.key_file.is_some() {
            let problem = "cert_file and key_file must be set together";
            wrong("tls.cert_file", problem.to_owned());
        }
        if self.client_ca_file.is_some() && !self.is_on() {
            wrong(
                "tls.client_ca_file",
                "must be set together with server.tls.cert_file".to_owned(),
            );
        }
        if self.client_cert_required && self.client_ca_file.is_none() {
            let problem = "must be set together with server.tls.client_ca_file";
            wrong("tls.client_cert_required", problem.to_owned());
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 50051)),
            max_message_bytes: 32 * 1024 * 1024,
            max_bytes_in_flight: None,
            bytes_timeout: Duration::from_secs(10),
            max_deadline: Duration::from_secs(600),
            stall_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(30),
            reflection: None,
            grpc_web: false,
            cors_origins: Vec::new(),
            max_concurrent_streams: 250,
            max_calls: 10_000,
            max_connections: 10_000,
            max_connections_per_peer: None,
            max_pending_calls_per_peer: 1_000,
            max_watches: 2_000,
            handshake_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            max_connection_idle: Duration::from_secs(5 * 60),
            max_connection_age: Duration::from_secs(30 * 60),
            keepalive_interval: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
            allow_plaintext: false,
            tls: TlsConfig::default(),
        }
    }
}

impl ServerConfig {
    /// Whether reflection is served: as configured, else on loopback only.
    pub fn serves_reflection(&self) -> bool {
        let is_local = self.listen.ip().to_canonical().is_loopback();
        self.reflection.unwrap_or(is_local)
    }

    /// The bytes that messages may hold: as configured, else a part of the memory.
    pub fn bytes_in_flight(&self) -> usize {
        self.max_bytes_in_flight.unwrap_or_else(|| {
            let memory = memory_limit().and_then(|limit| usize::try_from(limit).ok());
            memory.map_or(usize::MAX, |limit| limit / PART_OF_MEMORY)
        })
    }

    /// Maximum number of connections of one peer: as configured, else a quarter
    /// of all.
    pub fn connections_per_peer(&self) -> usize {
        let share = (self.max_connections / 4).max(1);
        self.max_connections_per_peer.unwrap_or(share)
    }

    /// Validates what the types do not express. Calls `wrong` with the key and
    /// the problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        let mut at_least_one = |key: &str, value: usize, maximum: usize| {
            if value == 0 || value > maximum {
                wrong(key, format!("must be between 1 and {maximum}"));
            }
        };
        // The length prefix of a gRPC message has four bytes.
        let largest_message = u32::MAX as usize;
        at_least_one("max_message_bytes", self.max_message_bytes, largest_message);
        at_least_one(
            "max_concurrent_streams",
            self.max_concurrent_streams as usize,
            u32::MAX as usize,
        );
        let max_connections = Semaphore::MAX_PERMITS;
        at_least_one("max_calls", self.max_calls, usize::MAX);
        if let Some(bytes) = self.max_bytes_in_flight {
            at_least_one("max_bytes_in_flight", bytes, usize::MAX);
        }
        at_least_one("max_connections", self.max_connections, max_connections);
        at_least_one(
            "max_connections_per_peer",
            self.connections_per_peer(),
            usize::MAX,
        );
        at_least_one(
            "max_pending_calls_per_peer",
            self.max_pending_calls_per_peer,
            usize::MAX,
        );
        at_least_one("max_watches", self.max_watches, Semaphore::MAX_PERMITS);

        let durations = [
            ("bytes_timeout", self.bytes_timeout, false),
            ("max_deadline", self.max_deadline, false),
            ("stall_timeout", self.stall_timeout, false),
            ("drain_timeout", self.drain_timeout, true),
            ("max_connection_age", self.max_connection_age, false),
            ("max_connection_idle", self.max_connection_idle, false),
            ("handshake_timeout", self.handshake_timeout, false),
            ("body_timeout", self.body_timeout, false),
            ("keepalive_interval", self.keepalive_interval, false),
            ("keepalive_timeout", self.keepalive_timeout, false),
        ];
        duration_limits::check(durations, wrong);

        self.tls.check(wrong);

        for origin in &self.cors_origins {
            if !is_origin(origin) {
                let problem = format!(
                    "invalid origin {origin:?}: must be `*` or like https://app.example.com"
                );
                wrong("cors_origins", problem);
            }
        }
    }
}

/// Whether a browser could send this as `Origin`: without a path and without a
/// trailing slash. Origins are compared as text.
fn is_origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
        !host.is_empty() && host.bytes().all(allowed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(change: fn(&mut ServerConfig)) -> Vec<String> {
        let mut config = ServerConfig::default();
        change(&mut config);
        let mut keys = Vec::new();
        config.check(&mut |key, _| keys.push(key.to_owned()));
        keys
    }

    #[test]
    fn what_would_break_is_named() {
        assert!(wrong(|_| {}).is_empty());
        assert!(wrong(|config| config.drain_timeout = Duration::ZERO).is_empty());
        assert_eq!(wrong(|c| c.max_message_bytes = 0), ["max_message_bytes"]);
        assert_eq!(
            wrong(|c| c.max_connections = usize::MAX),
            ["max_connections"]
        );
        assert_eq!(wrong(|c| c.max_deadline = Duration::ZERO), ["max_deadline"]);
        assert_eq!(
            wrong(|c| c.drain_timeout = Duration::MAX),
            ["drain_timeout"]
        );
    }

    #[test]
    fn an_origin_is_as_a_browser_sends_it() {
        for good in ["*", "https://app.example.com", "http://localhost:8080"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "app.example.com",
            "https://",
            "https://a.com/",
            "https://a b",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
