//! The events of a streamed answer, in the order of the API.

use super::{
    super::{behaviour::UNKNOWN_BLOCK, tokens},
    compaction,
    message::{COMPACTION, MessageBlock, SimulatedMessage, WireUsage},
};
use crate::claude::{
    answer::{AnswerBlock, Usage},
    event::Stop,
};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

/// Characters of a piece of JSON in an `input_json_delta`.
const JSON_PIECE: usize = 12;

/// One server-sent event and the tokens in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WireEvent {
    pub(super) name: &'static str,
    /// JSON on one line.
    pub(super) data: String,
    /// Output tokens in it.
    pub(super) tokens: u64,
}

impl WireEvent {
    pub(super) fn new(name: &'static str, data: String) -> Self {
        WireEvent {
            name,
            data,
            tokens: 0,
        }
    }
}

type BoxedEvents = Box<dyn Iterator<Item = WireEvent> + Send>;

/// The events of an answer, each produced when the iterator reaches it.
pub(super) fn of(answer: SimulatedMessage) -> BoxedEvents {
    let start = format!(
        r#"{{"type":"message_start","message":{}}}"#,
        answer.json_at_start()
    );
    let end = json_of(&MessageEnd {
        kind: "message_delta",
        delta: DeltaOfEnd {
            stop: &answer.stop,
            container: answer.container.as_ref(),
        },
        context_management: answer.context_management.as_ref(),
        usage: WireUsage {
            usage: &Usage {
                service_tier: None,
                inference_geo: None,
                speed: None,
                cache_creation: None,
                ..answer.usage
            },
            iterations: answer.iterations.as_ref(),
        },
    });
    let blocks = answer
        .blocks
        .into_iter()
        .enumerate()
        .flat_map(|(index, block)| of_block(index, block));
    Box::new(
        std::iter::once(WireEvent::new("message_start", start))
            .chain(std::iter::once(WireEvent::new(
                "ping",
                r#"{"type":"ping"}"#.to_owned(),
            )))
            .chain(blocks)
            .chain(std::iter::once(WireEvent::new("message_delta", end)))
            .chain(std::iter::once(WireEvent::new(
                "message_stop",
                r#"{"type":"message_stop"}"#.to_owned(),
            ))),
    )
}

#[derive(Serialize)]
struct MessageEnd<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    delta: DeltaOfEnd<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_management: Option<&'a Value>,
    usage: WireUsage<'a>,
}

#[derive(Serialize)]
struct DeltaOfEnd<'a> {
    #[serde(flatten)]
    stop: &'a Stop,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a Value>,
}

fn json_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data always serializes")
}

fn of_block(index: usize, block: MessageBlock) -> BoxedEvents {
    let (begin, deltas): (String, BoxedEvents) = match block {
        MessageBlock::Numbers(count) => {
            let deltas = (0..count).map(move |number| {
                let delta = format!(r#"{{"type":"text_delta","text":"{number} "}}"#);
                delta_event(index, &delta, 1)
            });
            (
                json!({"type": "text", "text": ""}).to_string(),
                Box::new(deltas),
            )
        }
        MessageBlock::Wire(AnswerBlock::Text {
            text, citations, ..
        }) => of_text(index, text, citations),
        MessageBlock::Wire(AnswerBlock::Thinking {
            thinking,
            signature,
            ..
        }) => {
            let signature = json!({"type": "signature_delta", "signature": signature}).to_string();
            let deltas = words(&thinking)
                .map(|word| text_delta(index, "thinking_delta", "thinking", word))
                .collect::<Vec<_>>()
                .into_iter()
                .chain(std::iter::once(delta_event(index, &signature, 0)));
            let begin = json!({"type": "thinking", "thinking": "", "signature": ""});
            (begin.to_string(), Box::new(deltas))
        }
        MessageBlock::Wire(AnswerBlock::ToolUse {
            id, name, input, ..
        }) => {
            let begin = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
            (begin.to_string(), of_input(index, input.get()))
        }
        MessageBlock::Wire(
            block @ (AnswerBlock::RedactedThinking { .. } | AnswerBlock::ContainerUpload { .. }),
        ) => (json_of(&block), Box::new(std::iter::empty())),
        MessageBlock::Wire(AnswerBlock::Other { kind, json }) => of_whole(index, &kind, &json),
    };
    let begin =
        format!(r#"{{"type":"content_block_start","index":{index},"content_block":{begin}}}"#);
    let end = format!(r#"{{"type":"content_block_stop","index":{index}}}"#);
    Box::new(
        std::iter::once(WireEvent::new("content_block_start", begin))
            .chain(deltas)
            .chain(std::iter::once(WireEvent::new("content_block_stop", end))),
    )
}

/// A block that is carried as a whole: the input of a tool comes in pieces, and a result
/// at once.
fn of_whole(index: usize, kind: &str, block: &RawValue) -> (String, BoxedEvents) {
    if kind == UNKNOWN_BLOCK {
        let delta = r#"{"type":"simulated_unknown_delta","payload":[1,2,3]}"#;
        let event = json!({"type": "simulated_unknown_event", "payload": "?"}).to_string();
        let deltas = [
            delta_event(index, delta, 1),
            WireEvent::new("simulated_unknown_event", event),
        ];
        return (block.get().to_owned(), Box::new(deltas.into_iter()));
    }
    let mut fields: Value = serde_json::from_str(block.get()).unwrap_or_default();
    if kind == COMPACTION {
        let delta = compaction::delta(&mut fields).to_string();
        let delta = delta_event(index, &delta, 0);
        return (fields.to_string(), Box::new(std::iter::once(delta)));
    }
    match fields.get_mut("input") {
        Some(input) => {
            let input = std::mem::replace(input, json!({}));
            (fields.to_string(), of_input(index, &input.to_string()))
        }
        None => (block.get().to_owned(), Box::new(std::iter::empty())),
    }
}

fn of_input(index: usize, input: &str) -> BoxedEvents {
    let deltas = pieces(input)
        .map(|piece| text_delta(index, "input_json_delta", "partial_json", piece))
        .collect::<Vec<_>>();
    // The API's first piece is empty.
    let first = text_delta(index, "input_json_delta", "partial_json", "");
    Box::new(std::iter::once(first).chain(deltas))
}

fn of_text(index: usize, text: String, citations: Vec<Box<RawValue>>) -> (String, BoxedEvents) {
    let begin = if citations.is_empty() {
        json!({"type": "text", "text": ""})
    } else {
        json!({"type": "text", "text": "", "citations": []})
    };
    let mut deltas: Vec<WireEvent> = citations
        .iter()
        .map(|citation| {
            let delta = format!(r#"{{"type":"citations_delta","citation":{citation}}}"#);
            delta_event(index, &delta, 0)
        })
        .collect();
    deltas.extend(words(&text).map(|word| text_delta(index, "text_delta", "text", word)));
    (begin.to_string(), Box::new(deltas.into_iter()))
}

fn delta_event(index: usize, delta: &str, tokens: u64) -> WireEvent {
    WireEvent {
        name: "content_block_delta",
        data: format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#),
        tokens,
    }
}

fn text_delta(index: usize, kind: &str, field: &str, text: &str) -> WireEvent {
    let quoted = json_of(&text);
    let delta = format!(r#"{{"type":"{kind}","{field}":{quoted}}}"#);
    delta_event(index, &delta, tokens::of_text(text))
}

/// A text word by word, each with the blanks before it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let blanks = rest.len() - rest.trim_start().len();
        let end = rest[blanks..]
            .find(char::is_whitespace)
            .map_or(rest.len(), |it| blanks + it);
        let (word, after) = rest.split_at(end.max(1));
        rest = after;
        Some(word)
    })
}

/// A text in pieces of a few characters.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest
            .char_indices()
            .nth(JSON_PIECE)
            .map_or(rest.len(), |(it, _)| it);
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_is_lost_between_deltas(text: String) {
            prop_assert_eq!(words(&text).collect::<String>(), &*text);
            prop_assert_eq!(pieces(&text).collect::<String>(), &*text);
        }
    }
}
