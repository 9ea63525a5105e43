//! An answer before it is written, and its JSON.

use super::super::tokens;
use crate::claude::{
    answer::{AnswerBlock, Usage},
    event::Stop,
    extra::Extra,
};
use serde::{Serialize, Serializer};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

/// The type of the block that stands for the conversation before it.
pub(super) const COMPACTION: &str = "compaction";

/// The type of the block between what two models wrote.
pub(super) const FALLBACK: &str = "fallback";

/// An answer before it is written.
pub(super) struct SimulatedMessage {
    pub(super) id: String,
    pub(super) model: &'static str,
    /// The model with which a stream begins: another if that refuses.
    pub(super) first_model: &'static str,
    pub(super) blocks: Vec<MessageBlock>,
    pub(super) stop: Stop,
    pub(super) usage: Usage,
    /// The tokens of each step, if there was more than one.
    pub(super) iterations: Option<Value>,
    /// The container in which code ran.
    pub(super) container: Option<Value>,
    /// Why the prompt cache was not used, if the request asks for that.
    pub(super) diagnostics: Option<Value>,
    /// What was removed from the context, if the request asks for that.
    pub(super) context_management: Option<Value>,
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
            usage: WireUsage {
                usage: &self.usage,
                iterations: self.iterations.as_ref(),
            },
            container: self.container.as_ref(),
            diagnostics: self.diagnostics.as_ref(),
            context_management: self.context_management.as_ref(),
        })
        .expect("plain data always serializes")
    }

    /// The answer as a stream begins: without content and without an end.
    pub(super) fn json_at_start(&self) -> String {
        serde_json::to_string(&Wire {
            id: &self.id,
            kind: "message",
            role: "assistant",
            model: self.first_model,
            content: &[],
            stop: &Stop::default(),
            usage: WireUsage {
                usage: &Usage {
                    output_tokens: Some(1.min(self.output_tokens())),
                    output_tokens_details: None,
                    server_tool_use: None,
                    ..self.usage.clone()
                },
                iterations: None,
            },
            container: None,
            diagnostics: self.diagnostics.as_ref(),
            context_management: None,
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
    usage: WireUsage<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnostics: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_management: Option<&'a Value>,
}

/// [`Usage`] on the wire.
#[derive(Serialize)]
pub(super) struct WireUsage<'a> {
    #[serde(flatten)]
    pub(super) usage: &'a Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iterations: Option<&'a Value>,
}

impl MessageBlock {
    pub(super) fn text(text: String) -> Self {
        MessageBlock::Wire(AnswerBlock::Text {
            text,
            citations: Vec::new(),
            extra: Extra::default(),
        })
    }

    /// A block of a type that is carried as a whole.
    pub(super) fn whole(kind: &str, block: &Value) -> Self {
        MessageBlock::Wire(AnswerBlock::Other {
            kind: kind.to_owned(),
            json: raw(block),
        })
    }

    /// The type of a block that is carried as a whole, and its JSON.
    pub(super) fn as_whole(&self) -> Option<(&str, &RawValue)> {
        match self {
            MessageBlock::Wire(AnswerBlock::Other { kind, json }) => Some((kind, json)),
            _ => None,
        }
    }

    /// Whether it stands for the conversation before it.
    pub(super) fn is_compaction(&self) -> bool {
        self.as_whole().is_some_and(|(kind, _)| kind == COMPACTION)
    }

    /// Whether another model wrote what follows.
    pub(super) fn is_fallback(&self) -> bool {
        self.as_whole().is_some_and(|(kind, _)| kind == FALLBACK)
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
            MessageBlock::Wire(AnswerBlock::ContainerUpload { .. }) => 0,
            // The model reads results, and does not write them.
            MessageBlock::Wire(AnswerBlock::Other { kind, .. }) if kind.ends_with("_result") => 0,
            MessageBlock::Wire(AnswerBlock::Other { kind, .. }) if kind == FALLBACK => 0,
            MessageBlock::Wire(AnswerBlock::Other { json, .. }) => tokens::of_text(json.get()),
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

/// Data as JSON.
pub(super) fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("plain data always serializes")
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
