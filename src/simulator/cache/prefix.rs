//! The prefixes of a request: where they end, and which of them are marked.

use crate::{
    claude::{
        raw::RawObject,
        request::{CacheControl, CacheTtl, Content, InputBlock, MessagesRequest, SystemPrompt},
        tools::Tool,
    },
    simulator::tokens,
};
use serde::Serialize;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A prefix that the request marks.
pub(super) struct Mark {
    pub(super) prefix: u64,
    pub(super) tokens: u64,
    pub(super) ttl: Option<CacheTtl>,
    /// The index of its block among the [`ends`](Prefixes::ends).
    pub(super) block: usize,
}

/// The end of a block.
pub(super) struct BlockEnd {
    pub(super) prefix: u64,
    pub(super) tokens: u64,
}

/// The prefixes of a request, in the order of the prompt: tools, system, messages.
pub(super) struct Prefixes {
    hasher: DefaultHasher,
    tokens: u64,
    pub(super) ends: Vec<BlockEnd>,
    pub(super) marks: Vec<Mark>,
}

impl Prefixes {
    /// The prefixes of a request that marks any.
    pub(super) fn of(key: &str, request: &MessagesRequest) -> Option<Self> {
        if count(request) == 0 {
            return None;
        }
        let mut prefix = Prefixes::new(key, request);
        for tool in &request.tools {
            prefix.extend(&tool, tokens::of_tool(tool), mark_of_tool(tool));
        }
        match &request.system {
            Some(SystemPrompt::Text(text)) => prefix.extend_text(text),
            Some(SystemPrompt::Blocks(blocks)) => prefix.extend_blocks(blocks),
            None => {}
        }
        for message in &request.messages {
            hash_json(&message.role, &mut prefix.hasher);
            match &message.content {
                Content::Text(text) => prefix.extend_text(text),
                Content::Blocks(blocks) => prefix.extend_blocks(blocks),
            }
        }
        // At the top of the request, it marks the last block.
        if request.cache_control.is_some() {
            prefix.mark(request.cache_control);
        }
        Some(prefix)
    }

    /// An output format is part of what the model reads first.
    fn new(key: &str, request: &MessagesRequest) -> Self {
        let mut hasher = DefaultHasher::new();
        (key, &request.model).hash(&mut hasher);
        let output = request.output_config.as_ref();
        hash_json(&output.and_then(|it| it.format.as_ref()), &mut hasher);
        Prefixes {
            hasher,
            tokens: 0,
            ends: Vec::new(),
            marks: Vec::new(),
        }
    }

    fn extend_text(&mut self, text: &str) {
        let block = InputBlock::Text {
            text: text.to_owned(),
            cache_control: None,
            citations: None,
        };
        self.extend(&block, tokens::of_text(text), None);
    }

    fn extend_blocks(&mut self, blocks: &[InputBlock]) {
        for block in blocks {
            let mut bare = block.clone();
            let mark = take_mark(&mut bare);
            self.extend(&bare, tokens::of_block(block), mark);
        }
    }

    fn extend(&mut self, content: &impl Serialize, tokens: u64, mark: Option<CacheControl>) {
        hash_json(content, &mut self.hasher);
        self.tokens += tokens;
        self.ends.push(BlockEnd {
            prefix: self.hasher.finish(),
            tokens: self.tokens,
        });
        self.mark(mark);
    }

    fn mark(&mut self, mark: Option<CacheControl>) {
        if let (Some(CacheControl::Ephemeral { ttl }), Some(end)) = (mark, self.ends.last()) {
            self.marks.push(Mark {
                prefix: end.prefix,
                tokens: end.tokens,
                ttl,
                block: self.ends.len() - 1,
            });
        }
    }
}

/// Hashes what stands on the wire.
fn hash_json(content: &impl Serialize, hasher: &mut DefaultHasher) {
    serde_json::to_vec(content).unwrap_or_default().hash(hasher);
}

/// Number of `cache_control` marks in a request.
pub(in crate::simulator) fn count(request: &MessagesRequest) -> usize {
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
        InputBlock::Other(block) => mark_of(block).is_some(),
        block => block.cache_control().is_some(),
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
