//! Maps content blocks to the API's.

use super::{
    extra, json,
    picture::picture_type,
    position::{BlockPosition, misplaced},
};
use crate::{
    claude::{
        extra::with_extra,
        raw::RawObject,
        request::{
            CacheControl, CacheTtl, Citations, Content, DocumentSource, ImageSource, InputBlock,
            Role,
        },
    },
    proto::v1::{
        self, content_block::Block, document_block::Source as DocSource,
        image_block::Source as PictureSource,
    },
    service::{PassthroughConfig, passthrough::Passed},
    status::{Path, Violations},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

/// Maximum number of cache marks in one request; the API rejects more.
const MAX_CACHE_MARKS: u32 = 4;

/// Types of blocks that have a dedicated field, so that `other` cannot be used
/// to bypass its checks.
const TYPED: [&str; 8] = [
    "text",
    "image",
    "document",
    "search_result",
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
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
        let ttl = match v1::CacheTtl::try_from(mark.ttl) {
            Ok(v1::CacheTtl::Unspecified) => None,
            Ok(v1::CacheTtl::CacheTtl5m) => Some(CacheTtl::FiveMinutes),
            Ok(v1::CacheTtl::CacheTtl1h) => Some(CacheTtl::OneHour),
            Err(_) => {
                self.wrong.add(path.field("ttl"), "is an unknown value");
                None
            }
        };
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

    fn image(&mut self, image: v1::ImageBlock, path: Path<'_>) -> Option<InputBlock> {
        let source = match image.source {
            Some(PictureSource::Data(bytes)) => {
                let Some(media_type) = picture_type(&bytes) else {
                    self.wrong
                        .add(path.field("data"), "must be a JPEG, PNG, GIF or WebP file");
                    return None;
                };
                ImageSource::Base64 {
                    media_type: media_type.to_owned(),
                    data: BASE64.encode(&bytes),
                }
            }
            Some(PictureSource::Url(url)) => {
                self.https(&url, path.field("url"));
                ImageSource::Url { url }
            }
            Some(PictureSource::FileId(file_id)) => {
                self.required(&file_id, path.field("file_id"));
                ImageSource::File { file_id }
            }
            None => {
                self.wrong.add(path, "must have data, url or file_id");
                return None;
            }
        };
        Some(InputBlock::Image {
            source,
            cache_control: self.cache_control(image.cache_control, path.field("cache_control")),
        })
    }

    fn document(&mut self, document: v1::DocumentBlock, path: Path<'_>) -> Option<InputBlock> {
        let source = match document.source {
            Some(DocSource::Pdf(bytes)) => {
                if !bytes.starts_with(b"%PDF-") {
                    self.wrong.add(
                        path.field("pdf"),
                        "must be a PDF file, beginning with %PDF-",
                    );
                    return None;
                }
                DocumentSource::Base64 {
                    media_type: "application/pdf".to_owned(),
                    data: BASE64.encode(&bytes),
                }
            }
            Some(DocSource::Text(data)) => {
                self.required(&data, path.field("text"));
                DocumentSource::Text {
                    media_type: "text/plain".to_owned(),
                    data,
                }
            }
            Some(DocSource::Url(url)) => {
                self.https(&url, path.field("url"));
                DocumentSource::Url { url }
            }
            Some(DocSource::FileId(file_id)) => {
                self.required(&file_id, path.field("file_id"));
                DocumentSource::File { file_id }
            }
            Some(DocSource::Content(document)) => {
                let path = path.field("content");
                if document.content.is_empty() {
                    self.wrong.add(path.field("content"), "must not be empty");
                }
                let parts = self.blocks(document.content, BlockPosition::DocumentPart, path);
                DocumentSource::Content {
                    content: Content::Blocks(parts),
                }
            }
            None => {
                self.wrong
                    .add(path, "must have pdf, text, url, file_id or content");
                return None;
            }
        };
        Some(InputBlock::Document {
            source,
            title: non_empty(document.title),
            context: non_empty(document.context),
            citations: citations(document.citations),
            cache_control: self.cache_control(document.cache_control, path.field("cache_control")),
        })
    }

    fn search_result(&mut self, found: v1::SearchResultBlock, path: Path<'_>) -> InputBlock {
        self.required(&found.source, path.field("source"));
        self.required(&found.title, path.field("title"));
        if found.texts.is_empty() {
            self.wrong.add(path.field("texts"), "must not be empty");
        }
        let mut content = Vec::with_capacity(found.texts.len());
        for (index, text) in found.texts.into_iter().enumerate() {
            self.required(&text, path.field("texts").item(index));
            content.push(InputBlock::Text {
                text,
                cache_control: None,
                citations: None,
            });
        }
        InputBlock::SearchResult {
            source: found.source,
            title: found.title,
            content,
            citations: citations(found.citations),
            cache_control: self.cache_control(found.cache_control, path.field("cache_control")),
        }
    }

    fn tool_use(&mut self, tool_use: v1::ToolUseBlock, path: Path<'_>) -> InputBlock {
        self.required(&tool_use.id, path.field("id"));
        self.required(&tool_use.name, path.field("name"));
        let input = match tool_use.input_json {
            // A tool without arguments, put together from no pieces.
            json if json.trim().is_empty() => None,
            json => json::raw_object(json, path.field("input_json"), self.wrong),
        };
        InputBlock::ToolUse {
            id: tool_use.id,
            name: tool_use.name,
            input: input.unwrap_or_default(),
            cache_control: self.cache_control(tool_use.cache_control, path.field("cache_control")),
        }
    }

    fn tool_result(&mut self, result: v1::ToolResultBlock, path: Path<'_>) -> InputBlock {
        self.required(&result.tool_use_id, path.field("tool_use_id"));
        let content = self.blocks(result.content, BlockPosition::ToolResult, path);
        InputBlock::ToolResult {
            tool_use_id: result.tool_use_id,
            content: (!content.is_empty()).then_some(Content::Blocks(content)),
            is_error: result.is_error,
            cache_control: self.cache_control(result.cache_control, path.field("cache_control")),
        }
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

    fn required(&mut self, text: &str, path: Path<'_>) {
        if text.trim().is_empty() {
            self.wrong.add(path, "must not be empty");
        }
    }

    fn https(&mut self, url: &str, path: Path<'_>) {
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

fn citations(enabled: bool) -> Option<Citations> {
    enabled.then_some(Citations { enabled })
}
