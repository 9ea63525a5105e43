//! One call to the Claude API, through a stack of layers.
//!
//! Everything here is a `tower::Service` from [`Call`] to [`Reply`]. Nothing
//! here knows gRPC; nothing outside knows HTTP.

mod affinity;
mod api_headers;
mod attempt;
mod attempts;
mod batch_call;
mod batch_client;
mod batch_results;
mod breaker;
mod budget;
mod cached_prefix;
mod call;
mod client;
mod coalesce;
mod concurrency_limit;
mod config;
mod connect_failure;
mod deadline;
mod error;
mod file_call;
mod file_client;
mod file_content;
mod fingerprint;
mod hosts;
mod http;
mod key_selection;
mod keys;
mod limits;
mod owned_kind;
mod pacing;
mod prefix_warmup;
mod reply;
mod request_shape;
mod retry;
mod serialize;
mod stack;
mod trace;
mod unpriced;
mod usage_meter;

pub use self::http::{ConnectionPool, HttpConfigError, PoolCounts, ProxyVariables, token_client};
pub use affinity::{KeyAffinity, KeyChoice};
pub use api_headers::{ApiHeaders, BETAS, USER_PROFILE, WORKSPACE, is_name};
pub use attempts::Attempts;
pub use batch_call::BatchCall;
pub use batch_results::BatchResults;
pub use breaker::{CircuitBreaker, CircuitScope, CircuitState};
pub use cached_prefix::CachedPrefix;
pub use call::{Call, CallParts, ModelsQuery, Payload, Transport};
pub use client::{AnswerOrigin, Answered, CallOptions, Client, Failed};
pub use coalesce::Coalesced;
pub use concurrency_limit::ConcurrencyLimit;
pub use config::{BreakerConfig, RetryConfig, UpstreamConfig};
pub use connect_failure::ConnectFailure;
pub use error::{ApiFailure, LONGEST_RETRY_AFTER, SPEND_LIMIT_REACHED, UpstreamError};
pub use file_call::{FileCall, FileUpload, UploadBody};
pub use file_content::FileContent;
pub use fingerprint::Fingerprint;
pub use hosts::{
    CredentialsKind, DEFAULT_HOST, Host, HostConfig, HostFeature, HostKeys, HostKind, HostLacks,
    KeyScheme, RouteConfig, RoutedRpc, TargetConfig,
};
pub use keys::{Key, Keys};
pub use limits::{Bucket, LimitKind, RateLimitObserver, RateLimits};
pub use owned_kind::OwnedKind;
pub use pacing::{HostRateLimits, ModelRateLimits, Quota, QuotaRemaining, RateLimiter};
pub use reply::{Body, EventStream, Reply};
pub use request_shape::RequestShape;
pub use serialize::body;
pub use stack::{Upstream, charging};
pub use unpriced::unpriced_feature;

/// The stack as seen by its users: any service from [`Call`] to [`Reply`].
pub type BoxStack = tower::util::BoxCloneSyncService<Call, Reply, UpstreamError>;
