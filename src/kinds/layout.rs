//! Lays out text in lines and paragraphs: white space collapses, and breaks do not add up.

use super::bounds::TextSink;
use std::io;

/// Where text is laid out.
pub struct Layout<'a, 'b> {
    sink: &'a mut TextSink<'b>,
    pending: Break,
    /// Whether anything was written to the current line.
    is_in_line: bool,
    /// Whether a mark was written that its text follows, whatever breaks come between.
    is_marked: bool,
}

/// What is between two pieces of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Break {
    None,
    Space,
    Line,
    Paragraph,
}

// === impl Layout ===

impl<'a, 'b> Layout<'a, 'b> {
    /// Writes to `sink`.
    pub fn new(sink: &'a mut TextSink<'b>) -> Self {
        Layout {
            sink,
            pending: Break::None,
            is_in_line: false,
            is_marked: false,
        }
    }

    /// Ends the line, if there is something in it.
    pub fn line(&mut self) {
        self.add(Break::Line);
    }

    /// Ends the paragraph.
    pub fn paragraph(&mut self) {
        self.add(Break::Paragraph);
    }

    /// Separates the next text by a space.
    pub fn space(&mut self) {
        self.add(Break::Space);
    }

    fn add(&mut self, pending: Break) {
        if !self.is_marked {
            self.pending = self.pending.max(pending);
        }
    }

    /// Writes a mark in front of the next text, as of an item or a heading.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn mark(&mut self, mark: &str) -> io::Result<()> {
        self.raw(mark)?;
        self.is_marked = true;
        self.pending = Break::Space;
        Ok(())
    }

    /// Joins the next text to the last one of the same line.
    pub fn join(&mut self) {
        if self.pending == Break::Space {
            self.pending = Break::None;
        }
    }

    /// Whether there is any text yet.
    pub fn has_text(&self) -> bool {
        self.sink.has_text()
    }

    /// Joins the next text to the last one, whatever breaks were between.
    pub fn discard_break(&mut self) {
        self.pending = Break::None;
    }

    /// Whether the next text begins a line.
    pub fn is_at_start(&self) -> bool {
        !self.is_in_line || self.pending >= Break::Line
    }

    /// Adds text whose white space collapses.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        // A no-break space is a part of its word.
        let is_space = |it: char| it.is_ascii_whitespace();
        if text.starts_with(is_space) {
            self.space();
        }
        for (index, word) in text.split(is_space).filter(|it| !it.is_empty()).enumerate() {
            if index > 0 {
                self.space();
            }
            self.raw(word)?;
        }
        if text.ends_with(is_space) {
            self.space();
        }
        Ok(())
    }

    /// Adds text whose white space and line breaks are kept.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn preformatted(&mut self, text: &str) -> io::Result<()> {
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.next_line();
            }
            self.raw(line.trim_end_matches('\r'))?;
        }
        Ok(())
    }

    /// Ends the line, also an empty one.
    pub fn next_line(&mut self) {
        let is_second = self.pending >= Break::Line;
        self.add(if is_second {
            Break::Paragraph
        } else {
            Break::Line
        });
    }

    /// Adds text as it is.
    fn raw(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let has_text = self.sink.has_text();
        match self.pending {
            Break::Space if self.is_in_line => self.sink.push(" ")?,
            Break::Line if has_text => self.sink.push("\n")?,
            Break::Paragraph if has_text => self.sink.push("\n\n")?,
            _ => {}
        }
        if self.pending >= Break::Line {
            self.is_in_line = false;
        }
        self.is_marked = false;
        self.pending = Break::None;
        self.is_in_line = true;
        self.sink.push(text)
    }

    /// Ends the text.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(&mut self) -> io::Result<()> {
        if self.sink.has_text() {
            self.sink.push("\n")?;
        }
        self.is_marked = false;
        self.pending = Break::None;
        self.is_in_line = false;
        Ok(())
    }
}
