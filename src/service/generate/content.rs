//! Maps content blocks to the API's.

use super::{
    extra, json,
    position::{BlockPosition, misplaced},
    tool_name::{NOT_A_TOOL_NAME, is_tool_name},
};
use crate::{
    claude::{
        extra::with_extra,
        given::GivenBlock,
        raw::RawObject,
        request::{CacheControl, Content, InputBlock, Role},
        tool_origin::ToolCaller,
    },
    proto::v1::{self, content_block::Block},
    service::{PassthroughConfig, passthrough::Passed, prompt_cache},
    status::{Path, Violations},
};

/// Maximum number of cache marks in one request; the API rejects more.
const MAX_CACHE_MARKS: u32 = 4;

/// Types of blocks that have a dedicated field, so that `other` cannot be used
/// to bypass its checks.
const TYPED: [&str; 11] = [
    "text",
    "image",
    "document",
    "search_result",
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "tool_reference",
    "browser_state",
    "container_upload",
];

/// Maps content blocks to the API's, and collects what is wrong with them.
pub struct ContentMapper<'v> {
    /// Collects the violations.
    pub wrong: &'v mut Violations,
    /// What may be passed through.
    pub passthrough: &'v PassthroughConfig,
    cache_marks: u32,
}

impl<'v> ContentMapper<'v> {
    /// A mapper for one request.
    pub fn new(passthrough: &'v PassthroughConfig, wrong: &'v mut Violations) -> Self {
        ContentMapper {
            wrong,
            passthrough,
            cache_marks: 0,
        }
    }

    /// The blocks of one message or tool_result.
    pub fn blocks(
        &mut self,
        blocks: Vec<v1::ContentBlock>,
        place: BlockPosition,
        parent: Path<'_>,
    ) -> Vec<InputBlock> {
        let mut mapped = Vec::with_capacity(blocks.len());
        for (index, block) in blocks.into_iter().enumerate() {
            let path = parent.field("content").item(index);
            let Some(kind) = block.block else {
                self.wrong.add(path, "must be one of the block types");
                continue;
            };
            let input = self.block(kind, place, path);
            mapped.extend(input.and_then(|it| self.with_extra(it, block.extra_json, place, path)));
        }
        mapped
    }

    /// The fields of a message that are passed through.
    pub fn message_fields(&mut self, extra: String, path: Path<'_>) -> Option<RawObject> {
        extra::of_message(extra, path, self.passthrough, self.wrong)
    }

    /// Maps a text that must not be empty.
    pub fn text(&mut self, block: v1::TextBlock, citable: bool, path: Path<'_>) -> InputBlock {
        self.required(&block.text, path.field("text"));
        let mut citations = Vec::with_capacity(block.citations_json.len());
        for (index, citation) in block.citations_json.into_iter().enumerate() {
            let path = path.field("citations_json").item(index);
            if !citable {
                self.wrong
                    .add(path, "is only allowed in assistant messages");
                break;
            }
            citations.extend(json::raw_object(citation, path, self.wrong));
        }
        InputBlock::Text {
            text: block.text,
            cache_control: self.cache_control(block.cache_control, path.field("cache_control")),
            citations: (!citations.is_empty()).then_some(citations),
        }
    }

    /// Maps a cache mark, and counts it.
    pub fn cache_control(
        &mut self,
        mark: Option<v1::CacheControl>,
        path: Path<'_>,
    ) -> Option<CacheControl> {
        let mark = mark?;
        self.cache_marks += 1;
        if self.cache_marks == MAX_CACHE_MARKS + 1 {
            self.wrong.add(
                path,
                format!("exceeds the maximum of {MAX_CACHE_MARKS} in a request"),
            );
        }
        let ttl = prompt_cache::ttl(mark.ttl, path.field("ttl"), self.wrong);
        Some(CacheControl::Ephemeral { ttl })
    }

    fn block(&mut self, block: Block, place: BlockPosition, path: Path<'_>) -> Option<InputBlock> {
        if let Some(complaint) = misplaced(&block, place) {
            self.wrong.add(path, complaint);
            return None;
        }
        match block {
            Block::Text(text) => {
                let citable = place == BlockPosition::Message(Role::Assistant);
                Some(self.text(text, citable, path.field("text")))
            }
            Block::Image(image) => self.image(image, path.field("image")),
            Block::Document(document) => self.document(document, path.field("document")),
            Block::SearchResult(found) => {
                Some(self.search_result(found, path.field("search_result")))
            }
            Block::ToolUse(tool_use) => Some(self.tool_use(tool_use, path.field("tool_use"))),
            Block::ToolResult(result) => Some(self.tool_result(result, path.field("tool_result"))),
            Block::Thinking(block) => {
                self.required(&block.signature, path.field("thinking").field("signature"));
                Some(InputBlock::Thinking {
                    thinking: block.thinking,
                    signature: block.signature,
                })
            }
            Block::RedactedThinking(block) => {
                self.required(&block.data, path.field("redacted_thinking").field("data"));
                Some(InputBlock::RedactedThinking { data: block.data })
            }
            Block::ToolReference(block) => {
                Some(self.tool_reference(block, path.field("tool_reference")))
            }
            Block::BrowserState(block) => {
                Some(self.browser_state(block, path.field("browser_state")))
            }
            Block::ContainerUpload(block) => {
                Some(self.container_upload(block, path.field("container_upload")))
            }
            Block::Other(block) => self.other(block, place, path.field("other")),
        }
    }

    /// A block with the fields that are unknown here.
    fn with_extra(
        &mut self,
        block: InputBlock,
        extra: String,
        place: BlockPosition,
        path: Path<'_>,
    ) -> Option<InputBlock> {
        if extra.is_empty() {
            return Some(block);
        }
        let path = path.field("extra_json");
        let extra = json::raw_object(extra, path, self.wrong)?;
        if place != BlockPosition::Message(Role::Assistant) {
            extra::check_block(&extra, path, self.passthrough, self.wrong);
        }
        let json = serde_json::to_string(&block).expect("a block always serializes");
        let known = RawObject::new(json).ok();
        let whole = known.and_then(|known| with_extra(&known, &extra));
        if whole.is_none() {
            self.wrong.add(
                path,
                "must only have fields that the block does not have itself",
            );
        }
        whole.map(InputBlock::Other)
    }

    fn tool_use(&mut self, tool_use: v1::ToolUseBlock, path: Path<'_>) -> InputBlock {
        self.required(&tool_use.id, path.field("id"));
        self.required(&tool_use.name, path.field("name"));
        let input = match tool_use.input_json {
            // A tool without arguments, put together from no pieces.
            json if json.trim().is_empty() => None,
            json => json::raw_object(json, path.field("input_json"), self.wrong),
        };
        let caller = tool_use.caller.map(|caller| {
            if !is_tool_name(&caller.r#type) {
                self.wrong
                    .add(path.field("caller").field("type"), NOT_A_TOOL_NAME);
            }
            ToolCaller {
                kind: caller.r#type,
                tool_id: non_empty(caller.tool_id),
            }
        });
        InputBlock::ToolUse {
            id: tool_use.id,
            name: tool_use.name,
            input: input.unwrap_or_default(),
            cache_control: self.cache_control(tool_use.cache_control, path.field("cache_control")),
            caller,
            toolset_name: non_empty(tool_use.toolset_name),
        }
    }

    fn tool_result(&mut self, result: v1::ToolResultBlock, path: Path<'_>) -> InputBlock {
        self.required(&result.tool_use_id, path.field("tool_use_id"));
        self.check_browser_states(&result, path);
        let content = self.blocks(result.content, BlockPosition::ToolResult, path);
        InputBlock::ToolResult {
            tool_use_id: result.tool_use_id,
            content: (!content.is_empty()).then_some(Content::Blocks(content)),
            is_error: result.is_error,
            cache_control: self.cache_control(result.cache_control, path.field("cache_control")),
            toolset_name: non_empty(result.toolset_name),
        }
    }

    fn tool_reference(&mut self, found: v1::ToolReferenceBlock, path: Path<'_>) -> InputBlock {
        self.required(&found.tool_name, path.field("tool_name"));
        let block = GivenBlock::ToolReference {
            tool_name: found.tool_name,
            cache_control: self.cache_control(found.cache_control, path.field("cache_control")),
        };
        InputBlock::Other(block.to_json())
    }

    fn container_upload(&mut self, file: v1::ContainerUploadBlock, path: Path<'_>) -> InputBlock {
        self.required(&file.file_id, path.field("file_id"));
        let block = GivenBlock::ContainerUpload {
            file_id: file.file_id,
            cache_control: self.cache_control(file.cache_control, path.field("cache_control")),
        };
        InputBlock::Other(block.to_json())
    }

    fn other(
        &mut self,
        block: v1::OtherBlock,
        place: BlockPosition,
        path: Path<'_>,
    ) -> Option<InputBlock> {
        let path = path.field("json");
        let json = json::raw_object(block.json, path, self.wrong)?;
        match json.kind() {
            Some(kind) if TYPED.contains(&&*kind) => {
                self.wrong
                    .add(path, "must use the dedicated field for this type");
                None
            }
            Some(kind) => {
                let is_answer = place == BlockPosition::Message(Role::Assistant);
                let (passthrough, wrong) = (self.passthrough, &mut *self.wrong);
                let is_allowed = is_answer || passthrough.allows(Passed::Block, &kind, path, wrong);
                is_allowed.then(|| InputBlock::Other(json.clone()))
            }
            None => {
                self.wrong.add(path, "must have a type, as the API sent it");
                None
            }
        }
    }

    /// A text must not be blank.
    pub fn required(&mut self, text: &str, path: Path<'_>) {
        if text.trim().is_empty() {
            self.wrong.add(path, "must not be empty");
        }
    }

    /// A URL must be of https.
    pub fn https(&mut self, url: &str, path: Path<'_>) {
        let is_https = url
            .parse::<http::Uri>()
            .is_ok_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some());
        if !is_https {
            self.wrong.add(path, "must be an https URL");
        }
    }
}

/// `None` for an empty text: proto3 does not distinguish it from an absent one.
pub fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
