//! Text that is data: delimited, with the delimiters inside it made harmless.
//!
//! A text that could close its own delimiter could go on as if it were our
//! instruction. So every `<` in it that begins something that a model might
//! take for the delimiter is written as `&lt;`. This keeps the boundary; it
//! does not promise that no text can talk a model into anything.

/// The name of the delimiter.
const TAG: &str = "document";

/// Opens the data; alone on its line.
pub const OPEN: &str = "<document>";

/// Closes the data; alone on its line.
pub const CLOSE: &str = "</document>";

/// The text between its delimiters.
pub fn delimited(text: &str) -> String {
    let mut wrapped = String::with_capacity(OPEN.len() + text.len() + CLOSE.len() + 2);
    wrapped.push_str(OPEN);
    wrapped.push('\n');
    push_harmless(&mut wrapped, text);
    wrapped.push('\n');
    wrapped.push_str(CLOSE);
    wrapped
}

/// The text with nothing in it that reads as one of our delimiters.
pub fn harmless(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    push_harmless(&mut written, text);
    written
}

fn push_harmless(written: &mut String, mut text: &str) {
    while let Some(position) = text.find('<') {
        let (before, rest) = text.split_at(position);
        let after = &rest['<'.len_utf8()..];
        written.push_str(before);
        written.push_str(if is_delimiter(after) { "&lt;" } else { "<" });
        text = after;
    }
    written.push_str(text);
}

/// Whether what follows a `<` reads as our delimiter: its name in any case,
/// after slashes, blanks and characters that do not show.
fn is_delimiter(after: &str) -> bool {
    let name = after.trim_start_matches(|c: char| c == '/' || c.is_whitespace() || is_unseen(c));
    name.get(..TAG.len())
        .is_some_and(|name| name.eq_ignore_ascii_case(TAG))
}

fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
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
            // Only delimiters are rewritten; everything else is as it was.
            prop_assert_eq!(inner.replace("&lt;", "<"), text.replace("&lt;", "<"));
        }
    }
}
