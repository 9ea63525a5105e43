//! A block of a stream, while its deltas come.

use super::{answer::AnswerBlock, event::Delta, raw::JsonText};

/// What is known of a block of the stream.
#[derive(Debug)]
pub struct StreamedBlock {
    /// The API's number of the block; `None` for one that is made here.
    pub index: Option<u64>,
    /// Which deltas belong to it.
    pub kind: BlockKind,
    /// Whether its end has not come.
    pub is_open: bool,
    /// The input of a tool as the block started with it, until deltas come.
    pub input_at_start: Option<JsonText>,
    /// The first half of a character at the end of the last delta.
    pub first_half: Option<u16>,
    /// The text block with the text that came for this one.
    pub text_block: Option<usize>,
}

/// Which deltas belong to a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Text, and citations.
    Text,
    /// Thinking, and its signature.
    Thinking,
    /// None: it comes whole.
    RedactedThinking,
    /// The input of a tool.
    ToolUse,
    /// None: it comes whole.
    ContainerUpload,
    /// Deltas of any kind.
    Other,
}

impl BlockKind {
    /// The kind of a block.
    pub fn of(block: &AnswerBlock) -> Self {
        match block {
            AnswerBlock::Text { .. } => BlockKind::Text,
            AnswerBlock::Thinking { .. } => BlockKind::Thinking,
            AnswerBlock::RedactedThinking { .. } => BlockKind::RedactedThinking,
            AnswerBlock::ToolUse { .. } => BlockKind::ToolUse,
            AnswerBlock::ContainerUpload { .. } => BlockKind::ContainerUpload,
            AnswerBlock::Other { .. } => BlockKind::Other,
        }
    }

    /// The delta with more of what such a block consists of.
    pub fn delta(self, text: String) -> Delta {
        match self {
            BlockKind::Text | BlockKind::RedactedThinking | BlockKind::ContainerUpload => {
                Delta::Text(text)
            }
            BlockKind::Thinking => Delta::Thinking(text),
            BlockKind::ToolUse | BlockKind::Other => Delta::InputJson(text),
        }
    }
}
