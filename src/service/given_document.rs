//! The document that a request is about: a text or a PDF.

use super::{
    document,
    pdf::{self, MAX_PDF},
    text,
};
use crate::{
    claude::request::InputBlock,
    status::{Path, Violations},
};
use bytes::Bytes;

/// The document that a request is about.
#[derive(Debug)]
pub struct GivenDocument {
    /// The block of a message about it.
    pub block: InputBlock,
    /// The length of its text, in characters; 0 for a PDF, which is not read.
    pub characters: usize,
    /// The field that it is in: the largest one of the request.
    pub field: DocumentField,
}

/// The field that a document is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentField {
    /// Its name.
    pub name: &'static str,
    /// Its path in a request that wraps the one with the document.
    pub wrapped: &'static str,
}

const TEXT: DocumentField = DocumentField {
    name: "text",
    wrapped: "request.text",
};

const PDF: DocumentField = DocumentField {
    name: "pdf",
    wrapped: "request.pdf",
};

// === impl GivenDocument ===

impl GivenDocument {
    /// Takes the document out of the two fields of a request, of which exactly one must be
    /// set. What is returned after a violation must not be sent.
    pub fn take(text: &mut String, pdf: &mut Bytes, wrong: &mut Violations) -> Self {
        // Each is held only once from here on.
        let (text, pdf) = (std::mem::take(text), std::mem::take(pdf));
        if pdf.is_empty() {
            text::required(&text, Path::root(TEXT.name), wrong);
        } else if let Some(block) = pdf_block(&text, &pdf, wrong) {
            return GivenDocument {
                block,
                characters: 0,
                field: PDF,
            };
        }
        GivenDocument {
            characters: text.chars().count(),
            block: document::of_text(&text),
            field: TEXT,
        }
    }
}

fn pdf_block(text: &str, pdf: &[u8], wrong: &mut Violations) -> Option<InputBlock> {
    let path = Path::root(PDF.name);
    if !text.is_empty() {
        wrong.add(path, "must not be set together with text");
    }
    if pdf.len() > MAX_PDF {
        wrong.add(path, format!("must have at most {MAX_PDF} bytes"));
        return None;
    }
    Some(InputBlock::Document {
        source: pdf::source(pdf, path, wrong)?,
        title: None,
        context: None,
        citations: None,
        cache_control: None,
    })
}
