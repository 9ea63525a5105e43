//! Decodes the strings of JSON, in which an escape may be half of a character.
//!
//! JSON writes characters beyond the first 65,536 as two escapes, a surrogate
//! pair, and allows one without the other (RFC 8259, section 8.2). A model that
//! is cut, or a stream whose deltas split a pair, produces such halves. A gRPC
//! string cannot contain them. So a half becomes U+FFFD, unless the next string
//! of a stream begins with its other half.

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use std::fmt;

/// What stands for a half whose other half is missing.
pub const REPLACEMENT: &str = "\u{FFFD}";

/// A decoded string, with the halves at its ends kept apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SplitString {
    /// The second half of a character, at the beginning.
    pub second_half: Option<u16>,
    /// The text between.
    pub text: String,
    /// The first half of a character, at the end.
    pub first_half: Option<u16>,
}

impl SplitString {
    /// A text without halves.
    pub fn whole(text: String) -> Self {
        SplitString {
            text,
            ..SplitString::default()
        }
    }

    /// Whether there is nothing in it, and no half either.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.second_half.is_none() && self.first_half.is_none()
    }

    /// Decodes a JSON string; `None` if `json` is other JSON.
    pub fn decode(json: &str) -> Option<Self> {
        let quoted = json.strip_prefix('"')?.strip_suffix('"')?;
        if !quoted.as_bytes().contains(&b'\\') {
            return Some(SplitString::whole(quoted.to_owned()));
        }
        match serde_json::from_str(json) {
            Ok(text) => Some(SplitString::whole(text)),
            // Only a half of a pair is JSON, but not a string.
            Err(_) => {
                let bytes: Wtf8 = serde_json::from_str(json).ok()?;
                Some(SplitString::split(&bytes.0))
            }
        }
    }

    fn split(mut bytes: &[u8]) -> Self {
        let mut split = SplitString::default();
        let mut is_start = true;
        while !bytes.is_empty() {
            if let Some(half) = half(bytes) {
                bytes = &bytes[3..];
                let is_first = half < 0xDC00;
                if is_start && !is_first {
                    split.second_half = Some(half);
                } else if bytes.is_empty() && is_first {
                    split.first_half = Some(half);
                } else {
                    split.text.push_str(REPLACEMENT);
                }
            } else {
                let end = (1..bytes.len()).find(|&at| half(&bytes[at..]).is_some());
                let (text, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                split.text.push_str(&String::from_utf8_lossy(text));
                bytes = rest;
            }
            is_start = false;
        }
        split
    }

    /// The text alone, with every half replaced.
    pub fn into_text(self) -> String {
        let SplitString {
            second_half,
            mut text,
            first_half,
        } = self;
        if second_half.is_some() {
            text.insert_str(0, REPLACEMENT);
        }
        if first_half.is_some() {
            text.push_str(REPLACEMENT);
        }
        text
    }
}

/// Decodes a JSON string, with halves replaced; `None` if `json` is other JSON.
pub fn decode(json: &str) -> Option<String> {
    SplitString::decode(json).map(SplitString::into_text)
}

/// The text of a string that was read as bytes, with halves replaced.
pub(super) fn with_replacements(bytes: &[u8]) -> String {
    SplitString::split(bytes).into_text()
}

/// The character of two halves.
pub fn join(first: u16, second: u16) -> char {
    let decoded = char::decode_utf16([first, second]).next();
    decoded
        .and_then(Result::ok)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The half at the beginning, in the encoding of [`Wtf8`].
fn half(bytes: &[u8]) -> Option<u16> {
    match *bytes {
        [0xED, two @ 0xA0..=0xBF, three, ..] => {
            Some(0xD000 | (u16::from(two & 0x3F) << 6) | u16::from(three & 0x3F))
        }
        _ => None,
    }
}

/// A string in which halves are encoded as if they were characters: what
/// `serde_json` makes of a string that is read as bytes.
struct Wtf8(Vec<u8>);

impl<'de> Deserialize<'de> for Wtf8 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Wtf8;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Wtf8, E> {
                Ok(Wtf8(bytes.to_owned()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_half_is_kept_apart_at_the_ends_and_replaced_between() {
        let split = |json: &str| {
            let it = SplitString::decode(json).unwrap();
            (it.second_half, it.text, it.first_half)
        };
        assert_eq!(split(r#""a\u00e9\n""#), (None, "aé\n".to_owned(), None));
        assert_eq!(split(r#""\ud83d\ude00""#), (None, "😀".to_owned(), None));
        assert_eq!(
            split(r#""\ude00 é\ud83d b\ud83d""#),
            (Some(0xDE00), " é\u{FFFD} b".to_owned(), Some(0xD83D))
        );
        assert_eq!(split(r#""\ud83d""#), (None, String::new(), Some(0xD83D)));
        assert_eq!(
            split(r#""\ud83d\ud83d""#),
            (None, "\u{FFFD}".to_owned(), Some(0xD83D))
        );
        assert_eq!(decode(r#""\ude00x\ud83d""#).unwrap(), "\u{FFFD}x\u{FFFD}");
        assert_eq!(decode("[]"), None);
        assert_eq!(join(0xD83D, 0xDE00), '😀');
    }

    proptest! {
        /// The same text as the UTF-16 of all escapes gives.
        #[test]
        fn any_units_are_read_like_utf16(units in prop::collection::vec(
            prop_oneof![any::<u16>(), 0xD800..0xE000u16], 0..12
        )) {
            let escapes: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let decoded = decode(&format!("\"{escapes}\"")).unwrap();
            prop_assert_eq!(decoded, String::from_utf16_lossy(&units));
        }
    }
}
