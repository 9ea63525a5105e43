//! The prefix of a request that the API caches, if the request marks one.
//!
//! Calls with the same prefix read what the first of them has written. A request may mark
//! several prefixes; the shortest counts here, since most calls have it in common.

use super::ApiHeaders;
use crate::{
    claude::request::{CacheControl, CacheTtl, Content, MessagesRequest, SystemPrompt},
    claude::tools::Tool,
    models::catalogue,
};
use serde::Serialize;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

/// Bytes of a token, at least: what has fewer tokens than the model caches is left out, and
/// what may have enough is not.
const MIN_BYTES_PER_TOKEN: u64 = 2;

/// The minimum of a model for which no source states one, in tokens: the smallest one.
const MIN_TOKENS: u64 = 512;

/// A marked prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachedPrefix {
    /// Equal for the same prefix of the same tenant.
    pub hash: u64,
    /// For how long the API keeps it after each use.
    pub lifetime: Duration,
}

// === impl CachedPrefix ===

impl CachedPrefix {
    /// The shortest prefix that a request marks, unless it is too short for its model. A
    /// request without marks costs no more than the search for one.
    pub fn of(
        request: &MessagesRequest,
        tenant: Option<&str>,
        headers: Option<&ApiHeaders>,
    ) -> Option<Self> {
        let (place, CacheControl::Ephemeral { ttl }) = first_mark(request)?;
        let mut prefix = PrefixHasher::default();
        (tenant, headers).hash(&mut prefix.hasher);
        // The API describes the format of the answer in front of everything else.
        let output = request.output_config.as_ref();
        prefix.json(&output.and_then(|it| it.format.as_ref()));
        prefix.json(&request.speed);
        let tools = match place {
            MarkPlace::Tool(last) => &request.tools[..=last],
            _ => &request.tools[..],
        };
        tools.iter().for_each(|tool| prefix.json(tool));
        match (&request.system, place) {
            (None, _) | (_, MarkPlace::Tool(_)) => {}
            (Some(SystemPrompt::Text(text)), _) => prefix.text(text),
            (Some(SystemPrompt::Blocks(blocks)), MarkPlace::System(last)) => {
                prefix.blocks(&blocks[..=last]);
            }
            (Some(SystemPrompt::Blocks(blocks)), MarkPlace::Message(..)) => prefix.blocks(blocks),
        }
        if let MarkPlace::Message(last, last_block) = place {
            for (index, message) in request.messages[..=last].iter().enumerate() {
                prefix.json(&message.role);
                match &message.content {
                    Content::Text(text) => prefix.text(text),
                    Content::Blocks(blocks) if index == last => {
                        prefix.blocks(&blocks[..=last_block]);
                    }
                    Content::Blocks(blocks) => prefix.blocks(blocks),
                }
            }
        }
        let model = catalogue().find(&request.model);
        let minimum = model.and_then(|it| it.limits.cache_minimum);
        let may_be_cached = prefix.bytes >= minimum.unwrap_or(MIN_TOKENS) * MIN_BYTES_PER_TOKEN;
        may_be_cached.then(|| CachedPrefix {
            hash: prefix.hasher.finish(),
            lifetime: match ttl {
                Some(CacheTtl::OneHour) => Duration::from_secs(3600),
                _ => Duration::from_secs(300),
            },
        })
    }
}

/// Where a mark is, by indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MarkPlace {
    Tool(usize),
    System(usize),
    /// The message, and its block.
    Message(usize, usize),
}

/// The first mark in the order of the prompt. Those of what is carried as JSON are not
/// looked for.
fn first_mark(request: &MessagesRequest) -> Option<(MarkPlace, CacheControl)> {
    let of_tool = |tool: &Tool| match tool {
        Tool::Custom(tool) => tool.cache_control,
        Tool::Defined(_) => None,
    };
    let mut tools = request.tools.iter().enumerate();
    let in_tools = tools.find_map(|(index, it)| Some((MarkPlace::Tool(index), of_tool(it)?)));
    let in_system = || match &request.system {
        Some(SystemPrompt::Blocks(blocks)) => {
            let mut blocks = blocks.iter().enumerate();
            blocks.find_map(|(index, it)| Some((MarkPlace::System(index), it.cache_control()?)))
        }
        _ => None,
    };
    let in_messages = || {
        let mut messages = request.messages.iter().enumerate();
        messages.find_map(|(message, it)| {
            let Content::Blocks(blocks) = &it.content else {
                return None;
            };
            let mut blocks = blocks.iter().enumerate();
            blocks.find_map(|(index, it)| {
                Some((MarkPlace::Message(message, index), it.cache_control()?))
            })
        })
    };
    in_tools.or_else(in_system).or_else(in_messages)
}

#[derive(Default)]
struct PrefixHasher {
    hasher: DefaultHasher,
    bytes: u64,
}

impl PrefixHasher {
    fn text(&mut self, text: &str) {
        text.hash(&mut self.hasher);
        self.bytes += text.len() as u64;
    }

    fn json(&mut self, content: &impl Serialize) {
        // A request that is not JSON fails when it is sent.
        let json = serde_json::to_vec(content).unwrap_or_default();
        json.hash(&mut self.hasher);
        self.bytes += json.len() as u64;
    }

    fn blocks(&mut self, blocks: &[crate::claude::request::InputBlock]) {
        blocks.iter().for_each(|block| match block.as_text() {
            Some(text) => self.text(text),
            None => self.json(block),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(fields: Value) -> Option<CachedPrefix> {
        let mut request = json!({
            "model": "claude-haiku-5-5", "max_tokens": 5,
            "messages": [{"role": "user", "content": "x"}],
        });
        let all = request.as_object_mut().unwrap();
        all.extend(fields.as_object().unwrap().clone());
        let request = serde_json::from_value(request).unwrap();
        CachedPrefix::of(&request, Some("t"), None)
    }

    fn marked(text: &str) -> Value {
        json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}})
    }

    #[test]
    fn what_follows_the_first_mark_makes_no_difference() {
        let rules = "rules ".repeat(500);
        let asked = |text: &str| json!([{"role": "user", "content": [marked(text)]}]);
        let system = json!([marked(&rules)]);
        let first = of(json!({"system": system, "messages": asked("one")})).unwrap();
        assert_eq!(first.lifetime, Duration::from_secs(300));
        let same = of(json!({"system": system, "messages": asked("two")}));
        assert_eq!(same, Some(first));
        let others = json!([marked(&rules.to_uppercase())]);
        assert_ne!(of(json!({"system": others})), Some(first));
        let schema = json!({"format": {"type": "json_schema", "schema": {}}});
        let formatted = of(json!({"system": system, "output_config": schema}));
        assert_ne!(formatted, Some(first));
        let messages = of(json!({"system": rules, "messages": asked(&rules)}));
        assert_ne!(messages.unwrap(), first);
        let hour = json!({"type": "ephemeral", "ttl": "1h"});
        let tool =
            json!({"name": "t", "input_schema": {}, "description": rules, "cache_control": hour});
        let tool = of(json!({"tools": [tool]})).unwrap();
        assert_eq!(tool.lifetime, Duration::from_secs(3600));
    }

    #[test]
    fn what_the_model_does_not_cache_is_no_prefix() {
        assert_eq!(of(json!({"system": "rules ".repeat(500)})), None);
        assert_eq!(of(json!({"system": [marked("short")]})), None);
    }
}
