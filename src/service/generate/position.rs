//! Which blocks are allowed where in a request.

use crate::{claude::request::Role, proto::v1::content_block::Block};

/// Where blocks are in a request, which determines what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockPosition {
    /// In a message of this role.
    Message(Role),
    /// In the content of a tool_result.
    ToolResult,
    /// A part of a document.
    DocumentPart,
}

/// Why a block is not allowed in its position, if it is not.
pub fn misplaced(block: &Block, place: BlockPosition) -> Option<&'static str> {
    use Role::{Assistant, System, User};
    let (allowed, complaint): (&[BlockPosition], _) = match block {
        Block::Text(_) => return None,
        Block::Other(_) if place != BlockPosition::DocumentPart => return None,
        // Its complaint is that of the document.
        Block::Other(_) => (&[], ""),
        Block::Image(_) => (
            &[
                BlockPosition::Message(User),
                BlockPosition::ToolResult,
                BlockPosition::DocumentPart,
            ],
            "is only allowed in user messages",
        ),
        Block::Document(_) | Block::SearchResult(_) => (
            &[BlockPosition::Message(User), BlockPosition::ToolResult],
            "is only allowed in user messages",
        ),
        Block::ToolReference(_) | Block::BrowserState(_) => (
            &[BlockPosition::ToolResult],
            "is only allowed in a tool_result",
        ),
        Block::ContainerUpload(_) => (
            &[
                BlockPosition::Message(User),
                BlockPosition::Message(Assistant),
            ],
            "is only allowed in user and assistant messages",
        ),
        Block::ToolResult(_) => (
            &[BlockPosition::Message(User)],
            "is only allowed in user messages",
        ),
        Block::ToolUse(_) | Block::Thinking(_) | Block::RedactedThinking(_) => (
            &[BlockPosition::Message(Assistant)],
            "is only allowed in assistant messages",
        ),
    };
    if allowed.contains(&place) {
        return None;
    }
    Some(match place {
        BlockPosition::Message(System) => {
            "is not allowed in system messages, which accept text only"
        }
        BlockPosition::ToolResult => {
            "is not allowed in a tool_result, which accepts text, image, document, search_result, \
             tool_reference and browser_state"
        }
        BlockPosition::DocumentPart => "is not allowed in a document, which accepts text and image",
        BlockPosition::Message(_) => complaint,
    })
}
