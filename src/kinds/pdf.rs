//! The text of a PDF, page by page.
//!
//! The crate that reads it is known to panic, to loop and to use up the stack on damaged
//! files. Panics end the page; the process around this ends the rest.

use super::{
    bounds::{TextSink, UnreadableDocument},
    reading::Reading,
};
use pdf_extract::{ConvertToFmt, Document, PlainTextOutput, output_doc_page};
use std::{
    fmt::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
};

const ADVICE: &str = "convert it to text with `pdftotext`";

/// Maximum size of the text of a page, in bytes.
const MAX_PAGE: usize = 16 * 1024 * 1024;

/// Reads a PDF.
///
/// # Errors
/// When it cannot be read, needs a password, or has no text.
pub fn read(bytes: &[u8], sink: &mut TextSink) -> Result<Reading, UnreadableDocument> {
    let damaged =
        || UnreadableDocument::new("it is damaged, or its structure is not understood", ADVICE);
    let document = catch_unwind(|| Document::load_mem(bytes));
    let mut document = document.map_err(|_| damaged())?.map_err(|_| damaged())?;
    if document.is_encrypted() {
        let decrypted = catch_unwind(AssertUnwindSafe(|| document.decrypt("")));
        if !matches!(decrypted, Ok(Ok(()))) {
            let advice = "remove it with `qpdf --decrypt`";
            return Err(UnreadableDocument::new("it has a password", advice));
        }
    }
    let pages = catch_unwind(AssertUnwindSafe(|| document.get_pages()));
    let pages: Vec<u32> = pages.map_err(|_| damaged())?.into_keys().collect();
    let mut failed = 0;
    for page in &pages {
        let mut text = PageText::default();
        let written = catch_unwind(AssertUnwindSafe(|| {
            let mut output = PlainTextOutput::new(&mut text);
            output_doc_page(&document, &mut output, *page)
        }));
        if !matches!(written, Ok(Ok(()))) {
            failed += 1;
        }
        let text = text.text.trim();
        if !text.is_empty() {
            // A page begins with a form feed, as `pdftotext` writes them.
            sink.push(if sink.has_text() { "\u{c}" } else { "" })?;
            sink.push(text)?;
            sink.push("\n")?;
        }
    }
    if failed == pages.len() {
        return Err(damaged());
    }
    if !sink.has_text() {
        let advice = "its pages may be images: recognize their text with `ocrmypdf`";
        return Err(UnreadableDocument::new("it has no text", advice));
    }
    let mut notes = Vec::new();
    if failed > 0 {
        notes.push(format!(
            "{failed} of {} pages could not be read completely",
            pages.len()
        ));
    }
    Ok(Reading {
        notes,
        ..Reading::default()
    })
}

/// The text of a page, with ligatures as letters.
#[derive(Default)]
struct PageText {
    text: String,
}

impl Write for PageText {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.text.len() > MAX_PAGE {
            return Err(fmt::Error);
        }
        for character in piece.chars() {
            match character {
                '\u{fb00}' => self.text.push_str("ff"),
                '\u{fb01}' => self.text.push_str("fi"),
                '\u{fb02}' => self.text.push_str("fl"),
                '\u{fb03}' => self.text.push_str("ffi"),
                '\u{fb04}' => self.text.push_str("ffl"),
                '\u{ad}' => self.text.push('-'),
                it if it.is_control() && it != '\n' && it != '\t' => {}
                it => self.text.push(it),
            }
        }
        Ok(())
    }
}

impl ConvertToFmt for &mut PageText {
    type Writer = Self;

    fn convert(self) -> Self {
        self
    }
}
