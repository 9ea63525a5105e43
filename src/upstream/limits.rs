//! What the API says of its limits, in the headers of every answer.

use std::{fmt, sync::Arc};

/// The buckets of one answer. Absent where the answer did not name them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// `anthropic-ratelimit-requests-*`.
    pub requests: Option<Bucket>,
    /// `anthropic-ratelimit-input-tokens-*`.
    pub input_tokens: Option<Bucket>,
    /// `anthropic-ratelimit-output-tokens-*`.
    pub output_tokens: Option<Bucket>,
    /// The answer was a 429: the request was not charged, since one of these
    /// had no room for it.
    pub refused: bool,
}

/// One token bucket, as of one answer. It refills continuously.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// What a full bucket holds: the allowance of one minute.
    pub limit: u64,
    /// What is left. For tokens the API rounds to thousands.
    pub remaining: u64,
}

impl RateLimits {
    /// Whether the answer named no bucket at all.
    pub fn is_empty(&self) -> bool {
        self.requests.is_none() && self.input_tokens.is_none() && self.output_tokens.is_none()
    }
}

type Told = dyn Fn(&RateLimits) + Send + Sync;

/// Told of the limits as soon as the head of an answer has come.
#[derive(Clone, Default)]
pub struct LimitsSeen(Option<Arc<Told>>);

impl LimitsSeen {
    /// Tells this function.
    pub fn new(told: impl Fn(&RateLimits) + Send + Sync + 'static) -> Self {
        LimitsSeen(Some(Arc::new(told)))
    }

    /// Tells of the limits, which are read only when somebody listens.
    pub fn tell(&self, read: impl FnOnce() -> RateLimits) {
        if let Some(told) = &self.0 {
            told(&read());
        }
    }
}

impl fmt::Debug for LimitsSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LimitsSeen")
    }
}
