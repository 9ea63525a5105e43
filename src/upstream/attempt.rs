//! One attempt of a call.

use super::{Call, keys::Key, limits::LimitsSeen};
use http::HeaderValue;
use std::sync::Arc;

/// What the layers below the choice of a key see.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The call.
    pub call: Call,
    /// The key that it is made with.
    pub key: Arc<Key>,
    /// To be told what the head of the answer says of the API's limits.
    pub limits_seen: LimitsSeen,
    /// Tells the API of the trace.
    pub traceparent: Option<HeaderValue>,
    /// What vendors added to the trace.
    pub tracestate: Option<HeaderValue>,
}
