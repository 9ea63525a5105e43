//! The steps in which an answer was made, where it was more than one, with the tokens of
//! each.

use super::{
    super::{generate::Purpose, tokens},
    message::MessageBlock,
};
use crate::claude::{request::MessagesRequest, tools::Tool};
use serde_json::{Value, json};

const ADVICE: &str = "advisor_tool_result";

/// The steps: that of a compaction, which `usage` does not count, with all the input; and
/// before and after the advisor was asked, which is a step of its own; and those of the
/// model that refused and of the one that answered in its place.
pub(super) fn of(
    blocks: &[MessageBlock],
    request: &MessagesRequest,
    whole_input: u64,
    input: u64,
) -> Option<Value> {
    let (compaction, blocks) = match blocks.split_first() {
        Some((block, after)) if block.is_compaction() => (Some(block), after),
        _ => (None, blocks),
    };
    let fallback = blocks.iter().position(MessageBlock::is_fallback);
    let advice = blocks.iter().position(is_advice);
    let mut steps: Vec<Value> = Vec::new();
    steps.extend(compaction.map(|block| step("compaction", whole_input, block.tokens())));
    if let Some(fallback) = fallback {
        let (refused, served) = blocks.split_at(fallback);
        let names = json_of(&blocks[fallback]);
        for (kind, written_by, name) in [
            ("message", refused, "from"),
            ("fallback_message", served, "to"),
        ] {
            let mut step = step(kind, input, written(written_by));
            step["model"] = names[name]["model"].clone();
            steps.push(step);
        }
    } else if let Some(advice) = advice {
        let (before, after) = blocks.split_at(advice);
        let told = advised(&blocks[advice]);
        let mut of_advisor = step("advisor_message", input, told);
        of_advisor["model"] = advisor(request);
        steps.extend([
            step("message", input, written(before)),
            of_advisor,
            step("message", input + written(before) + told, written(after)),
        ]);
    } else if compaction.is_some() && !blocks.is_empty() {
        steps.push(step("message", input, written(blocks)));
    }
    (!steps.is_empty()).then(|| steps.into())
}

fn step(kind: &str, input: u64, output: u64) -> Value {
    json!({
        "type": kind,
        "input_tokens": input,
        "output_tokens": output,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    })
}

fn written(blocks: &[MessageBlock]) -> u64 {
    blocks.iter().map(MessageBlock::tokens).sum()
}

fn is_advice(block: &MessageBlock) -> bool {
    block.as_whole().is_some_and(|(kind, _)| kind == ADVICE)
}

/// The tokens of an advice.
fn advised(block: &MessageBlock) -> u64 {
    tokens::of_text(
        json_of(block)["content"]["text"]
            .as_str()
            .unwrap_or_default(),
    )
}

fn json_of(block: &MessageBlock) -> Value {
    let json = block.as_whole().map(|(_, json)| json.get());
    serde_json::from_str(json.unwrap_or_default()).unwrap_or_default()
}

/// The model of the advisor.
fn advisor(request: &MessagesRequest) -> Value {
    let model = request.tools.iter().find_map(|tool| match tool {
        Tool::Defined(tool) if Purpose::of(tool) == Some(Purpose::Advisor) => {
            tool.json.fields().ok()?.remove("model")
        }
        _ => None,
    });
    model.unwrap_or_default()
}
