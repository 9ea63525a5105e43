//! The API's rate limits, as reported in the headers of every response.

use std::{fmt, sync::Arc};

/// The buckets in one response. Absent if the response did not report them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// `anthropic-ratelimit-requests-*`.
    pub requests: Option<Bucket>,
    /// `anthropic-ratelimit-input-tokens-*`.
    pub input_tokens: Option<Bucket>,
    /// `anthropic-ratelimit-output-tokens-*`.
    pub output_tokens: Option<Bucket>,
    /// The response was a 429: the request was not counted, since one of these
    /// had no room for it.
    pub refused: bool,
    /// The response was a success: an API that then reports no bucket has none.
    pub accepted: bool,
}

/// Which limits of the API apply to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Those of every request.
    Standard,
    /// Those of long-context requests, which the headers of their answers report
    /// instead. If a model has no such limits, both quotas follow the same ones,
    /// as two processes do.
    LongContext,
}

/// One token bucket, as of one response. It refills continuously.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Capacity of the bucket: the allowance of one minute.
    pub limit: u64,
    /// What is left. The API rounds tokens to thousands.
    pub remaining: u64,
}

impl RateLimits {
    /// Whether the response reported no bucket at all.
    pub fn is_empty(&self) -> bool {
        self.requests.is_none() && self.input_tokens.is_none() && self.output_tokens.is_none()
    }
}

type Observe = dyn Fn(&RateLimits) + Send + Sync;

/// Receives the rate limits as soon as the response headers have arrived.
#[derive(Clone, Default)]
pub struct RateLimitObserver(Option<Arc<Observe>>);

impl RateLimitObserver {
    /// Calls this function.
    pub fn new(observe: impl Fn(&RateLimits) + Send + Sync + 'static) -> Self {
        RateLimitObserver(Some(Arc::new(observe)))
    }

    /// Reports the limits, which are parsed only if somebody listens.
    pub fn observe(&self, read: impl FnOnce() -> RateLimits) {
        if let Some(observe) = &self.0 {
            observe(&read());
        }
    }
}

impl fmt::Debug for RateLimitObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RateLimitObserver")
    }
}
