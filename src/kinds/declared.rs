//! What a document says of its encoding in its first bytes.

use encoding_rs::Encoding;

/// How far the encoding is looked for, in bytes; as browsers do.
pub const DECLARATION: u64 = 1024;

/// How many of the first lines may name the encoding, as Emacs and Python read them.
const LINES: usize = 2;

/// The encoding that a page of HTML declares, in its XML declaration or in `meta`.
pub fn of_page(head: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let label = in_xml(&head).or_else(|| Some(head.split_once("charset=")?.1))?;
    named(label)
}

/// The encoding that a text declares, in its XML declaration or in its first lines, such as
/// `-*- coding: koi8-r -*-`.
pub fn of_text(head: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let in_lines = || {
        let mut lines = head.lines().take(LINES);
        lines.find_map(|line| {
            let (_, label) = line
                .split_once("coding:")
                .or_else(|| line.split_once("coding="))?;
            Some(label)
        })
    };
    named(in_xml(&head).or_else(in_lines)?)
}

/// What follows `encoding=` in the XML declaration, if there is one.
fn in_xml(head: &str) -> Option<&str> {
    let declaration = head.strip_prefix("<?xml")?.split("?>").next()?;
    Some(declaration.split_once("encoding=")?.1)
}

/// The encoding whose name is at the start of this text.
fn named(label: &str) -> Option<&'static Encoding> {
    let label = label.trim_start_matches(['"', '\'', ' ', '\t']);
    let is_end = |it: char| it.is_whitespace() || matches!(it, '"' | '\'' | ';' | '>' | '/' | '?');
    let end = label.find(is_end).unwrap_or(label.len());
    Encoding::for_label(&label.as_bytes()[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_pages_name_their_encodings() {
        for (head, expected) in [
            (
                "<?xml version='1.0' encoding='ISO-8859-2'?><rss>",
                "ISO-8859-2",
            ),
            ("#!/usr/bin/python\n# -*- coding: koi8-r -*-\n", "KOI8-R"),
            ("# vim: set fileencoding=cp1250 :\n", "windows-1250"),
            (
                "'\\\" -*- coding: ISO-8859-7; mode: nroff -*-\n",
                "ISO-8859-7",
            ),
            ("coding: euc-jp", "EUC-JP"),
        ] {
            let encoding = of_text(head.as_bytes());
            assert_eq!(encoding.map(Encoding::name), Some(expected), "{head}");
        }
        let page = of_page(b"<html><meta charset=iso-8859-2><p>");
        assert_eq!(page.map(Encoding::name), Some("ISO-8859-2"));
        for other in [
            "One\nTwo\ncoding: koi8-r",
            "coding: none",
            "<p charset=koi8-r>",
            "",
        ] {
            assert_eq!(of_text(other.as_bytes()), None, "{other}");
        }
    }
}
