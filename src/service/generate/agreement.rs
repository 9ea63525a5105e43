//! An answer is the same whole, gathered and streamed: any content, in any
//! order of events, in any pieces of bytes.

use super::{answer::response, stream::GenerateTranslator};
use crate::{
    claude::{
        answer::Message, as_events::as_events, event::StreamEvent, event_reader::EventReader,
        gather::Gather,
    },
    proto::v1::{self, content_block::Block, generate_stream_response::Event},
    upstream::AnswerOrigin,
};
use proptest::prelude::*;
use std::collections::VecDeque;

/// A block of an answer, as its pieces.
#[derive(Debug, Clone)]
enum Part {
    /// Each piece as its UTF-16 units, of which some are halves of characters.
    Text(Vec<Vec<u16>>, Vec<&'static str>),
    Thinking(Vec<Vec<u16>>, Vec<String>),
    Tool(Vec<String>),
    /// A tool of the API: a block of an unknown type with an input.
    ServerTool(Vec<String>),
    Redacted,
    Unknown(&'static str),
}

/// An answer and how its events come.
#[derive(Debug, Clone)]
struct Answer {
    parts: Vec<Part>,
    /// Counts as JSON: of the input at the start, of the output at the end.
    counts: [&'static str; 2],
    stop_reason: &'static str,
    /// Whether the end of each block is lost.
    lost_stops: Vec<bool>,
    /// Whether events leave out their `index` where it is clear.
    without_index: bool,
    /// Which block has the next event.
    schedule: Vec<prop::sample::Index>,
    /// What comes between the events.
    noise: Vec<&'static str>,
}

const CITATION: &str = r#"{"type":"char_location", "at":1.50,"at":2}"#;

const INPUTS: [&str; 6] = [
    "{}",
    r#"{"z":12345678901234567890123, "a":1.0,"a":1e2}"#,
    r#"{"s":"\ud83d\ude00 \ud83d \"\\ é"}"#,
    "{ \"deep\" : [[[{}]]],\n \"n\":-0 }",
    r#"{"path": "/a", "content": "abc"#,
    r#"{"b":null}"#,
];

const UNKNOWN: [&str; 3] = [
    r#"{"type":"new_thing", "payload" : [1.0, 1e400, {"a":1,"a":2}]}"#,
    r#"{"payload":1}"#,
    r#"{"type":"other","text":"\udc00"}"#,
];

/// Of a known block.
const UNKNOWN_DELTA: &str = r#"{"type":"new_delta", "data" : [1.0, 1e400]}"#;

const COUNTS: [&str; 12] = [
    "7",
    "\"7\"",
    "7.5",
    "-1",
    "null",
    "[]",
    "{}",
    "1e30",
    "18446744073709551615",
    "true",
    "\"x\"",
    "0",
];

const NOISE: [&str; 6] = [
    "",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    ": comment\n\n",
    "event: new_event\ndata: not JSON\n\n",
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n",
    "event: content_block_delta\ndata: {\"index\":0,\"delta\":null}\n\n",
];

fn units() -> impl Strategy<Value = Vec<u16>> {
    let unit = prop_oneof![
        4 => any::<char>().prop_map(|c| c.encode_utf16(&mut [0; 2]).to_vec()),
        2 => prop::sample::select(vec!["\"", "\\", "\n", "word ", "\u{0}"])
            .prop_map(|text| text.encode_utf16().collect()),
        2 => (0xD800..0xE000u16).prop_map(|half| vec![half]),
    ];
    prop::collection::vec(unit, 0..8).prop_map(|units| units.concat())
}

/// A text cut anywhere, also within a character.
fn cut_units() -> impl Strategy<Value = Vec<Vec<u16>>> {
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    (units(), cuts).prop_map(|(units, cuts)| cut(&units, &cuts))
}

fn cut<T: Clone>(whole: &[T], cuts: &[prop::sample::Index]) -> Vec<Vec<T>> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
    at.extend([0, whole.len()]);
    at.sort_unstable();
    at.windows(2)
        .map(|two| whole[two[0]..two[1]].to_vec())
        .collect()
}

fn cut_input() -> impl Strategy<Value = Vec<String>> {
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    let pieces = (prop::sample::select(INPUTS.to_vec()), cuts).prop_map(|(input, cuts)| {
        let chars: Vec<char> = input.chars().collect();
        cut(&chars, &cuts)
            .into_iter()
            .map(String::from_iter)
            .collect()
    });
    prop_oneof![6 => pieces, 1 => Just(Vec::new()), 1 => Just(vec![String::new()])]
}

fn part() -> impl Strategy<Value = Part> {
    let citations = prop::collection::vec(Just(CITATION), 0..2);
    let signature = prop::collection::vec("[A-Za-z0-9=]{0,6}", 0..3);
    prop_oneof![
        3 => (cut_units(), citations).prop_map(|(text, citations)| Part::Text(text, citations)),
        1 => (cut_units(), signature).prop_map(|(text, by)| Part::Thinking(text, by)),
        2 => cut_input().prop_map(Part::Tool),
        1 => cut_input().prop_map(Part::ServerTool),
        1 => Just(Part::Redacted),
        1 => prop::sample::select(UNKNOWN.to_vec()).prop_map(Part::Unknown),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    let count = || prop::sample::select(COUNTS.to_vec());
    (
        prop::collection::vec(part(), 0..5),
        [count(), count()],
        prop::sample::select(vec!["\"end_turn\"", "\"max_tokens\"", "null", "5", "{}"]),
        prop::collection::vec(any::<bool>(), 5),
        any::<bool>(),
        prop::collection::vec(any::<prop::sample::Index>(), 1..40),
        prop::collection::vec(prop::sample::select(NOISE.to_vec()), 1..5),
    )
        .prop_map(
            |(parts, counts, stop_reason, lost_stops, without_index, schedule, noise)| Answer {
                parts,
                counts,
                stop_reason,
                lost_stops,
                without_index,
                schedule,
                noise,
            },
        )
}

fn quoted(units: &[u16]) -> String {
    let escape = |unit: &u16| match char::from_u32(u32::from(*unit)) {
        Some(plain) if plain.is_ascii_alphanumeric() => plain.to_string(),
        _ => format!("\\u{unit:04x}"),
    };
    format!("\"{}\"", units.iter().map(escape).collect::<String>())
}

impl Part {
    /// The block in a whole answer.
    fn whole(&self) -> String {
        let input = |pieces: &[String]| match pieces.concat() {
            none if none.is_empty() => "{}".to_owned(),
            input => input,
        };
        match self {
            Part::Text(pieces, citations) => format!(
                r#"{{"type":"text","text":{},"citations":[{}]}}"#,
                quoted(&pieces.concat()),
                citations.join(",")
            ),
            Part::Thinking(pieces, signature) => format!(
                r#"{{"type":"thinking","thinking":{},"signature":"{}"}}"#,
                quoted(&pieces.concat()),
                signature.concat()
            ),
            Part::Tool(pieces) => format!(
                r#"{{"type":"tool_use","caller":{{}},"id":"t","name":"n","input":{}}}"#,
                input(pieces)
            ),
            Part::ServerTool(pieces) => {
                format!(
                    r#"{{"type":"server_tool_use","id":"s","input":{}}}"#,
                    input(pieces)
                )
            }
            Part::Redacted => r#"{"type":"redacted_thinking","new":1.0,"data":"d"}"#.to_owned(),
            Part::Unknown(json) => (*json).to_owned(),
        }
    }

    /// Whether its input was cut: then it cannot be in a whole answer.
    fn is_cut(&self) -> bool {
        match self {
            Part::Tool(pieces) | Part::ServerTool(pieces) => {
                let input = pieces.concat();
                !input.is_empty()
                    && serde_json::from_str::<&serde_json::value::RawValue>(&input).is_err()
            }
            _ => false,
        }
    }

    /// The `content_block` at its start, and its deltas.
    fn streamed(&self) -> (String, VecDeque<String>) {
        let delta = |kind: &str, field: &str, json: String| {
            format!(r#"{{"type":"{kind}_delta","{field}":{json}}}"#)
        };
        let pieces = |pieces: &[String]| -> VecDeque<String> {
            let pieces = pieces
                .iter()
                .map(|piece| serde_json::to_string(piece).unwrap());
            pieces
                .map(|piece| delta("input_json", "partial_json", piece))
                .collect()
        };
        match self {
            Part::Text(texts, citations) => {
                // Some blocks start with their first piece.
                let starts_with = texts.len() % 2;
                let start = quoted(&texts[..starts_with].concat());
                let texts = texts[starts_with..].iter();
                let texts = texts.map(|text| delta("text", "text", quoted(text)));
                let cited = citations.iter();
                let cited = cited.map(|it| delta("citations", "citation", (*it).to_owned()));
                (
                    format!(r#"{{"type":"text","text":{start}}}"#),
                    texts.chain(cited).collect(),
                )
            }
            Part::Thinking(texts, signature) => {
                let texts = texts.iter();
                let texts = texts.map(|text| delta("thinking", "thinking", quoted(text)));
                let by = signature.iter();
                let by = by.map(|it| delta("signature", "signature", format!("\"{it}\"")));
                let start = r#"{"type":"thinking","thinking":null,"signature":""}"#;
                (start.to_owned(), texts.chain(by).collect())
            }
            Part::Tool(input) => {
                let start = r#"{"type":"tool_use","id":"t","name":"n","input":{},"caller":{}}"#;
                (start.to_owned(), pieces(input))
            }
            Part::ServerTool(input) => {
                let start = r#"{"type":"server_tool_use","id":"s","input":{}}"#;
                (start.to_owned(), pieces(input))
            }
            Part::Redacted => (self.whole(), [UNKNOWN_DELTA.to_owned()].into()),
            Part::Unknown(_) => (self.whole(), VecDeque::new()),
        }
    }
}

impl Answer {
    fn whole(&self) -> String {
        let parts: Vec<String> = self.parts.iter().map(Part::whole).collect();
        let [input, output] = self.counts;
        format!(
            r#"{{"id":"m","model":"c","content":[{}],"stop_reason":{},"usage":{{"input_tokens":{input},"output_tokens":{output}}}}}"#,
            parts.join(","),
            self.stop_reason,
        )
    }

    /// The body of its stream: each block begins in its order, and the blocks
    /// that have begun have their events in any order.
    fn streamed(&self) -> String {
        let [input, output] = self.counts;
        let mut body = format!(
            "event: message_start\ndata: {{\"message\":{{\"id\":\"m\",\"model\":\"c\",\"usage\":{{\"input_tokens\":{input},\"output_tokens\":null}}}}}}\n\n",
        );
        let mut noise = self.noise.iter().cycle();
        let mut schedule = self.schedule.iter().cycle();
        let mut event = |name: &str, data: String| {
            body.push_str(noise.next().unwrap());
            body.push_str(&format!("event: {name}\ndata: {data}\n\n"));
        };
        let mut waiting: VecDeque<(usize, &Part)> = self.parts.iter().enumerate().collect();
        // The blocks that may have more events, and those whose end is unknown.
        let mut running: Vec<(usize, VecDeque<String>)> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        while !waiting.is_empty() || !running.is_empty() {
            let choices = running.len() + usize::from(!waiting.is_empty());
            let choice = schedule.next().unwrap().index(choices);
            let Some((position, deltas)) = running.get_mut(choice) else {
                let (position, part) = waiting.pop_front().unwrap();
                let (block, deltas) = part.streamed();
                event(
                    "content_block_start",
                    format!(r#"{{"index":{position},"content_block":{block}}}"#),
                );
                running.push((position, deltas));
                open.push(position);
                continue;
            };
            let index = match self.without_index && open.last() == Some(position) {
                true => "null".to_owned(),
                false => position.to_string(),
            };
            if let Some(delta) = deltas.pop_front() {
                let data =
                    format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#);
                event("content_block_delta", data);
                continue;
            }
            if !self.lost_stops[*position] {
                event("content_block_stop", format!(r#"{{"index":{index}}}"#));
                open.retain(|it| it != position);
            }
            running.remove(choice);
        }
        event(
            "message_delta",
            format!(
                r#"{{"delta":{{"stop_reason":{}}},"usage":{{"output_tokens":{output}}}}}"#,
                self.stop_reason
            ),
        );
        event("message_stop", "{}".to_owned());
        body
    }
}

fn events(body: &str, cuts: &[prop::sample::Index]) -> Vec<StreamEvent> {
    let mut reader = EventReader::default();
    let mut events = Vec::new();
    for piece in cut(body.as_bytes(), cuts) {
        reader.feed(&piece);
        while let Some(event) = reader.next_event().unwrap() {
            events.push(event);
        }
    }
    events
}

fn gathered(events: &[StreamEvent]) -> v1::GenerateResponse {
    let mut gather = Gather::default();
    let mut events = events.iter().cloned();
    let message = events.find_map(|event| gather.push(event)).unwrap();
    response(*message, AnswerOrigin::default())
}

/// The answer that a caller puts together from a stream.
fn joined(events: &[StreamEvent]) -> v1::GenerateResponse {
    let mut translator = GenerateTranslator::new(AnswerOrigin::default());
    let mut answer = v1::GenerateResponse::default();
    let mut is_open = vec![false; events.len()];
    for event in events.iter().cloned() {
        let Some(event) = translator.translate(event) else {
            continue;
        };
        let block = |answer: &mut v1::GenerateResponse, index: i32, is_open: &[bool]| {
            assert!(is_open[index as usize], "block {index} is not open");
            answer.content[index as usize].block.clone().unwrap()
        };
        let (index, changed) = match event.event.unwrap() {
            Event::Started(it) => {
                (answer.id, answer.model) = (it.id, it.model);
                continue;
            }
            Event::BlockStarted(it) => {
                assert_eq!(it.index as usize, answer.content.len());
                answer.content.push(it.block.unwrap());
                is_open[it.index as usize] = true;
                continue;
            }
            Event::TextDelta(it) => match block(&mut answer, it.index, &is_open) {
                Block::Text(mut text) => {
                    text.text.push_str(&it.text);
                    (it.index, Block::Text(text))
                }
                other => panic!("text for {other:?}"),
            },
            Event::CitationDelta(it) => match block(&mut answer, it.index, &is_open) {
                Block::Text(mut text) => {
                    text.citations_json.push(it.citation_json);
                    (it.index, Block::Text(text))
                }
                other => panic!("a citation for {other:?}"),
            },
            Event::ThinkingDelta(it) => match block(&mut answer, it.index, &is_open) {
                Block::Thinking(mut thinking) => {
                    thinking.thinking.push_str(&it.thinking);
                    (it.index, Block::Thinking(thinking))
                }
                other => panic!("thinking for {other:?}"),
            },
            Event::ToolInputDelta(it) => match block(&mut answer, it.index, &is_open) {
                Block::ToolUse(mut tool) => {
                    tool.input_json.push_str(&it.partial_json);
                    (it.index, Block::ToolUse(tool))
                }
                other => (it.index, other),
            },
            Event::BlockFinished(it) => {
                let mut finished = block(&mut answer, it.index, &is_open);
                is_open[it.index as usize] = false;
                match &mut finished {
                    Block::Thinking(thinking) => thinking.signature = it.signature,
                    _ => assert_eq!(it.signature, ""),
                }
                (it.index, it.other.map_or(finished, Block::Other))
            }
            Event::OtherDelta(it) => {
                answer.other_deltas.push(it);
                continue;
            }
            Event::OtherEvent(it) => {
                answer.other_events.push(it);
                continue;
            }
            Event::Finished(it) => {
                answer.stop_reason = it.stop_reason;
                answer.stop_reason_text = it.stop_reason_text;
                answer.usage = it.usage;
                continue;
            }
        };
        answer.content[index as usize].block = Some(changed);
    }
    assert!(!is_open.contains(&true), "a block has no end");
    answer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn an_answer_is_the_same_whole_gathered_and_streamed(
        answer in answer(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let events = events(&answer.streamed(), &cuts);
        let mut gathered = gathered(&events);
        prop_assert_eq!(&joined(&events), &gathered);
        let redacted = answer.parts.iter().filter(|part| matches!(part, Part::Redacted));
        prop_assert_eq!(gathered.other_deltas.len(), redacted.count());
        if answer.parts.iter().any(Part::is_cut) {
            return Ok(());
        }
        // What only a stream has.
        gathered.other_deltas.clear();
        gathered.other_events.clear();
        let whole = Message::read(answer.whole().as_bytes()).unwrap();
        prop_assert_eq!(&joined(&as_events(whole.clone())), &gathered);
        prop_assert_eq!(&response(whole, AnswerOrigin::default()), &gathered);
    }
}
