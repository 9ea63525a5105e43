//! What the API says of its limits, in the headers of every answer.

use std::time::SystemTime;

/// The buckets of one answer. Absent where the answer did not name them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// `anthropic-ratelimit-requests-*`.
    pub requests: Option<Bucket>,
    /// `anthropic-ratelimit-tokens-*`: input and output together.
    pub tokens: Option<Bucket>,
    /// `anthropic-ratelimit-input-tokens-*`.
    pub input_tokens: Option<Bucket>,
    /// `anthropic-ratelimit-output-tokens-*`.
    pub output_tokens: Option<Bucket>,
}

/// One token bucket, as of one answer. It refills continuously.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// What a full bucket holds: the allowance of one minute.
    pub limit: u64,
    /// What is left. For tokens the API rounds to thousands.
    pub remaining: u64,
    /// When the bucket is full again.
    pub reset: SystemTime,
}
