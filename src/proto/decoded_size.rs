//! How much memory a message takes once it is decoded, in addition to the bytes that it
//! was sent as.
//!
//! An element of two bytes, such as an empty item, is decoded as a struct of hundreds, so
//! a few megabytes could take gigabytes. The elements are counted in the bytes of the
//! message before anything is decoded. What they take is estimated from the descriptors,
//! and is rather too much than too little.

use super::message_types::{DecodedField, FieldContent, TYPES};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bytes of a JSON value in a map, with its share of the index.
const JSON_VALUE: usize = 128;

/// Deeper messages are rejected when they are decoded.
const MAX_DEPTH: usize = 100;

/// The messages of a method, and what the one that was read last takes.
#[derive(Debug, Clone)]
pub struct DecodedSize {
    request: Option<usize>,
    /// Of a stream only.
    last: Option<Arc<AtomicUsize>>,
}

/// What a message takes in addition to its bytes.
#[derive(Debug, Clone, Copy, Default)]
struct DecodedBytes {
    elements: usize,
    /// Values in JSON.
    json: usize,
}

/// A message that is read, and those that it is in.
struct OpenMessage {
    end: usize,
    fields: &'static [DecodedField],
    /// Whether a field has an element, by the last bits of its number.
    begun: u64,
}

/// The bytes of a message, which come in chunks.
struct WireReader<'a, I> {
    chunks: I,
    chunk: &'a [u8],
    position: usize,
}

// === impl DecodedSize ===

impl DecodedSize {
    /// Of the message that the method with this path is asked with.
    pub fn of_request(path: &str) -> Self {
        DecodedSize {
            request: TYPES.request(path),
            last: None,
        }
    }

    /// Of the messages of a stream.
    pub fn of_stream(path: &str) -> Self {
        DecodedSize {
            last: Some(Arc::default()),
            ..DecodedSize::of_request(path)
        }
    }

    /// Reads a message, in chunks. Returns what it takes in addition to its bytes, without
    /// the values in JSON: those are there only while the message is checked. Once either
    /// exceeds `limit`, the rest is not read, and more than that is returned.
    pub fn measure<'a>(&self, chunks: impl Iterator<Item = &'a [u8]>, limit: usize) -> usize {
        let mut reader = WireReader {
            chunks,
            chunk: &[],
            position: 0,
        };
        let taken = self.request.map_or(0, |it| reader.taken(it, limit));
        if let Some(last) = &self.last {
            last.store(taken, Relaxed);
        }
        taken
    }

    /// What the message of a stream took that was read last, in addition to its bytes.
    pub fn last(&self) -> usize {
        self.last.as_ref().map_or(0, |it| it.load(Relaxed))
    }
}

// === impl WireReader ===

impl<'a, I: Iterator<Item = &'a [u8]>> WireReader<'a, I> {
    fn taken(&mut self, request: usize, limit: usize) -> usize {
        let mut taken = DecodedBytes::default();
        let mut open = vec![OpenMessage::new(usize::MAX, request)];
        while taken.largest() <= limit && self.field(&mut open, &mut taken).is_some() {}
        match taken.json > limit {
            true => taken.json,
            false => taken.elements,
        }
    }

    /// Reads a field; `None` at the end of the message, or where it is malformed: then it
    /// is not decoded further either.
    fn field(&mut self, open: &mut Vec<OpenMessage>, taken: &mut DecodedBytes) -> Option<()> {
        // A length may be that of a message which goes on behind the one that it is in: it
        // is decoded as a whole before that is noticed.
        while open.last()?.end <= self.position {
            open.pop();
        }
        let message = open.last_mut()?;
        let key = self.number()?;
        let number = usize::try_from(key >> 3).ok()?;
        let field = message.fields.get(number).copied().unwrap_or_default();
        match key & 7 {
            0 => {
                self.number()?;
                let element = message.element(number, field.element);
                taken.elements = taken.elements.saturating_add(element);
            }
            1 => self.skip(8)?,
            5 => self.skip(4)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                let element = message.element(number, field.element);
                let decoded = match field.content {
                    // Packed: each byte may be a number.
                    FieldContent::Number => element.saturating_mul(length),
                    _ => element,
                };
                taken.elements = taken.elements.saturating_add(decoded);
                match field.content {
                    FieldContent::Message(message) => {
                        if open.len() > MAX_DEPTH {
                            return None;
                        }
                        let end = self.position.saturating_add(length);
                        open.push(OpenMessage::new(end, message));
                    }
                    FieldContent::Json => {
                        taken.json = taken.json.saturating_add(self.json(length)?);
                    }
                    FieldContent::Bytes | FieldContent::Number => self.skip(length)?,
                }
            }
            // Groups are not known, and skipped: their fields are read as if they were not in one.
            3 | 4 => {}
            _ => return None,
        }
        Some(())
    }

    /// Reads a varint.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.available()?.first()?;
        self.advance(1);
        Some(byte)
    }

    fn skip(&mut self, mut count: usize) -> Option<()> {
        while count > 0 {
            let skipped = count.min(self.available()?.len());
            self.advance(skipped);
            count -= skipped;
        }
        Some(())
    }

    /// What the values of JSON take: all but the first have a comma or a bracket before them.
    fn json(&mut self, mut length: usize) -> Option<usize> {
        let mut values = 0;
        while length > 0 {
            let available = self.available()?;
            let text = &available[..length.min(available.len())];
            values += text
                .iter()
                .filter(|byte| matches!(byte, b',' | b'[' | b'{'))
                .count();
            let read = text.len();
            self.advance(read);
            length -= read;
        }
        Some(values.saturating_mul(JSON_VALUE))
    }

    /// What is there of the chunk; `None` at the end.
    fn available(&mut self) -> Option<&'a [u8]> {
        while self.chunk.is_empty() {
            self.chunk = self.chunks.next()?;
        }
        Some(self.chunk)
    }

    fn advance(&mut self, count: usize) {
        self.chunk = &self.chunk[count..];
        self.position += count;
    }
}

// === impl DecodedBytes ===

impl DecodedBytes {
    fn largest(self) -> usize {
        self.elements.max(self.json)
    }
}

// === impl OpenMessage ===

impl OpenMessage {
    fn new(end: usize, message: usize) -> Self {
        OpenMessage {
            end,
            fields: TYPES.fields(message),
            begun: 0,
        }
    }

    /// What a further element of a field takes: a list has room for four elements at first,
    /// and then for up to twice as many as there are.
    fn element(&mut self, number: usize, bytes: usize) -> usize {
        let bit = 1 << (number % 64);
        let is_first = self.begun & bit == 0;
        self.begun |= bit;
        bytes * if is_first { 4 } else { 2 }
    }
}

#[cfg(test)]
#[path = "decoded_size_tests.rs"]
mod tests;
