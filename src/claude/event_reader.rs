//! Reads the body of a stream as events in their order.
//!
//! The API's own streams are in order. Proxies lose an event, repeat one, or let
//! blocks overlap, and a stream may split a character over two deltas. That is
//! settled here, once for all that read events:
//!
//! - Blocks are numbered in the order in which they start, whatever `index` says;
//!   deltas and stops without an `index` belong to the block that is open.
//! - A block whose stop was lost ends with the response. A start that is repeated
//!   and a stop of no block are skipped.
//! - The input of a tool comes in deltas alone, also if the block started with
//!   it: `{}` when there were none.
//! - An event that is unknown here and comes before `message_start` follows it.
//! - Text for a block that is not a text becomes a text block of its own.
//! - Unknown fields of a delta follow it as a delta, and those of an event as an event
//!   that is unknown here; at the beginning and the end of the answer, as its fields.
//!
//! What cannot be settled is an error: content before `message_start` or before
//! the start of its block, and text that is not a string.

use super::{
    answer::{AnswerBlock, Message, not_a_string},
    error::ErrorBody,
    event::{Delta, MessageDelta, StreamEvent},
    extra::Extra,
    json_string::{self, REPLACEMENT, SplitString},
    lenient::{Object, body_text},
    raw::JsonText,
    rest::{Rest, unknown_fields},
    sse::{SseDecoder, SseEvent},
    streamed_block::{BlockKind, StreamedBlock},
    streamed_text::{plain_text_delta, take_split_text},
    unplaced::OtherEvent,
    unreadable::Unreadable,
};
use std::collections::VecDeque;

/// Maximum size of what may come before `message_start`, in bytes.
const MAX_EARLY_BYTES: usize = 1024 * 1024;

/// Reads events.
#[derive(Debug, Default)]
pub struct EventReader {
    decoder: SseDecoder,
    order: EventOrder,
}

impl EventReader {
    /// Adds more of the body. Call [`next_event`](Self::next_event) until it
    /// returns `None` before adding more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
    }

    /// The body has ended. Its last event may lack the empty line.
    pub fn body_ended(&mut self) {
        self.decoder.feed(b"\n\n");
    }

    /// The next event, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the response cannot be read; the stream is then unusable.
    pub fn next_event(&mut self) -> Result<Option<StreamEvent>, Unreadable> {
        loop {
            if let Some(event) = self.order.ready.pop_front() {
                return Ok(Some(event));
            }
            match self.decoder.next_event() {
                Ok(Some(event)) => self.order.read(event)?,
                Ok(None) => return Ok(None),
                Err(_) => return Err("an event is too large".into()),
            }
        }
    }
}

/// Puts events in order.
#[derive(Debug, Default)]
struct EventOrder {
    /// Whether `message_start` came.
    has_begun: bool,
    /// Unknown events that came before it.
    early: Vec<OtherEvent>,
    /// The blocks so far, in their order.
    blocks: Vec<StreamedBlock>,
    /// What was read and not yet returned.
    ready: VecDeque<StreamEvent>,
}

impl EventOrder {
    fn read(&mut self, event: SseEvent<'_>) -> Result<(), Unreadable> {
        let data = body_text(event.data);
        if let Some((index, text)) = plain_text_delta(&data)
            && let Some(position) = self.position(index)
            && self.blocks[position].kind == BlockKind::Text
        {
            self.append(position, SplitString::whole(text.to_owned()));
            return Ok(());
        }
        let mut repaired = String::new();
        let object = Object::read_repaired(&data, &mut repaired);
        // The type in the data decides, as for the official SDKs.
        let kind = match &object {
            Ok(object) => object.kind(),
            Err(_) => "".into(),
        };
        let kind = match kind.as_bytes() {
            kind @ (b"message_start"
            | b"content_block_start"
            | b"content_block_delta"
            | b"content_block_stop"
            | b"message_delta"
            | b"message_stop"
            | b"error") => kind,
            _ => event.name,
        };
        match (kind, object) {
            (b"error", _) => {
                let error = Box::new(ErrorBody::read(data.as_bytes()));
                self.ready.push_back(StreamEvent::Error(error));
                Ok(())
            }
            (b"message_stop", event) => self.message_stop(event.ok().as_ref()),
            (b"message_start", Ok(event)) => self.message_start(&event),
            (b"content_block_start", Ok(event)) => {
                self.block_start(&event)?;
                self.keep_unknown("content_block_start", &event, "content_block")
            }
            (b"content_block_delta", Ok(event)) => {
                self.block_delta(&event)?;
                self.keep_unknown("content_block_delta", &event, "delta")
            }
            (b"content_block_stop", Ok(event)) => {
                self.block_stop(&event);
                self.keep_unknown("content_block_stop", &event, "index")
            }
            (b"message_delta", Ok(event)) => self.message_delta(&event),
            (
                b"message_start"
                | b"content_block_start"
                | b"content_block_delta"
                | b"content_block_stop"
                | b"message_delta",
                Err(error),
            ) => Err(Unreadable::not_an_object("an event", &error)),
            (b"ping", _) => Ok(()),
            (name, Ok(event)) => self.other(&event.kind(), name, &data),
            (name, Err(_)) => self.other("", name, &data),
        }
    }

    /// Keeps the unknown fields of an event, of which one field was read.
    fn keep_unknown(
        &mut self,
        kind: &str,
        event: &Object<'_>,
        read: &str,
    ) -> Result<(), Unreadable> {
        match unknown_fields(event, &["type", "index", read], &["type", "index"]) {
            Some(fields) => self.other(kind, b"", fields.get()),
            None => Ok(()),
        }
    }

    /// What the API may add.
    fn other(&mut self, kind: &str, name: &[u8], data: &str) -> Result<(), Unreadable> {
        if kind == "ping" || data.is_empty() {
            return Ok(());
        }
        let kind = match kind {
            "" => String::from_utf8_lossy(name).into_owned(),
            kind => kind.to_owned(),
        };
        let data = data.to_owned();
        let event = OtherEvent { kind, data };
        if self.has_begun {
            self.ready.push_back(StreamEvent::Other(event));
            return Ok(());
        }
        self.early.push(event);
        if self.early.iter().map(OtherEvent::size).sum::<usize>() > MAX_EARLY_BYTES {
            self.must_have_begun()?;
        }
        Ok(())
    }

    fn message_start(&mut self, event: &Object<'_>) -> Result<(), Unreadable> {
        if self.has_begun {
            return Ok(());
        }
        self.has_begun = true;
        let message = event.object("message");
        let start = message.as_ref().map(Message::without_content);
        let mut start = Box::new(start.unwrap_or_default());
        Rest::update(&mut start.rest, Rest::beside_message(event));
        self.ready.push_back(StreamEvent::MessageStart(start));
        let early = self.early.drain(..).map(StreamEvent::Other);
        self.ready.extend(early);
        let content = message.and_then(|message| message.list("content"));
        for (position, block) in content.unwrap_or_default().into_iter().enumerate() {
            self.start(Some(position as u64), AnswerBlock::read(block, position)?);
            self.stop(position);
        }
        Ok(())
    }

    fn message_delta(&mut self, event: &Object<'_>) -> Result<(), Unreadable> {
        self.must_have_begun()?;
        let end = Box::new(MessageDelta::read(event));
        self.ready.push_back(StreamEvent::MessageDelta(end));
        Ok(())
    }

    fn message_stop(&mut self, event: Option<&Object<'_>>) -> Result<(), Unreadable> {
        self.must_have_begun()?;
        for position in 0..self.blocks.len() {
            self.stop(position);
        }
        // A host may say more of the answer here.
        let end = event.map(MessageDelta::read);
        if let Some(end) = end.filter(|end| end.rest.is_some()) {
            self.ready
                .push_back(StreamEvent::MessageDelta(Box::new(end)));
        }
        self.ready.push_back(StreamEvent::MessageStop);
        Ok(())
    }

    fn must_have_begun(&self) -> Result<(), Unreadable> {
        if self.has_begun {
            Ok(())
        } else {
            Err("message_start is missing".into())
        }
    }

    fn block_start(&mut self, event: &Object<'_>) -> Result<(), Unreadable> {
        self.must_have_begun()?;
        let position = self.blocks.len();
        let Some(block) = event.get("content_block") else {
            return Err(Unreadable::at(
                format_args!("content[{position}]"),
                "is missing",
            ));
        };
        let (raw, mut block) = (block, AnswerBlock::read(block, position)?);
        let text = take_split_text(&mut block, raw);
        let index = event.count("index").unwrap_or(position as u64);
        // A block of the same number lost its stop.
        if let Some(before) = self.position(index) {
            self.stop(before);
        }
        let position = self.start(Some(index), block);
        if let Some(text) = text {
            self.append(position, text);
        }
        Ok(())
    }

    fn block_delta(&mut self, event: &Object<'_>) -> Result<(), Unreadable> {
        self.must_have_begun()?;
        let Some(raw) = event.get("delta") else {
            return Ok(());
        };
        let Some(position) = self.position_of(event) else {
            return Err("a content_block_delta has no content_block_start".into());
        };
        let Ok(delta) = Object::read(raw.get()) else {
            let place = format_args!("content[{position}]");
            return Err(Unreadable::at(place, "has a delta that is not an object"));
        };
        use BlockKind::{Other, Text, Thinking, ToolUse};
        let read = match (self.blocks[position].kind, &*delta.kind()) {
            (Text, "text_delta") => self.append_field(position, &delta, "text")?,
            (Thinking, "thinking_delta") => self.append_field(position, &delta, "thinking")?,
            (ToolUse | Other, "input_json_delta") => {
                self.append_field(position, &delta, "partial_json")?
            }
            (Thinking, "signature_delta") => {
                let signature = delta.text("signature").unwrap_or_default();
                self.push_delta(position, Delta::Signature(signature));
                "signature"
            }
            (Text, "citations_delta") => {
                if let Some(citation) = delta.get("citation") {
                    self.push_delta(position, Delta::Citation(citation.to_owned()));
                }
                "citation"
            }
            (kind, "text_delta") if kind != Other => {
                let position = self.text_block(position);
                self.append_field(position, &delta, "text")?
            }
            _ => {
                self.push_delta(position, Delta::Other(raw.to_owned()));
                return Ok(());
            }
        };
        if let Some(fields) = unknown_fields(&delta, &["type", read], &["type"]) {
            self.push_delta(position, Delta::Other(fields));
        }
        Ok(())
    }

    fn block_stop(&mut self, event: &Object<'_>) {
        if let Some(position) = self.position_of(event) {
            self.stop(position);
        }
    }

    /// The block that an event belongs to.
    fn position_of(&self, event: &Object<'_>) -> Option<usize> {
        match event.count("index") {
            Some(index) => self.position(index),
            None => {
                let open = self.blocks.iter().rposition(|block| block.is_open);
                open.or_else(|| self.blocks.len().checked_sub(1))
            }
        }
    }

    /// The last block with a number.
    fn position(&self, index: u64) -> Option<usize> {
        let mut blocks = self.blocks.iter();
        blocks.rposition(|block| block.index == Some(index))
    }

    /// The text block for text that came for another block.
    fn text_block(&mut self, position: usize) -> usize {
        if let Some(text_block) = self.blocks[position].text_block {
            return text_block;
        }
        let text = AnswerBlock::Text {
            text: String::new(),
            citations: Vec::new(),
            extra: Extra::default(),
        };
        let text_block = self.start(None, text);
        self.blocks[position].text_block = Some(text_block);
        text_block
    }

    /// Starts a block; returns its position.
    fn start(&mut self, index: Option<u64>, mut block: AnswerBlock) -> usize {
        let kind = BlockKind::of(&block);
        let input_at_start = match &mut block {
            AnswerBlock::ToolUse { input, .. } => Some(std::mem::take(input)),
            _ => None,
        };
        let position = self.blocks.len();
        self.blocks.push(StreamedBlock {
            index,
            kind,
            is_open: true,
            input_at_start,
            first_half: None,
            text_block: None,
        });
        self.ready.push_back(StreamEvent::BlockStart {
            index: position as u32,
            block,
        });
        position
    }

    /// Ends a block, and the text block that belongs to it.
    fn stop(&mut self, position: usize) {
        let block = &mut self.blocks[position];
        let was_open = std::mem::take(&mut block.is_open);
        let text_block = block.text_block;
        let half = block.first_half.take().map(|_| REPLACEMENT.to_owned());
        let input = block.input_at_start.take().map(JsonText::into_string);
        let kind = block.kind;
        for text in half.into_iter().chain(input) {
            self.push_delta(position, kind.delta(text));
        }
        if was_open {
            let index = position as u32;
            self.ready.push_back(StreamEvent::BlockStop { index });
        }
        if let Some(text_block) = text_block {
            self.stop(text_block);
        }
    }

    /// Appends a field of a delta to the text of a block; returns its name.
    fn append_field(
        &mut self,
        position: usize,
        delta: &Object<'_>,
        field: &'static str,
    ) -> Result<&'static str, Unreadable> {
        if let Some(json) = delta.get(field) {
            let text = SplitString::decode(json.get());
            self.append(position, text.ok_or_else(|| not_a_string(position, field))?);
        }
        Ok(field)
    }

    /// Appends to the text of a block, and joins the halves of a character.
    fn append(&mut self, position: usize, piece: SplitString) {
        if piece.is_empty() {
            return;
        }
        let block = &mut self.blocks[position];
        let SplitString {
            second_half,
            mut text,
            first_half,
        } = piece;
        match (block.first_half.take(), second_half) {
            (None, None) => {}
            (Some(first), Some(second)) => text.insert(0, json_string::join(first, second)),
            _ => text.insert_str(0, REPLACEMENT),
        }
        block.first_half = first_half;
        if text.is_empty() {
            return;
        }
        block.input_at_start = None;
        let delta = block.kind.delta(text);
        self.push_delta(position, delta);
    }

    fn push_delta(&mut self, position: usize, delta: Delta) {
        let index = position as u32;
        self.ready
            .push_back(StreamEvent::BlockDelta { index, delta });
    }
}
