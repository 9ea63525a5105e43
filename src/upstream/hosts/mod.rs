//! The hosts that sell Claude: what each of them has, where it is, and which of them
//! serves a call.
//!
//! A call passes the layers that belong to its caller once. Then [`Failover`] selects
//! a host, whose own stack (circuit breaker, retries, keys, pacing, permits,
//! connections) makes the attempts; when that host fails, the next one of the route
//! is asked. So an outage of one host opens circuits and fills queues of that host
//! alone.

mod address;
mod check_credentials;
mod config;
mod credentials_kind;
mod failover;
mod host;
mod kind;
mod lacks;
mod model_ids;
mod request_body;
mod routes;

pub use address::base_url;
pub use config::{DEFAULT_HOST, HostConfig, check};
pub use credentials_kind::CredentialsKind;
pub use failover::Failover;
pub use host::{Host, HostKeys, HostLayers};
pub use kind::{HostFeature, HostKind, KeyScheme};
pub use lacks::{HostLacks, LackingHost};
pub use model_ids::id_on;
pub use routes::{RouteConfig, RoutedRpc, Routes, TargetConfig};
