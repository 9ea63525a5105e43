//! Which encoding a text has.
//!
//! A byte order mark decides, or what the document says of itself, or else its first bytes
//! that are not ASCII, with some context: UTF-8 if nearly all of them are, or what the
//! detector of Firefox finds.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// In UTF-8, at most one character in this many may be in another encoding.
const CHARACTERS_PER_STRAY: usize = 10;

/// Bytes that are at least this many characters of UTF-8, and nothing else, are UTF-8,
/// whatever a document says of itself: hardly any text of another encoding looks so.
const SURELY_UTF8: usize = 3;

/// The encoding of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextEncoding {
    Utf8,
    Utf32 { is_little_endian: bool },
    Other(&'static Encoding),
}

// === impl TextEncoding ===

impl TextEncoding {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            TextEncoding::Utf8 => UTF_8.name(),
            TextEncoding::Utf32 { is_little_endian } if is_little_endian => "UTF-32LE",
            TextEncoding::Utf32 { .. } => "UTF-32BE",
            TextEncoding::Other(encoding) => encoding.name(),
        }
    }

    /// Chooses that of bytes that are not ASCII, which are all if the text `is_ended`.
    /// `declared` is what the document says of its encoding.
    pub fn of(bytes: &[u8], declared: Option<&'static Encoding>, is_ended: bool) -> Self {
        let (characters, stray) = count_utf8(bytes, is_ended);
        let is_utf8 = stray * CHARACTERS_PER_STRAY <= characters && characters > 0;
        let is_surely_utf8 = stray == 0 && characters >= SURELY_UTF8;
        let encoding = match declared {
            Some(declared) if declared != UTF_8 && !is_surely_utf8 => declared,
            _ if is_utf8 => UTF_8,
            _ => {
                let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
                detector.feed(bytes, is_ended);
                detector.guess(None, Utf8Detection::Deny)
            }
        };
        if encoding == UTF_8 {
            TextEncoding::Utf8
        } else {
            TextEncoding::Other(encoding)
        }
    }

    /// That of a text with a byte order mark, or whose units have several bytes, and the length
    /// of the mark.
    pub fn marked_or_wide(head: &[u8]) -> Option<(Self, usize)> {
        let is_marked = head.starts_with(b"\xef\xbb\xbf");
        wide(head).or_else(|| is_marked.then_some((TextEncoding::Utf8, 3)))
    }
}

/// Whether the units of a text have several bytes.
pub fn is_wide(head: &[u8]) -> bool {
    wide(head).is_some()
}

/// The encoding of a text whose units have several bytes, and the length of its mark.
fn wide(head: &[u8]) -> Option<(TextEncoding, usize)> {
    let utf32 = |is_little_endian| TextEncoding::Utf32 { is_little_endian };
    if head.starts_with(b"\xff\xfe\0\0") {
        return Some((utf32(true), 4));
    }
    if head.starts_with(b"\0\0\xfe\xff") {
        return Some((utf32(false), 4));
    }
    if head.starts_with(b"\xff\xfe") {
        return Some((TextEncoding::Other(UTF_16LE), 2));
    }
    if head.starts_with(b"\xfe\xff") {
        return Some((TextEncoding::Other(UTF_16BE), 2));
    }
    // Without a mark, the zeros of ASCII characters tell.
    let head = &head[..head.len().min(4096)];
    let units = head.len() / 2;
    let zeros = |first| {
        head[first..]
            .iter()
            .step_by(2)
            .filter(|it| **it == 0)
            .count()
    };
    if units < 4 {
        return None;
    }
    let (even, odd) = (zeros(0), zeros(1));
    let is_text = |parity: usize| {
        let ascii = head[parity..].iter().step_by(2);
        ascii.filter(|it| matches!(**it, 9..=13 | 32..=126)).count() * 10 > units * 4
    };
    if odd * 10 > units * 4 && even * 10 < units && is_text(0) {
        return Some((TextEncoding::Other(UTF_16LE), 0));
    }
    if even * 10 > units * 4 && odd * 10 < units && is_text(1) {
        return Some((TextEncoding::Other(UTF_16BE), 0));
    }
    None
}

/// Whether a byte is a control character that texts do not have. Terminals have escapes,
/// and manual pages backspaces.
pub fn is_control(byte: u8) -> bool {
    matches!(byte, 0..=6 | 14..=26 | 28..=31 | 127)
}

/// Whether bytes are ASCII, and not an escape of ISO-2022-JP.
pub fn is_plain_ascii(bytes: &[u8]) -> bool {
    let mut escapes = memchr::memchr_iter(0x1b, bytes);
    bytes.is_ascii() && escapes.all(|at| !matches!(bytes.get(at + 1), Some(b'$' | b'(')))
}

/// How many characters of UTF-8 that are not ASCII there are, and how many other bytes.
fn count_utf8(bytes: &[u8], is_ended: bool) -> (usize, usize) {
    let rest = if is_ended { 0 } else { incomplete(bytes) };
    let (mut characters, mut stray) = (0, 0);
    for chunk in bytes[..bytes.len() - rest].utf8_chunks() {
        characters += chunk.valid().chars().filter(|it| !it.is_ascii()).count();
        stray += chunk.invalid().len();
    }
    (characters, stray)
}

/// How many bytes of the end are a character of UTF-8 that goes on.
pub fn incomplete(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(3);
    match std::str::from_utf8(&bytes[from..]) {
        Ok(_) => 0,
        Err(_) => (1..=bytes.len() - from)
            .find(|length| {
                let end = &bytes[bytes.len() - length..];
                let starts = end[0] >= 0xc2;
                starts && std::str::from_utf8(end).is_err_and(|it| it.error_len().is_none())
            })
            .unwrap_or(0),
    }
}
