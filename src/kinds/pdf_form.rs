//! In which form a PDF goes: as a document, whose pages the model sees, or as its text.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Maximum number of pages of a PDF that goes as a document unless it is asked for: what the
/// API accepts with every model. It accepts 600 where the context window has 1 million tokens:
/// <https://platform.claude.com/docs/en/build-with-claude/pdf-support>.
pub const MAX_DOCUMENT_PAGES: usize = 100;

/// Maximum size of a PDF that goes as a document, in bytes. A request may have 32 MiB, of which
/// Base64 makes a PDF a third larger; the rest is for the prompt and the labels.
pub const MAX_DOCUMENT_BYTES: usize = 22 * 1024 * 1024;

/// Maximum tokens of a PDF that goes as a document unless it is asked for: three quarters of
/// the smallest context window, since the tokens are estimated.
const MAX_DOCUMENT_TOKENS: usize = 150_000;

/// Tokens of the picture of a page: of the size that the API scales larger images down to.
const TOKENS_PER_PAGE: usize = 1_600;

/// ASCII characters per token, at least. Any other character counts as one.
const ASCII_PER_TOKEN: usize = 3;

/// What to send of a PDF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PdfForm {
    /// A document if it is short enough, and its text otherwise.
    #[default]
    Auto,
    /// Its text.
    Text,
    /// A document: the model sees the pages, with pictures, tables and layout.
    Document,
}

/// What is sent of a PDF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SentAs {
    /// Its text.
    Text,
    /// All of it.
    Document,
}

/// Estimates whether a PDF is short enough for a document.
#[derive(Debug)]
pub struct DocumentTokens(usize);

// === impl PdfForm ===

impl PdfForm {
    /// The name of its value on the command line.
    pub fn name(self) -> &'static str {
        match self {
            PdfForm::Auto => "auto",
            PdfForm::Text => "text",
            PdfForm::Document => "document",
        }
    }
}

// === impl DocumentTokens ===

impl DocumentTokens {
    /// Those of the pictures of this number of pages.
    pub fn of_pages(pages: usize) -> Self {
        DocumentTokens(pages.saturating_mul(TOKENS_PER_PAGE))
    }

    /// Adds those of a text, and returns whether there are still few enough.
    pub fn add(&mut self, text: &str) -> bool {
        let ascii = text.bytes().filter(u8::is_ascii).count();
        let others = text.chars().count() - ascii;
        self.0 += ascii.div_ceil(ASCII_PER_TOKEN) + others;
        self.are_few()
    }

    /// Whether there are few enough.
    pub fn are_few(&self) -> bool {
        self.0 <= MAX_DOCUMENT_TOKENS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_counts_beside_the_pages() {
        assert!(DocumentTokens::of_pages(93).are_few());
        assert!(!DocumentTokens::of_pages(94).are_few());
        let mut tokens = DocumentTokens::of_pages(50);
        assert!(tokens.add(&"a".repeat(3 * 69_000)));
        assert!(tokens.add(&"語".repeat(1000)));
        assert!(!tokens.add("a"));
    }
}
