//! The rate limits of a host that reports none.

use crate::upstream::{Bucket, RateLimits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rate limits of a host, for each key and model: calls are paced by them from the
/// first one on. Limits that the host reports take precedence.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostRateLimits {
    /// Maximum number of requests per minute; as many may begin at once. Unset, it is not
    /// known.
    pub requests_per_minute: Option<u64>,
    /// Maximum number of input tokens per minute, without those read from the cache.
    /// Unset, it is not known.
    pub input_tokens_per_minute: Option<u64>,
    /// Maximum number of output tokens per minute. Unset, it is not known.
    pub output_tokens_per_minute: Option<u64>,
    /// The same three for single models, by their ids in calls. They replace the limits
    /// of the host.
    pub models: BTreeMap<String, ModelRateLimits>,
}

/// Rate limits of a model on a host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelRateLimits {
    /// Maximum number of requests per minute.
    pub requests_per_minute: Option<u64>,
    /// Maximum number of input tokens per minute.
    pub input_tokens_per_minute: Option<u64>,
    /// Maximum number of output tokens per minute.
    pub output_tokens_per_minute: Option<u64>,
}

impl HostRateLimits {
    /// Whether no limit is set.
    pub fn is_empty(&self) -> bool {
        *self == HostRateLimits::default()
    }

    /// The limits of models that have none of their own.
    pub fn of_others(&self) -> RateLimits {
        full([
            self.requests_per_minute,
            self.input_tokens_per_minute,
            self.output_tokens_per_minute,
        ])
    }

    /// Validates the limits. Calls `wrong` with the key and the problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        let mut positive = |key: &str, limit: Option<u64>| {
            if limit == Some(0) {
                wrong(key, "must be at least 1".to_owned());
            }
        };
        positive("requests_per_minute", self.requests_per_minute);
        positive("input_tokens_per_minute", self.input_tokens_per_minute);
        positive("output_tokens_per_minute", self.output_tokens_per_minute);
        for (model, limits) in &self.models {
            for limit in limits.all() {
                positive(&format!("models.{model}"), limit);
            }
        }
    }
}

impl ModelRateLimits {
    /// The limits, of which nothing is used yet.
    pub fn full(&self) -> RateLimits {
        full(self.all())
    }

    fn all(&self) -> [Option<u64>; 3] {
        [
            self.requests_per_minute,
            self.input_tokens_per_minute,
            self.output_tokens_per_minute,
        ]
    }
}

fn full(limits: [Option<u64>; 3]) -> RateLimits {
    let bucket = |limit: Option<u64>| {
        limit.map(|limit| Bucket {
            limit,
            remaining: limit,
        })
    };
    let [requests, input_tokens, output_tokens] = limits.map(bucket);
    RateLimits {
        requests,
        input_tokens,
        output_tokens,
        ..RateLimits::default()
    }
}
