//! A document that goes in one message.

/// A document that goes in one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShortDocument {
    /// A text.
    Text(String),
}

// === impl ShortDocument ===

impl ShortDocument {
    /// The field `text` of a request about it.
    pub fn into_text(self) -> String {
        let ShortDocument::Text(text) = self;
        text
    }
}
