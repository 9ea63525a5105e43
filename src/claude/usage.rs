//! The usage of a response: tokens, and what else is counted.

use super::lenient::{Object, body_text};
use serde::Serialize;

/// Tokens used. In a stream the counts are cumulative and come twice: at the
/// start, and at the end, where absent ones have not changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Input tokens neither read from nor written to the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Output tokens, thinking included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Input tokens written to the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_creation_input_tokens: Option<u64>,
    /// Input tokens read from the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_input_tokens: Option<u64>,
    /// Cache writes by lifetime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_creation: Option<CacheCreation>,
    /// Output tokens by kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens_details: Option<OutputTokensDetails>,
    /// `standard`, `priority` or `batch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Requests of the API's own tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_tool_use: Option<ServerToolUse>,
    /// The region where the model ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference_geo: Option<String>,
    /// `standard` or `fast`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<String>,
}

/// Cache writes by lifetime.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CacheCreation {
    /// Tokens cached for five minutes.
    pub ephemeral_5m_input_tokens: u64,
    /// Tokens cached for one hour.
    pub ephemeral_1h_input_tokens: u64,
}

/// Output tokens by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OutputTokensDetails {
    /// Tokens spent on thinking.
    pub thinking_tokens: u64,
}

/// Requests of the API's own tools.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ServerToolUse {
    /// Searches of the web.
    pub web_search_requests: u64,
    /// Fetches from the web.
    pub web_fetch_requests: u64,
}

impl Usage {
    /// The usage in a response body that may have no readable content; `None` if
    /// there is none.
    pub fn of_body(body: &[u8]) -> Option<Usage> {
        let (body, mut repaired) = (body_text(body), String::new());
        let object = Object::read_repaired(&body, &mut repaired).ok()?;
        let usage = Usage::read(&object.object("usage")?);
        (usage != Usage::default()).then_some(usage)
    }

    /// The usage of a message, or of its end; counts that are not there, or are
    /// not counts, are absent.
    pub(super) fn read(usage: &Object<'_>) -> Usage {
        Usage {
            input_tokens: usage.count("input_tokens"),
            output_tokens: usage.count("output_tokens"),
            cache_creation_input_tokens: usage.count("cache_creation_input_tokens"),
            cache_read_input_tokens: usage.count("cache_read_input_tokens"),
            cache_creation: usage.object("cache_creation").map(|it| CacheCreation {
                ephemeral_5m_input_tokens: it.count("ephemeral_5m_input_tokens").unwrap_or(0),
                ephemeral_1h_input_tokens: it.count("ephemeral_1h_input_tokens").unwrap_or(0),
            }),
            output_tokens_details: usage.object("output_tokens_details").map(|it| {
                OutputTokensDetails {
                    thinking_tokens: it.count("thinking_tokens").unwrap_or(0),
                }
            }),
            service_tier: usage.text("service_tier"),
            server_tool_use: usage.object("server_tool_use").map(|it| ServerToolUse {
                web_search_requests: it.count("web_search_requests").unwrap_or(0),
                web_fetch_requests: it.count("web_fetch_requests").unwrap_or(0),
            }),
            inference_geo: usage.text("inference_geo"),
            speed: usage.text("speed"),
        }
    }

    /// All input tokens: uncached, written to the cache and read from it. A sum
    /// beyond 64 bits is the largest number of 64 bits.
    pub fn total_input_tokens(&self) -> u64 {
        [
            self.input_tokens,
            self.cache_creation_input_tokens,
            self.cache_read_input_tokens,
        ]
        .into_iter()
        .flatten()
        .fold(0, u64::saturating_add)
    }

    /// Overwrites every count that `later` has.
    pub fn update(&mut self, later: Usage) {
        fn take<T>(slot: &mut Option<T>, later: Option<T>) {
            if later.is_some() {
                *slot = later;
            }
        }
        take(&mut self.input_tokens, later.input_tokens);
        take(&mut self.output_tokens, later.output_tokens);
        take(
            &mut self.cache_creation_input_tokens,
            later.cache_creation_input_tokens,
        );
        take(
            &mut self.cache_read_input_tokens,
            later.cache_read_input_tokens,
        );
        take(&mut self.cache_creation, later.cache_creation);
        take(&mut self.output_tokens_details, later.output_tokens_details);
        take(&mut self.service_tier, later.service_tier);
        take(&mut self.server_tool_use, later.server_tool_use);
        take(&mut self.inference_geo, later.inference_geo);
        take(&mut self.speed, later.speed);
    }
}
