//! The prompt cache: which prefixes of prompts have been seen.

use super::tokens;
use crate::claude::{
    raw::RawObject,
    request::{CacheControl, CacheTtl, Content, InputBlock, MessagesRequest, SystemPrompt},
    tools::Tool,
};
use parking_lot::Mutex;
use serde::Serialize;
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};
use tokio::time::Instant;

/// The shortest prefix that is cached for a model of which no source states it, in
/// tokens.
const MIN_TOKENS: u64 = 1024;

/// Maximum number of cached prefixes.
const MAX_PREFIXES: usize = 4096;

/// Prefixes that have been seen, until they expire.
#[derive(Debug, Default)]
pub(super) struct PromptCache {
    prefixes: Mutex<HashMap<u64, Instant>>,
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

/// A prefix that the request marks.
struct Mark {
    prefix: u64,
    tokens: u64,
    ttl: Option<CacheTtl>,
}

impl PromptCache {
    /// Reads the longest marked prefix that is known and writes the rest up to
    /// the last mark. Prefixes with fewer than `minimum` tokens are not cached.
    pub(super) fn pass(
        &self,
        key: &str,
        request: &MessagesRequest,
        minimum: Option<u64>,
    ) -> CacheUsage {
        let mut marks = marks(key, request);
        marks.retain(|mark| mark.tokens >= minimum.unwrap_or(MIN_TOKENS));
        let mut cached = CacheUsage::default();
        if marks.is_empty() {
            return cached;
        }
        let now = Instant::now();
        let mut prefixes = self.prefixes.lock();
        if prefixes.len() > MAX_PREFIXES {
            prefixes.retain(|_, expires| *expires > now);
        }
        if prefixes.len() > MAX_PREFIXES {
            prefixes.clear();
        }
        let mut before = 0;
        for mark in &marks {
            let known = prefixes
                .get(&mark.prefix)
                .is_some_and(|expires| *expires > now);
            let tokens = mark.tokens - before;
            match (known, mark.ttl) {
                // A longer prefix that is known holds what came before it.
                (true, _) => {
                    cached = CacheUsage {
                        read: mark.tokens,
                        ..CacheUsage::default()
                    };
                }
                (false, Some(CacheTtl::OneHour)) => cached.written_1h += tokens,
                (false, _) => cached.written_5m += tokens,
            }
            before = mark.tokens;
            prefixes.insert(mark.prefix, now + lifetime(mark.ttl));
        }
        cached
    }
}

fn lifetime(ttl: Option<CacheTtl>) -> Duration {
    match ttl {
        Some(CacheTtl::OneHour) => Duration::from_secs(3600),
        _ => Duration::from_secs(300),
    }
}

/// The marks in the order of the prompt: tools, system, messages.
fn marks(key: &str, request: &MessagesRequest) -> Vec<Mark> {
    if count(request) == 0 {
        return Vec::new();
    }
    let mut prefix = Prefix::new(key, &request.model);
    for tool in &request.tools {
        prefix.extend(&tool, tokens::of_tool(tool), mark_of_tool(tool));
    }
    match &request.system {
        Some(SystemPrompt::Text(text)) => prefix.extend(text, tokens::of_text(text), None),
        Some(SystemPrompt::Blocks(blocks)) => prefix.extend_blocks(blocks),
        None => {}
    }
    for message in &request.messages {
        prefix.extend(&message.role, 0, None);
        match &message.content {
            Content::Text(text) => prefix.extend(text, tokens::of_text(text), None),
            Content::Blocks(blocks) => prefix.extend_blocks(blocks),
        }
    }
    // At the top of the request, it marks the last block.
    if request.cache_control.is_some() {
        prefix.mark(request.cache_control);
    }
    prefix.marks
}

struct Prefix {
    hasher: DefaultHasher,
    tokens: u64,
    marks: Vec<Mark>,
}

impl Prefix {
    fn new(key: &str, model: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (key, model).hash(&mut hasher);
        Prefix {
            hasher,
            tokens: 0,
            marks: Vec::new(),
        }
    }

    fn extend_blocks(&mut self, blocks: &[InputBlock]) {
        for block in blocks {
            let mut bare = block.clone();
            let mark = take_mark(&mut bare);
            self.extend(&bare, tokens::of_block(block), mark);
        }
    }

    fn extend(&mut self, content: &impl Serialize, tokens: u64, mark: Option<CacheControl>) {
        serde_json::to_vec(content)
            .unwrap_or_default()
            .hash(&mut self.hasher);
        self.tokens += tokens;
        self.mark(mark);
    }

    fn mark(&mut self, mark: Option<CacheControl>) {
        if let Some(CacheControl::Ephemeral { ttl }) = mark {
            self.marks.push(Mark {
                prefix: self.hasher.finish(),
                tokens: self.tokens,
                ttl,
            });
        }
    }
}

/// Number of `cache_control` marks in a request.
pub(super) fn count(request: &MessagesRequest) -> usize {
    let of_blocks = |blocks: &[InputBlock]| blocks.iter().filter(|it| is_marked(it)).count();
    let marked = |tool: &&Tool| mark_of_tool(tool).is_some();
    let tools = request.tools.iter().filter(marked);
    let system = match &request.system {
        Some(SystemPrompt::Blocks(blocks)) => of_blocks(blocks),
        _ => 0,
    };
    let messages: usize = request
        .messages
        .iter()
        .map(|message| match &message.content {
            Content::Blocks(blocks) => of_blocks(blocks),
            Content::Text(_) => 0,
        })
        .sum();
    tools.count() + system + messages + usize::from(request.cache_control.is_some())
}

fn is_marked(block: &InputBlock) -> bool {
    match block {
        InputBlock::Text { cache_control, .. }
        | InputBlock::Image { cache_control, .. }
        | InputBlock::Document { cache_control, .. }
        | InputBlock::SearchResult { cache_control, .. }
        | InputBlock::ToolUse { cache_control, .. }
        | InputBlock::ToolResult { cache_control, .. } => cache_control.is_some(),
        InputBlock::Other(block) => mark_of(block).is_some(),
        InputBlock::Thinking { .. } | InputBlock::RedactedThinking { .. } => false,
    }
}

fn mark_of_tool(tool: &Tool) -> Option<CacheControl> {
    match tool {
        Tool::Custom(tool) => tool.cache_control,
        Tool::Defined(tool) => mark_of(&tool.json),
    }
}

/// The mark of what is carried as JSON.
fn mark_of(object: &RawObject) -> Option<CacheControl> {
    let mark = object.fields().ok()?.remove("cache_control")?;
    serde_json::from_value(mark).ok()
}

/// Takes the mark out of a block: it is not part of the prefix that it ends.
fn take_mark(block: &mut InputBlock) -> Option<CacheControl> {
    let InputBlock::Other(object) = block else {
        return cache_control(block)?.take();
    };
    let mark = mark_of(object)?;
    let mut fields = object.fields().ok()?;
    fields.remove("cache_control");
    *object = RawObject::from(&fields);
    Some(mark)
}

fn cache_control(block: &mut InputBlock) -> Option<&mut Option<CacheControl>> {
    match block {
        InputBlock::Text { cache_control, .. }
        | InputBlock::Image { cache_control, .. }
        | InputBlock::Document { cache_control, .. }
        | InputBlock::SearchResult { cache_control, .. }
        | InputBlock::ToolUse { cache_control, .. }
        | InputBlock::ToolResult { cache_control, .. } => Some(cache_control),
        InputBlock::Thinking { .. }
        | InputBlock::RedactedThinking { .. }
        | InputBlock::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(question: &str) -> MessagesRequest {
        let mark = json!({"type": "ephemeral"});
        let system = json!([{"type": "text", "text": "word ".repeat(2000), "cache_control": mark}]);
        serde_json::from_value(json!({
            "model": "claude-haiku-5-5",
            "max_tokens": 10,
            "system": system,
            "messages": [{"role": "user", "content": question}],
        }))
        .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_prefix_is_written_once_and_read_until_it_expires() {
        let cache = PromptCache::default();
        let written = CacheUsage {
            written_5m: 2500,
            ..CacheUsage::default()
        };
        let read = CacheUsage {
            read: 2500,
            ..CacheUsage::default()
        };
        let pass = |key: &str, question: &str| cache.pass(key, &request(question), None);
        assert_eq!(pass("key", "one"), written);
        assert_eq!(pass("key", "two"), read);
        assert_eq!(pass("other key", "two"), written);
        tokio::time::advance(Duration::from_secs(299)).await;
        assert_eq!(pass("key", "three"), read);
        tokio::time::advance(Duration::from_secs(301)).await;
        assert_eq!(pass("key", "four"), written);
    }
}
