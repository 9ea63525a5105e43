//! `[upstream]`: the way to the Claude API.

use crate::claude;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The API's address, and how it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Address of the API, without `/v1`.
    pub base_url: String,
    /// Value of the `anthropic-version` header.
    pub api_version: String,
    /// Longest time to make a connection.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest silence while an answer is read.
    #[serde(with = "humantime_serde")]
    pub read_timeout: Duration,
    /// Idle connections kept.
    pub max_idle_connections: usize,
    /// How long an idle connection is kept.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        UpstreamConfig {
            base_url: "https://api.anthropic.com".to_owned(),
            api_version: claude::API_VERSION.to_owned(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            max_idle_connections: 50,
            idle_timeout: Duration::from_secs(300),
        }
    }
}
