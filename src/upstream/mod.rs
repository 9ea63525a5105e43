//! The way up: one call to the Claude API, through a stack of layers.
//!
//! Everything here is a `tower::Service` from [`Call`] to [`Reply`]. Nothing
//! here knows gRPC; nothing outside knows HTTP.

mod call;
mod config;
mod error;
mod limits;
mod reply;

pub use call::{Attempts, Call, Deadline, ModelsQuery, Payload, Priority, Transport};
pub use config::UpstreamConfig;
pub use error::{ApiFailure, UpstreamError};
pub use limits::{Bucket, RateLimits};
pub use reply::{Body, EventStream, Reply};

/// The stack as its users see it: any service from [`Call`] to [`Reply`].
pub type BoxStack = tower::util::BoxCloneSyncService<Call, Reply, UpstreamError>;
