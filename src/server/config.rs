//! `[server]`: the way in.

use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tokio::sync::Semaphore;

/// No time is longer than this, so that adding them up cannot overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The gRPC port and its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Most bytes of one received message, after decompression. The API takes
    /// 32 MiB of JSON; Base64 adds a third to pictures and PDFs.
    pub max_message_bytes: usize,
    /// Longest time a call may take, also for callers that send no deadline.
    #[serde(with = "humantime_serde")]
    pub max_deadline: Duration,
    /// How long calls under way may go on after SIGTERM.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// Whether gRPC reflection is served, which publishes the API's schema; when
    /// not set, on loopback only. With access control it needs credentials.
    pub reflection: Option<bool>,
    /// Whether gRPC-Web is served, over HTTP/1.1 as well.
    pub grpc_web: bool,
    /// Origins that browsers may call from (CORS), for gRPC-Web; `*` for any.
    pub cors_origins: Vec<String>,
    /// Most HTTP/2 streams at once on one connection.
    pub max_concurrent_streams: u32,
    /// Most calls at once, over all connections; more are shed with
    /// UNAVAILABLE, since another replica may have room.
    pub max_calls: usize,
    /// Most connections at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// After this time, give or take a tenth, a connection is asked to close,
    /// so that callers spread over new replicas (gRFC A9).
    #[serde(with = "humantime_serde")]
    pub max_connection_age: Duration,
    /// A ping is sent on a connection that was silent for so long.
    #[serde(with = "humantime_serde")]
    pub keepalive_interval: Duration,
    /// A connection is closed when its ping goes unanswered for so long.
    #[serde(with = "humantime_serde")]
    pub keepalive_timeout: Duration,
    /// Serves without TLS on addresses that others can reach: for a network
    /// that encrypts by itself, or a proxy in front.
    pub allow_plaintext: bool,
    /// TLS.
    pub tls: TlsConfig,
}

/// `[server.tls]`: TLS on the port. It is on as soon as there is a
/// certificate. All files are PEM; a change is picked up within seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate, followed by those between it and the CA.
    pub cert_file: Option<PathBuf>,
    /// Its private key.
    pub key_file: Option<PathBuf>,
    /// The CAs whose certificates callers may show (mutual TLS). The names in
    /// them stand for the clients that list them under `certificates`.
    pub client_ca_file: Option<PathBuf>,
    /// Whether each connection has to show such a certificate. Then health
    /// checks have to as well.
    pub client_cert_required: bool,
}

impl TlsConfig {
    /// Whether TLS is served.
    pub fn is_on(&self) -> bool {
        self.cert_file.is_some()
    }

    fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if self.cert_file.is_some() != self.key_file.is_some() {
            let problem = "cert_file and key_file go together";
            wrong("tls.cert_file", problem.to_owned());
        }
        if self.client_ca_file.is_some() && !self.is_on() {
            wrong("tls.client_ca_file", "needs tls.cert_file".to_owned());
        }
        if self.client_cert_required && self.client_ca_file.is_none() {
            let problem = "needs tls.client_ca_file";
            wrong("tls.client_cert_required", problem.to_owned());
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 50051)),
            max_message_bytes: 32 * 1024 * 1024,
            max_deadline: Duration::from_secs(600),
            drain_timeout: Duration::from_secs(30),
            reflection: None,
            grpc_web: false,
            cors_origins: Vec::new(),
            max_concurrent_streams: 250,
            max_calls: 10_000,
            max_connections: 10_000,
            max_connection_age: Duration::from_secs(30 * 60),
            keepalive_interval: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
            allow_plaintext: false,
            tls: TlsConfig::default(),
        }
    }
}

impl ServerConfig {
    /// Whether gRPC reflection is served.
    pub fn serves_reflection(&self) -> bool {
        let is_local = self.listen.ip().to_canonical().is_loopback();
        self.reflection.unwrap_or(is_local)
    }

    /// Checks what the types do not say. `wrong` is told the key and the
    /// problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        let mut at_least_one = |key: &str, figure: usize, most: usize| {
            if figure == 0 || figure > most {
                wrong(key, format!("has to be from 1 to {most}"));
            }
        };
        // A gRPC message has a length of four bytes.
        let largest_message = u32::MAX as usize;
        at_least_one("max_message_bytes", self.max_message_bytes, largest_message);
        at_least_one(
            "max_concurrent_streams",
            self.max_concurrent_streams as usize,
            u32::MAX as usize,
        );
        let most_connections = Semaphore::MAX_PERMITS;
        at_least_one("max_calls", self.max_calls, usize::MAX);
        at_least_one("max_connections", self.max_connections, most_connections);

        for (key, time, may_be_zero) in [
            ("max_deadline", self.max_deadline, false),
            ("drain_timeout", self.drain_timeout, true),
            ("max_connection_age", self.max_connection_age, false),
            ("keepalive_interval", self.keepalive_interval, false),
            ("keepalive_timeout", self.keepalive_timeout, false),
        ] {
            if time > LONGEST || (time.is_zero() && !may_be_zero) {
                let least = if may_be_zero { "" } else { "more than 0 and " };
                wrong(key, format!("has to be {least}at most a year"));
            }
        }

        self.tls.check(wrong);

        for origin in &self.cors_origins {
            if !is_origin(origin) {
                let problem =
                    format!("{origin:?} is no origin such as https://app.example.com, and not `*`");
                wrong("cors_origins", problem);
            }
        }
    }
}

/// Whether a browser could send this as `Origin`: no path, no slash at the
/// end. They are compared as text.
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
