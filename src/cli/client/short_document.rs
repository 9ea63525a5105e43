//! A document that goes in one message.

use bytes::Bytes;

/// A document that goes in one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShortDocument {
    /// A text.
    Text(String),
    /// All of a PDF.
    Pdf(Bytes),
}

// === impl ShortDocument ===

impl ShortDocument {
    /// The fields `text` and `pdf` of a request about it.
    pub fn into_fields(self) -> (String, Bytes) {
        match self {
            ShortDocument::Text(text) => (text, Bytes::new()),
            ShortDocument::Pdf(pdf) => (String::new(), pdf),
        }
    }
}
