//! HTML as text: headings, lists, tables as rows, and the texts of links without their
//! addresses.
//!
//! Of the tokens as they come: no tree is built, so that nesting costs nothing.

use super::{
    bounds::UnreadableDocument,
    declared::{self, DECLARATION},
    decoded::Decoded,
    layout::Layout,
    reading::Reading,
};
use encoding_rs::Encoding;
use html5gum::{DefaultEmitter, IoReader, StartTag, State, Token, Tokenizer};
use std::io::{self, Cursor, Read};

/// Maximum depth of indentation of lists.
const DEEPEST_LIST: usize = 32;

/// Reads a page.
///
/// # Errors
/// When it cannot be read, or is not text.
pub fn read(input: &mut dyn Read, layout: &mut Layout) -> Result<Reading, UnreadableDocument> {
    let mut head = Vec::new();
    input.take(DECLARATION).read_to_end(&mut head)?;
    let declared = declared::of_page(&head);
    let is_xml = head.trim_ascii_start().starts_with(b"<?xml");
    read_encoded(
        &mut Cursor::new(head).chain(input),
        declared,
        is_xml,
        layout,
    )
}

/// Reads a page, or a part of one, with the encoding that something else declares.
///
/// # Errors
/// When it cannot be read, or is not text.
pub fn read_encoded(
    input: &mut dyn Read,
    declared: Option<&'static Encoding>,
    is_xml: bool,
    layout: &mut Layout,
) -> Result<Reading, UnreadableDocument> {
    let mut decoded = Decoded::new(input, declared);
    let reader = IoReader::new(&mut decoded);
    let mut tokens = Tokenizer::new_with_emitter(reader, DefaultEmitter::default());
    let mut page = Page {
        layout,
        lists: Vec::new(),
        preformatted: 0,
        is_hidden: false,
        is_row_begun: false,
        images: 0,
    };
    while let Some(token) = tokens.next() {
        match token? {
            Token::StartTag(tag) => {
                let is_empty = is_xml && tag.self_closing;
                page.start(&tag)?;
                if is_empty {
                    page.end(&tag.name)?;
                } else if let Some(state) = state_in(&tag.name) {
                    tokens.set_state(state);
                }
            }
            Token::EndTag(tag) => page.end(&tag.name)?,
            Token::String(text) => page.text(&String::from_utf8_lossy(&text))?,
            _ => {}
        }
    }
    page.layout.end()?;
    let images = page.images;
    drop(tokens);
    let mut notes = decoded.notes();
    if images > 0 {
        notes.push(format!("{images} images were left out"));
    }
    Ok(Reading {
        encoding: Some(decoded.encoding().to_owned()),
        notes,
        ..Reading::default()
    })
}

/// How the content of an element is read.
fn state_in(name: &[u8]) -> Option<State> {
    match name {
        b"script" => Some(State::ScriptData),
        b"style" | b"iframe" | b"xmp" | b"noembed" => Some(State::RawText),
        b"textarea" | b"title" => Some(State::RcData),
        _ => None,
    }
}

struct Page<'a, 'b, 'c> {
    layout: &'a mut Layout<'b, 'c>,
    /// The lists that are open; of those with numbers, the last one.
    lists: Vec<Option<u32>>,
    preformatted: u32,
    is_hidden: bool,
    is_row_begun: bool,
    images: u32,
}

// === impl Page ===

impl Page<'_, '_, '_> {
    fn start(&mut self, tag: &StartTag<()>) -> io::Result<()> {
        match &tag.name[..] {
            b"script" | b"style" | b"iframe" | b"noembed" => self.is_hidden = true,
            b"br" => self.layout.next_line(),
            b"hr" => self.layout.paragraph(),
            b"img" => self.image(tag)?,
            b"ol" | b"ul" | b"menu" => {
                if self.lists.len() < DEEPEST_LIST {
                    self.lists.push((&tag.name[..] == b"ol").then_some(0));
                }
                self.list_begins_or_ends();
            }
            b"li" => self.item()?,
            b"pre" | b"textarea" | b"xmp" => {
                self.layout.paragraph();
                self.preformatted += 1;
            }
            b"tr" => {
                self.layout.line();
                self.is_row_begun = false;
            }
            b"td" | b"th" => {
                if self.is_row_begun {
                    self.layout.text(" | ")?;
                }
                self.is_row_begun = true;
            }
            [b'h', level @ b'1'..=b'6'] => {
                self.layout.paragraph();
                let marks = "#".repeat(usize::from(level - b'0'));
                self.layout.mark(&marks)?;
            }
            name if is_block(name) => self.layout.paragraph(),
            name if is_line(name) => self.layout.line(),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &[u8]) -> io::Result<()> {
        match name {
            b"script" | b"style" | b"iframe" | b"noembed" => self.is_hidden = false,
            b"ol" | b"ul" | b"menu" => {
                self.list_begins_or_ends();
                self.lists.pop();
            }
            b"pre" | b"textarea" | b"xmp" => {
                self.layout.paragraph();
                self.preformatted = self.preformatted.saturating_sub(1);
            }
            b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => self.layout.paragraph(),
            name if is_block(name) => self.layout.paragraph(),
            name if is_line(name) => self.layout.line(),
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        match () {
            () if self.is_hidden => Ok(()),
            () if self.preformatted > 0 => self.layout.preformatted(text),
            () => self.layout.text(text),
        }
    }

    fn image(&mut self, tag: &StartTag<()>) -> io::Result<()> {
        self.images += 1;
        let alternative = tag.attributes.get(&b"alt"[..]);
        let alternative = alternative.map(|it| String::from_utf8_lossy(it).into_owned());
        match alternative.filter(|it| !it.trim().is_empty()) {
            Some(alternative) => self.layout.text(&format!("[{}]", alternative.trim())),
            None => Ok(()),
        }
    }

    fn list_begins_or_ends(&mut self) {
        if self.lists.len() < 2 {
            self.layout.paragraph();
        } else {
            self.layout.line();
        }
    }

    fn item(&mut self) -> io::Result<()> {
        self.layout.line();
        let depth = self.lists.len().saturating_sub(1);
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number = number.saturating_add(1);
                format!("{number}.")
            }
            _ => "-".to_owned(),
        };
        self.layout.mark(&format!("{}{mark}", "  ".repeat(depth)))
    }
}

fn is_block(name: &[u8]) -> bool {
    matches!(
        name,
        b"p" | b"article"
            | b"section"
            | b"header"
            | b"footer"
            | b"main"
            | b"aside"
            | b"nav"
            | b"blockquote"
            | b"dl"
            | b"table"
            | b"figure"
            | b"form"
            | b"fieldset"
            | b"details"
            | b"title"
            | b"body"
    )
}

fn is_line(name: &[u8]) -> bool {
    matches!(
        name,
        b"div"
            | b"li"
            | b"tr"
            | b"dt"
            | b"dd"
            | b"caption"
            | b"figcaption"
            | b"legend"
            | b"address"
            | b"option"
            | b"summary"
            | b"center"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::bounds::TextSink;

    fn text_of(html: &[u8]) -> (String, Reading) {
        let mut text = Vec::new();
        let mut sink = TextSink::new(&mut text);
        let reading = read(&mut &html[..], &mut Layout::new(&mut sink)).unwrap();
        (String::from_utf8(text).unwrap(), reading)
    }

    #[test]
    fn structure_is_kept_and_scripts_are_not() {
        let (text, reading) = text_of(
            b"<!DOCTYPE html><html><head><title>Lunch &amp; dinner</title>\
              <style>p { color: red }</style><script>if (a < b) { '</p>' }</script></head>\
              <body><h1>Menu</h1><p>Today <b>soup</b>,\n  and <a href='/x'>more</a>.</p>\
              <ul><li>One<ol><li>Sub<li>Sub 2</ol></li><li><p>Two</p></li></ul>\
              <table><tr><th>Dish</th><th>Price</th></tr><tr><td>Soup<td>3&nbsp;&euro;</table>\
              <pre>a  b\n\n c</pre><img alt='A bowl' src=x>Fin",
        );
        assert_eq!(
            text,
            "Lunch & dinner\n\n# Menu\n\nToday soup, and more.\n\n- One\n  1. Sub\n  2. Sub 2\n\
             - Two\n\nDish | Price\nSoup | 3\u{a0}\u{20ac}\n\na  b\n\n c\n\n[A bowl]Fin\n"
        );
        assert_eq!(reading.encoding.as_deref(), Some("UTF-8"));
        assert_eq!(reading.notes, ["1 images were left out"]);
    }

    #[test]
    fn an_encoding_is_declared() {
        let (text, reading) = text_of(b"<html><meta charset=iso-8859-2><p>\xb1\xe6\xea");
        assert_eq!(text, "\u{105}\u{107}\u{119}\n");
        assert_eq!(reading.encoding.as_deref(), Some("ISO-8859-2"));
    }

    #[test]
    fn an_empty_element_of_xhtml_hides_nothing() {
        let (text, _) = text_of(b"<?xml version='1.0'?><html><script src='x'/><p>Here</p></html>");
        assert_eq!(text, "Here\n");
    }

    #[test]
    fn nesting_costs_nothing() {
        let html = [
            &b"<html>"[..],
            &b"<div><ul><table>".repeat(100_000),
            b"deep",
        ]
        .concat();
        assert_eq!(text_of(&html).0, "deep\n");
    }
}
