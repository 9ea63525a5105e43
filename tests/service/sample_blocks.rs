//! Requests with the blocks that go with tools of the API.

use crate::{
    sample_requests::{PNG, blocks, found, image, mark, message_of, result, text, tool_use},
    support::ask,
};
use claude_grpc::proto::v1::{
    self, browser_state_change::Change, content_block::Block, image_block::Source as ImageSource,
};

/// Calls of tools by code and of members of a toolset, with what goes with them.
pub fn toolset() -> v1::GenerateRequest {
    let oversized = |oversized: v1::OversizedImage| {
        Block::Image(v1::ImageBlock {
            transformations: Some(v1::ImageTransformations {
                oversized_image: oversized.into(),
            }),
            ..image(ImageSource::Data(PNG.into()))
        })
    };
    let result = |id: &str| v1::ToolResultBlock {
        toolset_name: "browser".to_owned(),
        ..result(id)
    };
    v1::GenerateRequest {
        messages: vec![
            message_of(
                v1::Role::User,
                vec![
                    oversized(v1::OversizedImage::Downsize),
                    oversized(v1::OversizedImage::Error),
                    Block::SearchResult(v1::SearchResultBlock {
                        texts: Vec::new(),
                        content: vec![
                            text("It rained."),
                            v1::TextBlock {
                                cache_control: mark(v1::CacheTtl::Unspecified),
                                ..text("It did not.")
                            },
                        ],
                        ..found()
                    }),
                ],
            ),
            message_of(
                v1::Role::Assistant,
                vec![
                    Block::ToolUse(called_by("direct", "")),
                    Block::ToolUse(v1::ToolUseBlock {
                        id: "toolu_2".to_owned(),
                        ..called_by("code_execution_20260120", "srvtoolu_1")
                    }),
                ],
            ),
            message_of(
                v1::Role::User,
                vec![
                    Block::ToolResult(result("toolu_1")),
                    Block::ToolResult(result("toolu_2")),
                ],
            ),
        ],
        ..ask("")
    }
}

fn called_by(kind: &str, tool_id: &str) -> v1::ToolUseBlock {
    v1::ToolUseBlock {
        name: "screenshot".to_owned(),
        caller: Some(v1::ToolCaller {
            r#type: kind.to_owned(),
            tool_id: tool_id.to_owned(),
        }),
        toolset_name: "browser".to_owned(),
        ..tool_use("toolu_1", "{}")
    }
}

/// The blocks for tools of the API.
pub fn given_blocks() -> v1::GenerateRequest {
    let upload = || {
        Block::ContainerUpload(v1::ContainerUploadBlock {
            file_id: "file_1".to_owned(),
            cache_control: mark(v1::CacheTtl::Unspecified),
        })
    };
    let found = Block::ToolReference(v1::ToolReferenceBlock {
        tool_name: "weather".to_owned(),
        cache_control: mark(v1::CacheTtl::Unspecified),
    });
    let result = v1::ToolResultBlock {
        content: blocks(vec![found, Block::BrowserState(browser_state())]),
        ..result("toolu_1")
    };
    v1::GenerateRequest {
        messages: vec![
            message_of(v1::Role::User, vec![upload()]),
            message_of(
                v1::Role::Assistant,
                vec![upload(), Block::ToolUse(tool_use("toolu_1", "{}"))],
            ),
            message_of(v1::Role::User, vec![Block::ToolResult(result)]),
        ],
        ..ask("")
    }
}

/// A browser in which a call opened a tab, and started and ended downloads.
pub fn browser_state() -> v1::BrowserStateBlock {
    let tab = |tab_id: &str, active| v1::BrowserTab {
        tab_id: tab_id.to_owned(),
        title: "Weather".to_owned(),
        url: "https://example.com/".to_owned(),
        active,
    };
    let url = || "https://example.com/report.pdf".to_owned();
    let changes = [
        Change::TabOpened(v1::BrowserTabOpened {
            tab_id: "2".to_owned(),
        }),
        Change::DownloadStarted(v1::BrowserDownloadStarted {
            download_id: "a".to_owned(),
            url: url(),
        }),
        Change::DownloadCompleted(v1::BrowserDownloadCompleted {
            download_id: "b".to_owned(),
            url: url(),
            path: "/tmp/report.pdf".to_owned(),
            size_bytes: Some(0),
        }),
        Change::DownloadFailed(v1::BrowserDownloadFailed {
            download_id: "c".to_owned(),
            url: url(),
            error: "cancelled".to_owned(),
        }),
    ];
    v1::BrowserStateBlock {
        tabs: vec![tab("1", false), tab("2", true)],
        state_changes: changes
            .map(|change| v1::BrowserStateChange {
                change: Some(change),
            })
            .to_vec(),
        cache_control: mark(v1::CacheTtl::Unspecified),
    }
}
