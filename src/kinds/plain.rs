//! Text that is its own document, and the check whether it may stay as it is.

use super::{
    bounds::{TextSink, UnreadableDocument},
    declared::{self, DECLARATION},
    decoded::Decoded,
    encoding::incomplete,
    reading::Reading,
};
use std::io::{Cursor, Read};

/// Reads text of any encoding.
///
/// # Errors
/// When it cannot be read, or is not text.
pub fn read(input: &mut dyn Read, sink: &mut TextSink) -> Result<Reading, UnreadableDocument> {
    let mut head = Vec::new();
    input.take(DECLARATION).read_to_end(&mut head)?;
    let declared = declared::of_text(&head);
    let mut decoded = Decoded::new(Cursor::new(head).chain(input), declared);
    let mut buffer = vec![0; 64 * 1024];
    let mut rest = 0;
    loop {
        let length = decoded.read(&mut buffer[rest..])?;
        let filled = rest + length;
        if filled == 0 {
            break;
        }
        rest = incomplete(&buffer[..filled]);
        sink.push(&String::from_utf8_lossy(&buffer[..filled - rest]))?;
        buffer.copy_within(filled - rest..filled, 0);
        if length == 0 {
            break;
        }
    }
    Ok(Reading {
        encoding: Some(decoded.encoding().to_owned()),
        notes: decoded.notes(),
        ..Reading::default()
    })
}

/// Whether a text that comes in pieces is UTF-8 without a mark and without zeros: it is
/// then sent as it is.
#[derive(Debug, Default)]
pub struct Utf8Check {
    rest: Vec<u8>,
    is_started: bool,
    is_refuted: bool,
}

// === impl Utf8Check ===

impl Utf8Check {
    /// Checks the next piece.
    pub fn add(&mut self, piece: &[u8]) {
        if self.is_refuted {
            return;
        }
        self.is_refuted = memchr::memchr(0, piece).is_some();
        if !self.is_started && !piece.is_empty() {
            self.is_started = true;
            self.is_refuted |= piece.starts_with(b"\xef\xbb\xbf");
        }
        let joined;
        let bytes = if self.rest.is_empty() {
            piece
        } else {
            joined = [&self.rest, piece].concat();
            &joined
        };
        let rest = incomplete(bytes);
        let (complete, rest) = bytes.split_at(bytes.len() - rest);
        self.is_refuted |= std::str::from_utf8(complete).is_err();
        self.rest = rest.to_vec();
    }

    /// Whether all of it is.
    pub fn passed(&self) -> bool {
        !self.is_refuted && self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_checked_as_the_whole(bytes: Vec<u8>, text: String, size in 1..9usize) {
            for whole in [&bytes[..], text.as_bytes()] {
                let mut check = Utf8Check::default();
                whole.chunks(size).for_each(|piece| check.add(piece));
                let passes = std::str::from_utf8(whole).is_ok()
                    && !whole.contains(&0)
                    && !whole.starts_with(b"\xef\xbb\xbf");
                // A mark in pieces is not seen, and does no harm.
                prop_assert!(check.passed() == passes || whole.starts_with(b"\xef\xbb\xbf"));
            }
        }
    }
}
