//! Blocks with something wrong in them, or where they must not be.

use crate::{
    sample_blocks,
    sample_requests::{self, blocks, document, image, text},
};
use claude_grpc::proto::v1::{
    self, Role, browser_state_change::Change, content_block::Block,
    document_block::Source as DocumentSource, image_block::Source as ImageSource,
};

fn in_result(block: Block) -> Block {
    Block::ToolResult(v1::ToolResultBlock {
        content: blocks(vec![block]),
        ..sample_requests::result("x")
    })
}

fn browser(change: fn(&mut v1::BrowserStateBlock)) -> Block {
    let mut state = sample_blocks::browser_state();
    change(&mut state);
    in_result(Block::BrowserState(state))
}

/// Blocks with something wrong in them, each with the place of it in the block.
pub fn bad_blocks() -> Vec<(Role, Block, &'static str)> {
    use DocumentSource as Doc;
    use Role::{Assistant, User};
    let picture = |source| Block::Image(image(source));
    let paper = |source| Block::Document(document(source));
    let url = |url: &str| url.to_owned();
    let other = |json: &str| {
        Block::Other(v1::OtherBlock {
            r#type: "new".to_owned(),
            json: json.to_owned(),
        })
    };
    let tool_use = |json: &str| Block::ToolUse(sample_requests::tool_use("toolu_1", json));
    let cited = |json: &str| {
        Block::Text(v1::TextBlock {
            citations_json: vec![json.to_owned()],
            ..text("x")
        })
    };
    let mut rows = vec![
        (User, Block::Text(text("")), ".text.text"),
        (User, cited("{}"), ".text.citations_json[0]"),
        (Assistant, cited("null"), ".text.citations_json[0]"),
        (User, Block::Image(v1::ImageBlock::default()), ".image"),
        (
            User,
            picture(ImageSource::FileId(String::new())),
            ".image.file_id",
        ),
        (
            User,
            Block::Document(v1::DocumentBlock::default()),
            ".document",
        ),
        (User, paper(Doc::Text(" ".to_owned())), ".document.text"),
        (User, paper(Doc::FileId(String::new())), ".document.file_id"),
        (
            User,
            paper(Doc::Content(v1::DocumentContent::default())),
            ".document.content.content",
        ),
        (
            User,
            paper(Doc::Content(v1::DocumentContent {
                content: blocks(vec![other(r#"{"type":"new"}"#)]),
            })),
            ".document.content.content[0]",
        ),
        (Assistant, tool_use("{"), ".tool_use.input_json"),
        (Assistant, tool_use("[]"), ".tool_use.input_json"),
        (Assistant, tool_use("{} {}"), ".tool_use.input_json"),
        (
            Assistant,
            Block::Thinking(v1::ThinkingBlock::default()),
            ".thinking.signature",
        ),
        (
            Assistant,
            Block::RedactedThinking(v1::RedactedThinkingBlock::default()),
            ".redacted_thinking.data",
        ),
        (
            User,
            Block::ToolResult(sample_requests::result("")),
            ".tool_result.tool_use_id",
        ),
        (
            Assistant,
            other(r#"{"type":"container_upload","file_id":"f"}"#),
            ".other.json",
        ),
        (
            User,
            Block::ContainerUpload(v1::ContainerUploadBlock::default()),
            ".container_upload.file_id",
        ),
        (
            User,
            Block::Image(v1::ImageBlock {
                transformations: Some(v1::ImageTransformations { oversized_image: 3 }),
                ..image(ImageSource::FileId("x".to_owned()))
            }),
            ".image.transformations.oversized_image",
        ),
        (
            Assistant,
            Block::ToolUse(v1::ToolUseBlock {
                caller: Some(v1::ToolCaller::default()),
                ..sample_requests::tool_use("toolu_1", "{}")
            }),
            ".tool_use.caller.type",
        ),
        (
            User,
            Block::SearchResult(v1::SearchResultBlock {
                texts: vec!["x".to_owned()],
                content: vec![text("x")],
                ..sample_requests::found()
            }),
            ".search_result",
        ),
        (
            User,
            in_result(Block::ToolReference(v1::ToolReferenceBlock::default())),
            ".tool_result.content[0].tool_reference.tool_name",
        ),
        (
            User,
            browser(|it| it.tabs[0].active = true),
            ".tool_result.content[0].browser_state.tabs",
        ),
        (
            User,
            browser(|it| it.tabs[1].active = false),
            ".tool_result.content[0].browser_state.tabs",
        ),
        (
            User,
            browser(|it| it.tabs[0].tab_id = " ".to_owned()),
            ".tool_result.content[0].browser_state.tabs[0].tab_id",
        ),
        (
            User,
            browser(|it| it.tabs[0].tab_id = "2".to_owned()),
            ".tool_result.content[0].browser_state.tabs[1].tab_id",
        ),
        (
            User,
            browser(|it| it.state_changes[3].change = None),
            ".tool_result.content[0].browser_state.state_changes[3]",
        ),
        (
            User,
            browser(|it| it.tabs[1].tab_id = "3".to_owned()),
            ".tool_result.content[0].browser_state.state_changes[0].tab_opened.tab_id",
        ),
        (
            User,
            browser(|it| it.state_changes[1] = it.state_changes[2].clone()),
            ".tool_result.content[0].browser_state.state_changes[2]",
        ),
        (
            User,
            browser(|it| {
                if let Some(Change::DownloadCompleted(it)) = &mut it.state_changes[2].change {
                    it.size_bytes = Some(-1);
                }
            }),
            ".tool_result.content[0].browser_state.state_changes[2].download_completed.size_bytes",
        ),
        (
            User,
            browser(|it| {
                if let Some(Change::DownloadFailed(it)) = &mut it.state_changes[3].change {
                    it.url.clear();
                }
            }),
            ".tool_result.content[0].browser_state.state_changes[3].download_failed.url",
        ),
        (
            User,
            Block::ToolResult(v1::ToolResultBlock {
                is_error: true,
                content: blocks(vec![Block::BrowserState(sample_blocks::browser_state())]),
                ..sample_requests::result("x")
            }),
            ".tool_result.content[0]",
        ),
        (
            User,
            Block::ToolResult(v1::ToolResultBlock {
                content: blocks(
                    [(); 3]
                        .map(|()| Block::BrowserState(v1::BrowserStateBlock::default()))
                        .to_vec(),
                ),
                ..sample_requests::result("x")
            }),
            ".tool_result.content[1]",
        ),
        (User, other(r#"{"type":"new"}"#), ".other.json"),
        (Role::System, other(r#"{"type":"new"}"#), ".other.json"),
        (Assistant, other("new"), ".other.json"),
        (Assistant, other(r#"{"kind":"new"}"#), ".other.json"),
        (Assistant, other(r#"{"type":7}"#), ".other.json"),
        (
            Assistant,
            other(r#"{"type":"t\u0065xt","text":""}"#),
            ".other.json",
        ),
        (
            Assistant,
            other(r#"{"type":"new","type":"text"}"#),
            ".other.json",
        ),
    ];
    for bytes in ["", "%PDF", "<svg/>", "BM", "GIF88a", "\u{ff}\u{d8}\u{ff}"] {
        rows.push((
            User,
            picture(ImageSource::Data(bytes.into())),
            ".image.data",
        ));
    }
    for bytes in [&b""[..], b" %PDF-1.7", b"PK\x03\x04", sample_requests::PNG] {
        let pdf = Doc::Pdf(bytes::Bytes::from_static(bytes));
        rows.push((User, paper(pdf), ".document.pdf"));
    }
    for address in [
        "",
        "http://example.com/a.png",
        "//example.com/a.png",
        "https://",
        "https:///a.png",
        "file:///etc/passwd",
        "example.com",
        "https://exa mple.com/",
    ] {
        rows.push((User, picture(ImageSource::Url(url(address))), ".image.url"));
        rows.push((User, paper(Doc::Url(url(address))), ".document.url"));
    }
    rows
}

/// Blocks where they must not stand.
pub fn misplaced() -> Vec<(Role, Block)> {
    use Role::{Assistant, System, User};
    let picture = || Block::Image(image(ImageSource::FileId("x".to_owned())));
    let paper = || Block::Document(document(DocumentSource::FileId("x".to_owned())));
    let thought = || {
        Block::Thinking(v1::ThinkingBlock {
            thinking: String::new(),
            signature: "x".to_owned(),
        })
    };
    let redacted = || {
        Block::RedactedThinking(v1::RedactedThinkingBlock {
            data: "x".to_owned(),
        })
    };
    let tool_use = || Block::ToolUse(sample_requests::tool_use("x", "{}"));
    let result = || Block::ToolResult(sample_requests::result("x"));
    let upload = Block::ContainerUpload(v1::ContainerUploadBlock {
        file_id: "x".to_owned(),
        ..v1::ContainerUploadBlock::default()
    });
    let for_results = || {
        [
            Block::ToolReference(v1::ToolReferenceBlock {
                tool_name: "x".to_owned(),
                ..v1::ToolReferenceBlock::default()
            }),
            Block::BrowserState(sample_blocks::browser_state()),
        ]
    };
    let mut rows = vec![(System, upload)];
    for role in [Assistant, System] {
        rows.extend(for_results().map(|block| (role, block)));
    }
    for role in [Assistant, System] {
        rows.extend([picture(), paper(), result()].map(|block| (role, block)));
    }
    for role in [User, System] {
        rows.extend([thought(), redacted(), tool_use()].map(|block| (role, block)));
    }
    rows
}
