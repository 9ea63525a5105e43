//! The prompt cache: which prefixes of prompts have been written, and are read.
//!
//! As the API does it: a prefix can be read once the response that writes it has begun, by
//! the same key, for as long as it lives; each read gives it its lifetime from then on. A
//! mark finds what an earlier one has written up to twenty blocks before it.

mod prefix;

pub(super) use prefix::count;

use crate::claude::request::{CacheTtl, MessagesRequest};
use parking_lot::Mutex;
use prefix::Prefixes;
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;

/// The shortest prefix that is cached for a model of which no source states it, in
/// tokens.
const MIN_TOKENS: u64 = 1024;

/// Maximum number of cached prefixes.
const MAX_PREFIXES: usize = 4096;

/// How many blocks a mark looks at for what has been written, its own included.
const LOOKBACK: usize = 20;

/// Prefixes that have been written, until they expire.
#[derive(Debug, Default)]
pub(super) struct PromptCache {
    prefixes: Mutex<HashMap<u64, CachedEntry>>,
}

#[derive(Debug, Clone, Copy)]
struct CachedEntry {
    expires: Instant,
    lifetime: Duration,
}

/// Input tokens read from and written to the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CacheUsage {
    /// Tokens served from the cache.
    pub(super) read: u64,
    /// Tokens written with a lifetime of five minutes.
    pub(super) written_5m: u64,
    /// Tokens written with a lifetime of one hour.
    pub(super) written_1h: u64,
}

impl CacheUsage {
    /// Tokens written, whatever their lifetime.
    pub(super) fn written(&self) -> u64 {
        self.written_5m + self.written_1h
    }
}

/// What a request writes once its response begins.
#[derive(Debug, Default)]
pub(super) struct CacheWrites(Vec<(u64, Duration)>);

impl PromptCache {
    /// Reads the longest prefix that is known. The rest up to the last mark is written with
    /// [`write`](Self::write). Prefixes with fewer than `minimum` tokens are not cached.
    pub(super) fn read(
        &self,
        key: &str,
        request: &MessagesRequest,
        minimum: Option<u64>,
    ) -> (CacheUsage, CacheWrites) {
        let (mut usage, mut writes) = (CacheUsage::default(), CacheWrites::default());
        let Some(mut prefixes) = Prefixes::of(key, request) else {
            return (usage, writes);
        };
        let minimum = minimum.unwrap_or(MIN_TOKENS);
        prefixes.marks.retain(|mark| mark.tokens >= minimum);
        let now = Instant::now();
        let mut entries = self.prefixes.lock();
        for mark in prefixes.marks.iter().rev() {
            let ends = &prefixes.ends[..=mark.block];
            let is_alive = |prefix: &u64| entries.get(prefix).is_some_and(|it| it.expires > now);
            let mut before = ends.iter().rev().take(LOOKBACK);
            let Some(end) = before.find(|end| is_alive(&end.prefix)) else {
                continue;
            };
            if let Some(entry) = entries.get_mut(&end.prefix) {
                entry.expires = now + entry.lifetime;
            }
            usage.read = end.tokens;
            break;
        }
        let mut before = usage.read;
        for mark in prefixes.marks.iter().filter(|it| it.tokens > usage.read) {
            let tokens = mark.tokens - before;
            match mark.ttl {
                Some(CacheTtl::OneHour) => usage.written_1h += tokens,
                _ => usage.written_5m += tokens,
            }
            before = mark.tokens;
            writes.0.push((mark.prefix, lifetime(mark.ttl)));
        }
        (usage, writes)
    }

    /// Writes prefixes: a response has begun.
    pub(super) fn write(&self, writes: CacheWrites) {
        if writes.0.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut entries = self.prefixes.lock();
        if entries.len() > MAX_PREFIXES {
            entries.retain(|_, entry| entry.expires > now);
        }
        if entries.len() > MAX_PREFIXES {
            entries.clear();
        }
        for (prefix, lifetime) in writes.0 {
            let expires = now + lifetime;
            let written = CachedEntry { expires, lifetime };
            let entry = entries.entry(prefix).or_insert(written);
            // Of two that were written at the same time, the longer lifetime counts.
            if written.expires > entry.expires {
                *entry = written;
            }
        }
    }
}

fn lifetime(ttl: Option<CacheTtl>) -> Duration {
    match ttl {
        Some(CacheTtl::OneHour) => Duration::from_secs(3600),
        _ => Duration::from_secs(300),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn request(question: &str) -> MessagesRequest {
        with(question, json!({}))
    }

    fn with(question: &str, fields: Value) -> MessagesRequest {
        let mark = json!({"type": "ephemeral"});
        let system = json!([{"type": "text", "text": "word ".repeat(2000), "cache_control": mark}]);
        let mut request = json!({
            "model": "claude-haiku-5-5",
            "max_tokens": 10,
            "system": system,
            "messages": [{"role": "user", "content": question}],
        });
        let all = request.as_object_mut().unwrap();
        all.extend(fields.as_object().unwrap().clone());
        serde_json::from_value(request).unwrap()
    }

    const WRITTEN: CacheUsage = CacheUsage {
        read: 0,
        written_5m: 2500,
        written_1h: 0,
    };
    const READ: CacheUsage = CacheUsage {
        read: 2500,
        written_5m: 0,
        written_1h: 0,
    };

    impl PromptCache {
        /// A request whose response begins at once.
        fn pass(&self, key: &str, request: &MessagesRequest) -> CacheUsage {
            let (usage, writes) = self.read(key, request, None);
            self.write(writes);
            usage
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_prefix_is_written_once_and_read_until_it_expires() {
        let cache = PromptCache::default();
        let pass = |key: &str, question: &str| cache.pass(key, &request(question));
        assert_eq!(pass("key", "one"), WRITTEN);
        assert_eq!(pass("key", "two"), READ);
        assert_eq!(pass("other key", "two"), WRITTEN);
        tokio::time::advance(Duration::from_secs(299)).await;
        assert_eq!(pass("key", "three"), READ);
        tokio::time::advance(Duration::from_secs(299)).await;
        assert_eq!(pass("key", "four"), READ);
        tokio::time::advance(Duration::from_secs(301)).await;
        assert_eq!(pass("key", "five"), WRITTEN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_prefix_lives_an_hour_if_its_mark_says_so() {
        let marked = |ttl: Option<&str>| {
            let mark = json!({"type": "ephemeral", "ttl": ttl});
            let text = "word ".repeat(2000);
            let system = json!([{"type": "text", "text": text, "cache_control": mark}]);
            with("one", json!({"system": system}))
        };
        let cache = PromptCache::default();
        // What is written at the same time with a shorter lifetime does not shorten it.
        let (hour, writes) = cache.read("key", &marked(Some("1h")), None);
        let (minutes, others) = cache.read("key", &marked(None), None);
        assert_eq!((hour.written_1h, hour.written_5m), (2500, 0));
        assert_eq!((minutes.written_1h, minutes.written_5m), (0, 2500));
        cache.write(writes);
        cache.write(others);
        for _ in 0..2 {
            tokio::time::advance(Duration::from_secs(3599)).await;
            assert_eq!(cache.pass("key", &marked(None)), READ);
        }
        tokio::time::advance(Duration::from_secs(3601)).await;
        assert_eq!(cache.pass("key", &marked(None)), WRITTEN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_prefix_is_read_once_the_response_that_writes_it_has_begun() {
        let cache = PromptCache::default();
        let (first, writes) = cache.read("key", &request("one"), None);
        let (second, _) = cache.read("key", &request("two"), None);
        assert_eq!((first, second), (WRITTEN, WRITTEN));
        cache.write(writes);
        assert_eq!(cache.read("key", &request("three"), None).0, READ);
    }

    #[test]
    fn another_schema_is_another_prefix() {
        let cache = PromptCache::default();
        let format = |kind: &str| {
            let schema = json!({"type": kind});
            json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}})
        };
        assert_eq!(cache.pass("key", &with("one", format("object"))), WRITTEN);
        assert_eq!(cache.pass("key", &with("two", format("array"))), WRITTEN);
        assert_eq!(cache.pass("key", &with("three", format("object"))), READ);
    }

    #[test]
    fn a_mark_finds_what_was_written_twenty_blocks_before() {
        let text = "word ".repeat(2000);
        let mark = json!({"type": "ephemeral"});
        let turns = |more: usize| {
            let mut blocks = vec![json!({"type": "text", "text": text, "cache_control": mark})];
            blocks.extend((0..more).map(|_| json!({"type": "text", "text": "more"})));
            if let Some(last) = blocks.last_mut() {
                last["cache_control"] = mark.clone();
            }
            if more > 0 {
                blocks[0].as_object_mut().unwrap().remove("cache_control");
            }
            let messages = json!([{"role": "user", "content": blocks}]);
            with("", json!({"system": "s", "messages": messages}))
        };
        for (more, read) in [(19, 2501), (20, 0)] {
            let cache = PromptCache::default();
            cache.pass("key", &turns(0));
            assert_eq!(cache.pass("key", &turns(more)).read, read, "{more}");
        }
    }
}
