//! The blocks of an answer, and why it stops.

use super::{
    super::{
        behaviour::{Behaviour, UNKNOWN_BLOCK},
        generate::{self, MARK, PickedTool, Prompt},
    },
    mcp,
    message::{MessageBlock, raw},
    server_tools,
};
use crate::claude::{
    answer::{AnswerBlock, StopDetails},
    event::Stop,
    extra::Extra,
    raw::RawObject,
    request::{MessagesRequest, OutputFormat, Thinking, ThinkingDisplay},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Characters of a token, as [`super::tokens`] estimates them.
const CHARS_PER_TOKEN: usize = 4;

/// The blocks of the answer and why it stops. `others` are the fields that `request` has
/// not, and `hash` is of the request.
pub(super) fn compose(
    request: &MessagesRequest,
    others: &Map<String, Value>,
    prompt: &Prompt,
    behaviour: Option<&Behaviour>,
    hash: u64,
) -> (Vec<MessageBlock>, Stop) {
    match behaviour {
        // These are exactly as asked, whatever else the request says.
        Some(Behaviour::Text(text)) => {
            return (vec![MessageBlock::text(text.clone())], stop("end_turn"));
        }
        Some(Behaviour::Deltas(count)) => {
            return (vec![MessageBlock::Numbers(*count)], stop("end_turn"));
        }
        Some(Behaviour::Refusal) => {
            return (
                vec![MessageBlock::text(format!("{MARK}I cannot"))],
                refusal(),
            );
        }
        _ => {}
    }
    let (mut blocks, mut stop) = ordinary(request, others, prompt, hash);
    match behaviour {
        Some(Behaviour::UnknownBlock) => blocks.insert(0, unknown_block()),
        Some(Behaviour::Thinking) => {
            let omitted = false;
            blocks.splice(0..0, [thinking(prompt, omitted, hash), redacted(hash)]);
        }
        Some(Behaviour::Citations) => blocks = vec![cited(prompt)],
        Some(Behaviour::UnknownStopReason) => stop.stop_reason = Some(UNKNOWN_BLOCK.to_owned()),
        _ => {}
    }
    stop_at_sequence(&mut blocks, &mut stop, &request.stop_sequences);
    let mut budget = u64::from(request.max_tokens.unwrap_or(0));
    if behaviour == Some(&Behaviour::MaxTokens) {
        let all: u64 = blocks.iter().map(MessageBlock::tokens).sum();
        budget = budget.min(all / 2);
    }
    cut(&mut blocks, &mut stop, budget);
    (blocks, stop)
}

fn ordinary(
    request: &MessagesRequest,
    others: &Map<String, Value>,
    prompt: &Prompt,
    hash: u64,
) -> (Vec<MessageBlock>, Stop) {
    let mut blocks = Vec::new();
    if let Some(Thinking::Adaptive { display } | Thinking::Enabled { display, .. }) =
        request.thinking
    {
        let omitted = display == Some(ThinkingDisplay::Omitted);
        blocks.push(thinking(prompt, omitted, hash));
    }
    let servers = others.get("mcp_servers");
    if let Some(tool) = generate::pick_mcp_tool(request, servers, prompt) {
        blocks.extend(mcp::run(&tool, prompt, hash));
        return (blocks, stop("end_turn"));
    }
    match generate::pick_tool(request, prompt) {
        Some(PickedTool::Custom(tool)) => {
            if tool.defer_loading == Some(true) {
                blocks.extend(server_tools::search_for(request, prompt, hash));
            }
            let input = generate::tool_input(&fields(&tool.input_schema), prompt);
            blocks.push(tool_use(&tool.name, &input, hash));
            return (blocks, stop("tool_use"));
        }
        Some(PickedTool::Defined(tool, purpose)) => {
            if let Some(run) = server_tools::run(tool, purpose, request, prompt, hash) {
                blocks.extend(run);
                return (blocks, stop("end_turn"));
            }
            let input = purpose.input(prompt);
            blocks.push(match purpose.member() {
                Some((name, toolset)) => member_use(name, toolset, &input, hash),
                None => tool_use(&tool.name, &input, hash),
            });
            return (blocks, stop("tool_use"));
        }
        None => {}
    }
    let text = match schema(request) {
        Some(schema) => generate::instance(&fields(schema), prompt).to_string(),
        None => generate::text(prompt),
    };
    blocks.push(MessageBlock::text(text));
    (blocks, stop("end_turn"))
}

fn tool_use(name: &str, input: &impl Serialize, hash: u64) -> MessageBlock {
    MessageBlock::Wire(AnswerBlock::ToolUse {
        id: format!("toolu_sim_{hash:016x}"),
        name: name.to_owned(),
        input: raw(input).into(),
        origin: None,
        extra: Extra::default(),
    })
}

/// The use of a member of a toolset.
fn member_use(name: &str, toolset: &str, input: &Value, hash: u64) -> MessageBlock {
    let block = json!({
        "type": "tool_use",
        "id": format!("toolu_sim_{hash:016x}"),
        "name": name,
        "toolset_name": toolset,
        "input": input,
    });
    MessageBlock::whole("tool_use", &block)
}

fn schema(request: &MessagesRequest) -> Option<&RawObject> {
    let OutputFormat::JsonSchema { schema } = request.output_config.as_ref()?.format.as_ref()?;
    Some(schema)
}

/// The fields of a schema, which were checked.
fn fields(schema: &RawObject) -> Map<String, Value> {
    schema.fields().unwrap_or_default()
}

fn thinking(prompt: &Prompt, omitted: bool, hash: u64) -> MessageBlock {
    let thinking = if omitted {
        String::new()
    } else {
        generate::thinking(prompt)
    };
    MessageBlock::Wire(AnswerBlock::Thinking {
        thinking,
        signature: format!("c2lt{hash:016x}"),
        extra: Extra::default(),
    })
}

fn redacted(hash: u64) -> MessageBlock {
    MessageBlock::Wire(AnswerBlock::RedactedThinking {
        data: format!("cmVk{hash:016x}"),
        extra: Extra::default(),
    })
}

fn unknown_block() -> MessageBlock {
    let block = json!({"type": UNKNOWN_BLOCK, "payload": {"answer": 42}});
    MessageBlock::whole(UNKNOWN_BLOCK, &block)
}

fn cited(prompt: &Prompt) -> MessageBlock {
    let text = generate::text(prompt);
    let citation = json!({
        "type": "char_location",
        "cited_text": "simulated",
        "document_index": 0,
        "document_title": null,
        "file_id": null,
        "start_char_index": 0,
        "end_char_index": 9,
    });
    MessageBlock::Wire(AnswerBlock::Text {
        text,
        citations: vec![raw(&citation)],
        extra: Extra::default(),
    })
}

fn stop(reason: &str) -> Stop {
    Stop {
        stop_reason: Some(reason.to_owned()),
        ..Stop::default()
    }
}

fn refusal() -> Stop {
    Stop {
        stop_details: Some(StopDetails {
            kind: "refusal".to_owned(),
            category: Some("general_harms".to_owned()),
            explanation: Some(format!("{MARK}a refusal was asked for")),
        }),
        ..stop("refusal")
    }
}

/// Ends the answer before the first stop sequence in its text.
fn stop_at_sequence(blocks: &mut Vec<MessageBlock>, stop: &mut Stop, sequences: &[String]) {
    for index in 0..blocks.len() {
        let MessageBlock::Wire(AnswerBlock::Text { text, .. }) = &mut blocks[index] else {
            continue;
        };
        let found = sequences
            .iter()
            .filter_map(|sequence| Some((text.find(sequence.as_str())?, sequence)))
            .min_by_key(|(position, _)| *position);
        if let Some((position, sequence)) = found {
            text.truncate(position);
            let is_empty = text.is_empty();
            blocks.truncate(if is_empty { index } else { index + 1 });
            stop.stop_reason = Some("stop_sequence".to_owned());
            stop.stop_sequence = Some(sequence.clone());
            return;
        }
    }
}

/// Ends the answer at its maximum of output tokens.
fn cut(blocks: &mut Vec<MessageBlock>, stop: &mut Stop, mut budget: u64) {
    for index in 0..blocks.len() {
        let tokens = blocks[index].tokens();
        if tokens <= budget {
            budget -= tokens;
            continue;
        }
        // Only a text can end in the middle; what else does not fit is left
        // out.
        let mut keep = index;
        if let MessageBlock::Wire(AnswerBlock::Text { text, .. }) = &mut blocks[index]
            && budget > 0
        {
            *text = text
                .chars()
                .take(budget as usize * CHARS_PER_TOKEN)
                .collect();
            keep += 1;
        }
        blocks.truncate(keep);
        *stop = Stop {
            stop_reason: Some("max_tokens".to_owned()),
            ..Stop::default()
        };
        return;
    }
}
