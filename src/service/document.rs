//! Text that is data: delimited, with the delimiters inside it neutralized.
//!
//! A text that could close its own delimiter could continue as if it were an
//! instruction. So every `<` in it (or a character that looks like one) that
//! starts something that a model might read as the delimiter is written as
//! `&lt;`. This protects the boundary; it does not guarantee that no text can
//! influence a model.

use crate::claude::request::{Content, InputBlock, InputMessage, Role};

/// The name of the delimiter.
const TAG: &str = "document";

/// Opens the data, on a line of its own.
const OPEN: &str = "<document>";

/// Closes the data, on a line of its own.
const CLOSE: &str = "</document>";

/// The text between its delimiters.
fn delimited(text: &str) -> String {
    let mut wrapped = String::with_capacity(OPEN.len() + text.len() + CLOSE.len() + 2);
    wrapped.push_str(OPEN);
    wrapped.push('\n');
    push_harmless(&mut wrapped, text);
    wrapped.push('\n');
    wrapped.push_str(CLOSE);
    wrapped
}

/// The block of a document that is this text.
pub fn of_text(text: &str) -> InputBlock {
    text_block(delimited(text))
}

/// The user message about a document: first the document, then the instructions, the order
/// that works best for long ones.
pub fn message(document: InputBlock, instructions: String) -> InputMessage {
    InputMessage {
        role: Role::User,
        content: Content::Blocks(vec![document, text_block(instructions)]),
        extra: None,
    }
}

fn text_block(text: String) -> InputBlock {
    InputBlock::Text {
        text,
        cache_control: None,
        citations: None,
    }
}

/// The text without anything that reads as a delimiter.
pub fn harmless(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    push_harmless(&mut written, text);
    written
}

fn push_harmless(written: &mut String, text: &str) {
    let mut kept = 0;
    for (position, bracket) in text.match_indices(BRACKETS) {
        let after = position + bracket.len();
        if is_delimiter(&text[after..]) {
            written.push_str(&text[kept..position]);
            written.push_str("&lt;");
            kept = after;
        }
    }
    written.push_str(&text[kept..]);
}

/// Characters that a model may read as `<`.
const BRACKETS: [char; 3] = ['<', '\u{ff1c}', '\u{fe64}'];

/// Characters that a model may read as `/`.
const SLASHES: [char; 5] = ['/', '\\', '\u{ff0f}', '\u{2044}', '\u{2215}'];

/// Whether the text after a `<` reads as the delimiter: its name in any case
/// and in look-alike letters, after slashes and whitespace, ignoring invisible
/// characters.
fn is_delimiter(after: &str) -> bool {
    let mut letters = after
        .chars()
        .filter(|c| !is_unseen(*c))
        .skip_while(|c| SLASHES.contains(c) || c.is_whitespace())
        .map(plain);
    TAG.chars().all(|letter| letters.next() == Some(letter))
}

/// The lower-case letter of the tag that a character looks like.
fn plain(c: char) -> char {
    const FULLWIDTH: u32 = 0xff01 - 0x21;
    const BOLD_A: u32 = 0x1d400;
    let code = c as u32;
    let letter = match c {
        '\u{ff21}'..='\u{ff5a}' => char::from_u32(code - FULLWIDTH),
        // The mathematical alphabets: capitals and small letters in turn.
        '\u{1d400}'..='\u{1d6a3}' => char::from_u32((code - BOLD_A) % 26 + u32::from('a')),
        'о' | 'О' | 'ο' | 'Ο' => Some('o'),
        'с' | 'С' | 'ϲ' => Some('c'),
        'е' | 'Е' | 'Ε' => Some('e'),
        'м' | 'М' | 'Μ' => Some('m'),
        'т' | 'Т' | 'Τ' => Some('t'),
        'ԁ' => Some('d'),
        'υ' | 'ս' => Some('u'),
        'ո' | 'Ν' => Some('n'),
        _ => None,
    };
    letter.unwrap_or(c).to_ascii_lowercase()
}

/// Characters that are invisible, or only modify the previous one.
fn is_unseen(c: char) -> bool {
    (c.is_control() && !c.is_whitespace())
        || matches!(c,
            '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{61c}' | '\u{115f}' | '\u{1160}'
            | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_text_stays_as_it_is() {
        let text = "a < b, <b>bold</b>, &lt;document&gt;, <doc>, 日本語";
        assert_eq!(harmless(text), text);
    }

    #[test]
    fn no_spelling_of_the_delimiter_survives() {
        for spelling in [
            "</document>",
            "<document>",
            "</ DOCUMENT >",
            "< /\tDocument>",
            "<\u{200b}/document>",
            "</document-2>",
            "<//document",
            "</do\u{200b}cument>",
            "<\u{ff0f}\u{ff24}\u{ff4f}cument>",
            "\u{ff1c}/document>",
            "</d\u{43e}\u{441}um\u{435}nt>",
        ] {
            let written = harmless(spelling);
            assert!(written.starts_with("&lt;"), "{spelling:?} gave {written:?}");
        }
    }

    proptest! {
        #[test]
        fn data_closes_only_where_we_close_it(
            pieces in prop::collection::vec(
                prop_oneof![
                    Just("</document>".to_owned()),
                    Just("<document>".to_owned()),
                    Just("<".to_owned()),
                    Just("/".to_owned()),
                    any::<String>(),
                ],
                0..20,
            )
        ) {
            let text = pieces.concat();
            let wrapped = delimited(&text);
            prop_assert_eq!(wrapped.matches(OPEN).count(), 1);
            prop_assert_eq!(wrapped.matches(CLOSE).count(), 1);
            let inner = &wrapped[OPEN.len() + 1..wrapped.len() - CLOSE.len() - 1];
            // Only delimiters are rewritten; everything else is unchanged.
            prop_assert_eq!(inner.replace("&lt;", "<"), text.replace("&lt;", "<"));
        }
    }
}
