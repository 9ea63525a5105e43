//! `[server]`: the way in.

use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, time::Duration};

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
    /// Whether gRPC reflection is served. It publishes the API's schema.
    pub reflection: bool,
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
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 50051)),
            max_message_bytes: 32 * 1024 * 1024,
            max_deadline: Duration::from_secs(600),
            drain_timeout: Duration::from_secs(30),
            reflection: true,
            grpc_web: false,
            cors_origins: Vec::new(),
            max_concurrent_streams: 250,
            max_calls: 10_000,
            max_connections: 10_000,
            max_connection_age: Duration::from_secs(30 * 60),
            keepalive_interval: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
        }
    }
}
