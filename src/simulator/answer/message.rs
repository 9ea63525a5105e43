//! An answer before it is written, and its JSON.

use super::super::tokens;
use crate::claude::{
    answer::{AnswerBlock, Usage},
    event::Stop,
    extra::Extra,
};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// An answer before it is written.
pub(super) struct SimulatedMessage {
    pub(super) id: String,
    pub(super) model: &'static str,
    pub(super) blocks: Vec<MessageBlock>,
    pub(super) stop: Stop,
    pub(super) usage: Usage,
}

/// One block of an answer.
#[derive(Debug, Clone)]
pub(super) enum MessageBlock {
    /// As it stands on the wire.
    Wire(AnswerBlock),
    /// A text of the numbers below this one, which is not held in memory.
    Numbers(u64),
}

impl SimulatedMessage {
    /// Output tokens, as `usage` has them.
    pub(super) fn output_tokens(&self) -> u64 {
        self.usage.output_tokens.unwrap_or(0)
    }

    /// The blocks as JSON.
    pub(super) fn content(&self) -> Value {
        let json = serde_json::to_string(&self.blocks).expect("plain data always serializes");
        serde_json::from_str(&json).expect("what was written can be read")
    }

    /// The whole answer as JSON.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(&Wire {
            id: &self.id,
            kind: "message",
            role: "assistant",
            model: self.model,
            content: &self.blocks,
            stop: &self.stop,
            usage: &self.usage,
        })
        .expect("plain data always serializes")
    }

    /// The answer as a stream begins: without content and without an end.
    pub(super) fn json_at_start(&self) -> String {
        serde_json::to_string(&Wire {
            id: &self.id,
            kind: "message",
            role: "assistant",
            model: self.model,
            content: &[],
            stop: &Stop::default(),
            usage: &Usage {
                output_tokens: Some(1.min(self.output_tokens())),
                output_tokens_details: None,
                ..self.usage.clone()
            },
        })
        .expect("plain data always serializes")
    }
}

/// [`SimulatedMessage`] on the wire.
#[derive(Serialize)]
struct Wire<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    content: &'a [MessageBlock],
    #[serde(flatten)]
    stop: &'a Stop,
    usage: &'a Usage,
}

impl MessageBlock {
    pub(super) fn text(text: String) -> Self {
        MessageBlock::Wire(AnswerBlock::Text {
            text,
            citations: Vec::new(),
            extra: Extra::default(),
        })
    }

    /// Output tokens of the block.
    pub(super) fn tokens(&self) -> u64 {
        match self {
            MessageBlock::Numbers(count) => *count,
            MessageBlock::Wire(AnswerBlock::Text { text, .. }) => tokens::of_text(text),
            MessageBlock::Wire(AnswerBlock::Thinking { thinking, .. }) => {
                tokens::of_text(thinking).max(1)
            }
            MessageBlock::Wire(AnswerBlock::RedactedThinking { data, .. }) => tokens::of_text(data),
            MessageBlock::Wire(AnswerBlock::ToolUse { name, input, .. }) => {
                tokens::of_text(name) + tokens::of_text(input.get())
            }
            MessageBlock::Wire(AnswerBlock::ContainerUpload { .. } | AnswerBlock::Other { .. }) => {
                1
            }
        }
    }

    /// Whether it counts as thinking.
    pub(super) fn is_thinking(&self) -> bool {
        matches!(
            self,
            MessageBlock::Wire(AnswerBlock::Thinking { .. } | AnswerBlock::RedactedThinking { .. })
        )
    }
}

impl Serialize for MessageBlock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            MessageBlock::Wire(block) => block.serialize(serializer),
            MessageBlock::Numbers(count) => {
                let text = (0..*count).map(|number| format!("{number} ")).collect();
                AnswerBlock::Text {
                    text,
                    citations: Vec::new(),
                    extra: Extra::default(),
                }
                .serialize(serializer)
            }
        }
    }
}
