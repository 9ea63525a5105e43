//! Splits a document that arrives in chunks.

use super::{
    border::{LOOKAHEAD, border},
    measure::{ByteCounts, TextMeasure},
};
use std::str::{Utf8Error, from_utf8};

/// Splits a document that arrives in chunks into parts of at most a number of tokens.
#[derive(Debug)]
pub struct Splitter {
    measure: TextMeasure,
    max_tokens: u64,
    text: String,
    /// Where what was not taken begins.
    start: usize,
    /// What was not taken.
    counts: ByteCounts,
    /// The bytes of a character whose rest is in the next chunk.
    cut: Vec<u8>,
    /// Length in bytes of what was taken.
    taken: u64,
    has_ended: bool,
}

/// A document is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be UTF-8: invalid byte at offset {offset}")]
pub struct NotUtf8 {
    /// Where the first invalid byte is, from the beginning of the document.
    pub offset: u64,
}

// === impl Splitter ===

impl Splitter {
    /// Splits into parts of at most `max_tokens`, by this measure.
    pub fn new(measure: TextMeasure, max_tokens: u64) -> Self {
        Splitter {
            measure,
            max_tokens,
            text: String::new(),
            start: 0,
            counts: ByteCounts::default(),
            cut: Vec::new(),
            taken: 0,
            has_ended: false,
        }
    }

    /// Adds the next chunk, which may begin and end within a character. Take the parts
    /// that are complete before the next one: what is not taken stays in memory.
    ///
    /// # Errors
    /// When the document is not UTF-8.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), NotUtf8> {
        let mut chunk = chunk;
        // The character that the last chunk began, a byte at a time.
        while let (false, Some((byte, rest))) = (self.cut.is_empty(), chunk.split_first()) {
            self.cut.push(*byte);
            chunk = rest;
            match from_utf8(&self.cut) {
                Ok(character) => {
                    self.text.push_str(character);
                    self.counts.add(character);
                    self.cut.clear();
                }
                Err(error) => self.must_be_cut(error)?,
            }
        }
        match from_utf8(chunk) {
            Ok(text) => self.add(text),
            Err(error) => {
                let (valid, rest) = chunk.split_at(error.valid_up_to());
                self.add(from_utf8(valid).unwrap_or_default());
                self.must_be_cut(error)?;
                self.cut.extend_from_slice(rest);
            }
        }
        Ok(())
    }

    /// Says that nothing more comes: the parts that are left can be taken.
    ///
    /// # Errors
    /// When the document ends within a character.
    pub fn end(&mut self) -> Result<(), NotUtf8> {
        if !self.cut.is_empty() {
            return Err(self.invalid());
        }
        self.has_ended = true;
        Ok(())
    }

    /// The next part, if it is complete. The parts do not depend on the sizes of chunks.
    pub fn next_part(&mut self) -> Option<String> {
        let rest = &self.text[self.start..];
        let is_rest = self.measure.of(self.counts) <= self.max_tokens;
        let end = if is_rest {
            None
        } else {
            self.measure.fitting(rest, self.max_tokens)
        };
        let length = match end {
            Some(end) if self.has_ended || rest.len() >= end + LOOKAHEAD => border(rest, end),
            None if self.has_ended && !rest.is_empty() => rest.len(),
            _ => return None,
        };
        let part = rest[..length].to_owned();
        self.counts.remove(&part);
        self.start += length;
        self.taken += length as u64;
        // Moved once for as much as was taken.
        if self.start >= self.text.len() / 2 {
            self.text.drain(..self.start);
            self.start = 0;
        }
        Some(part)
    }

    fn add(&mut self, text: &str) {
        self.text.push_str(text);
        self.counts.add(text);
    }

    /// Whether the error is only that a character has not come as a whole.
    fn must_be_cut(&self, error: Utf8Error) -> Result<(), NotUtf8> {
        match error.error_len() {
            None => Ok(()),
            Some(_) => Err(self.invalid()),
        }
    }

    fn invalid(&self) -> NotUtf8 {
        NotUtf8 {
            offset: self.taken + (self.text.len() - self.start) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// All parts of a document that arrives in chunks of these sizes.
    fn parts(text: &[u8], chunks: &[usize], max_tokens: u64) -> Result<Vec<String>, NotUtf8> {
        let mut splitter = Splitter::new(TextMeasure::new(2.5), max_tokens);
        let (mut parts, mut rest) = (Vec::new(), text);
        let mut sizes = chunks.iter().cycle();
        while !rest.is_empty() {
            let size = sizes
                .next()
                .map_or(rest.len(), |size| (*size).min(rest.len()));
            let (chunk, more) = rest.split_at(size);
            splitter.push(chunk)?;
            parts.extend(std::iter::from_fn(|| splitter.next_part()));
            rest = more;
        }
        splitter.end()?;
        parts.extend(std::iter::from_fn(|| splitter.next_part()));
        Ok(parts)
    }

    proptest! {
        #[test]
        fn the_parts_are_the_document_and_each_fits(
            text in "([a-z .|#\n漢é😀]{0,9}){0,40}",
            chunks in vec(1..30_usize, 1..5),
            max_tokens in 1..40_u64,
        ) {
            let parts = parts(text.as_bytes(), &chunks, max_tokens).unwrap();
            prop_assert_eq!(parts.concat(), text);
            let measure = TextMeasure::new(2.5);
            for part in &parts {
                // A single character is never cut.
                let is_single = part.chars().count() == 1;
                prop_assert!(is_single || measure.tokens(part) <= max_tokens, "{:?}", part);
            }
            prop_assert!(parts.iter().all(|part| !part.is_empty()));
        }

        #[test]
        fn what_is_not_utf8_is_found_where_it_is(
            text in vec(any::<u8>(), 0..200),
            chunks in vec(1..30_usize, 1..5),
        ) {
            let found = parts(&text, &chunks, 10).err();
            let expected = from_utf8(&text).err();
            prop_assert_eq!(
                found.map(|error| error.offset),
                expected.map(|error| error.valid_up_to() as u64)
            );
        }
    }

    #[test]
    fn chunks_do_not_change_the_parts() {
        let text = "# One\n\nFirst. Second.\n\n# Two\n\n漢字漢字。\n".repeat(20);
        let whole = parts(text.as_bytes(), &[text.len()], 30).unwrap();
        assert!(whole.len() > 10);
        assert!(whole.iter().skip(1).all(|part| part.starts_with('#')));
        for size in [1, 2, 7, 100] {
            assert_eq!(
                parts(text.as_bytes(), &[size], 30).unwrap(),
                whole,
                "{size}"
            );
        }
    }
}
