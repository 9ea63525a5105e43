//! A PDF: as it is, if it may go as a document, or its text, page by page.
//!
//! The crate that reads it is known to panic, to loop and to use up the stack on damaged
//! files. Panics end the page; the process around this ends the rest.

use super::{
    bounds::{TextSink, UnreadableDocument},
    pdf_form::{DocumentTokens, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_PAGES, PdfForm, SentAs},
    pdf_page::{PageText, is_understood},
    reading::Reading,
};
use pdf_extract::{Document, ObjectId};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

const ADVICE: &str = "convert it to text with `pdftotext`, or send it with `--pdf document`";

/// What helps if it must go as a document and cannot.
const AS_TEXT: &str = "send its text with `--pdf text`";

const DECRYPT: &str = "remove its password with `qpdf --decrypt`";

/// How a PDF begins that goes as a document.
const HEADER: &[u8] = b"%PDF-";

/// Reads a PDF: writes all of it, if it goes as a document, or else its text.
///
/// # Errors
/// When it cannot be read, needs a password, or has no text where that is needed.
pub fn read(
    bytes: &[u8],
    form: PdfForm,
    sink: &mut TextSink,
) -> Result<Reading, UnreadableDocument> {
    match form {
        PdfForm::Text => OpenedPdf::open(bytes)?.text(Vec::new(), sink),
        PdfForm::Document => document(bytes, sink),
        PdfForm::Auto => {
            let pdf = OpenedPdf::open(bytes)?;
            let why = match pdf.obstacle(bytes) {
                None if pdf.has_few_tokens() => return pdf.document(bytes, sink),
                None => "its pages have too many tokens".to_owned(),
                Some(obstacle) => obstacle,
            };
            pdf.text(vec![format!("sent as text: {why}")], sink)
        }
    }
}

/// Writes all of a PDF, also one whose structure is not understood: the API may read it.
fn document(bytes: &[u8], sink: &mut TextSink) -> Result<Reading, UnreadableDocument> {
    if let Some(why) = shape_obstacle(bytes) {
        let reason = format!("it cannot go as a document: {why}");
        return Err(UnreadableDocument::new(reason, AS_TEXT));
    }
    match OpenedPdf::open(bytes) {
        Ok(pdf) if pdf.is_encrypted => Err(UnreadableDocument::new(
            "it cannot go as a document: it is encrypted",
            DECRYPT,
        )),
        Ok(pdf) => pdf.document(bytes, sink),
        Err(NotOpened::Password) => Err(NotOpened::Password.into()),
        Err(NotOpened::Damaged) => written(bytes, None, sink),
    }
}

/// Why the bytes of a PDF cannot go as a document.
fn shape_obstacle(bytes: &[u8]) -> Option<String> {
    if !bytes.starts_with(HEADER) {
        return Some("something comes before its header".to_owned());
    }
    let most = MAX_DOCUMENT_BYTES;
    (bytes.len() > most).then(|| format!("it has more than {} MiB", most >> 20))
}

fn written(
    bytes: &[u8],
    pages: Option<usize>,
    sink: &mut TextSink,
) -> Result<Reading, UnreadableDocument> {
    sink.push_whole(bytes)?;
    Ok(Reading {
        pages,
        sent_as: Some(SentAs::Document),
        ..Reading::default()
    })
}

/// A PDF whose structure was read.
struct OpenedPdf {
    document: Document,
    /// The numbers of its pages.
    pages: BTreeMap<u32, ObjectId>,
    is_encrypted: bool,
}

/// Why a PDF cannot be read.
enum NotOpened {
    Damaged,
    Password,
}

impl From<NotOpened> for UnreadableDocument {
    fn from(why: NotOpened) -> Self {
        match why {
            NotOpened::Damaged => {
                UnreadableDocument::new("it is damaged, or its structure is not understood", ADVICE)
            }
            NotOpened::Password => UnreadableDocument::new("it has a password", DECRYPT),
        }
    }
}

// === impl OpenedPdf ===

impl OpenedPdf {
    fn open(bytes: &[u8]) -> Result<Self, NotOpened> {
        let document = catch_unwind(|| Document::load_mem(bytes));
        let document = document.map_err(|_| NotOpened::Damaged)?;
        let mut document = document.map_err(|_| NotOpened::Damaged)?;
        // One without a password is decrypted when it is loaded.
        let mut is_encrypted = document.was_encrypted();
        if document.is_encrypted() {
            is_encrypted = true;
            let decrypted = catch_unwind(AssertUnwindSafe(|| document.decrypt("")));
            if !matches!(decrypted, Ok(Ok(()))) {
                return Err(NotOpened::Password);
            }
        }
        let pages = catch_unwind(AssertUnwindSafe(|| document.get_pages()));
        let pages = pages.map_err(|_| NotOpened::Damaged)?;
        if pages.is_empty() {
            return Err(NotOpened::Damaged);
        }
        Ok(OpenedPdf {
            document,
            pages,
            is_encrypted,
        })
    }

    /// Why it cannot go as a document.
    fn obstacle(&self, bytes: &[u8]) -> Option<String> {
        if self.is_encrypted {
            return Some("it is encrypted".to_owned());
        }
        let pages = self.pages.len();
        if pages > MAX_DOCUMENT_PAGES {
            return Some(format!(
                "it has {pages} pages, more than {MAX_DOCUMENT_PAGES}"
            ));
        }
        shape_obstacle(bytes)
    }

    /// Whether a model with a small context window can read it as a document. Its text is read
    /// for that, within the bounds of this process: a bomb does not go on.
    fn has_few_tokens(&self) -> bool {
        let mut tokens = DocumentTokens::of_pages(self.pages.len());
        tokens.are_few()
            && self
                .pages
                .keys()
                .all(|page| tokens.add(&PageText::of(&self.document, *page).text))
    }

    fn document(&self, bytes: &[u8], sink: &mut TextSink) -> Result<Reading, UnreadableDocument> {
        written(bytes, Some(self.pages.len()), sink)
    }

    /// Writes the text, and adds to these notes what is missing of it.
    fn text(
        &self,
        mut notes: Vec<String>,
        sink: &mut TextSink,
    ) -> Result<Reading, UnreadableDocument> {
        let (mut failed, mut partial, mut unknown) = (0, 0, 0);
        for (number, id) in &self.pages {
            let page = PageText::of(&self.document, *number);
            failed += usize::from(!page.is_whole);
            partial += usize::from(!page.is_whole || !is_understood(&self.document, *id));
            unknown += page.unknown;
            let text = page.text.trim();
            if !text.is_empty() {
                // A page begins with a form feed, as `pdftotext` writes them.
                sink.push(if sink.has_text() { "\u{c}" } else { "" })?;
                sink.push(text)?;
                sink.push("\n")?;
            }
        }
        if failed == self.pages.len() {
            return Err(NotOpened::Damaged.into());
        }
        if !sink.has_text() && unknown > 0 {
            let reason = "its fonts do not say which characters they show";
            return Err(UnreadableDocument::new(reason, ADVICE));
        }
        if !sink.has_text() && partial > 0 {
            return Err(NotOpened::Damaged.into());
        }
        if !sink.has_text() {
            let advice = "its pages may be images: recognize their text with `ocrmypdf`, or send it with `--pdf document`";
            return Err(UnreadableDocument::new("it has no text", advice));
        }
        if partial > 0 {
            notes.push(format!(
                "{partial} of {} pages could not be read completely",
                self.pages.len()
            ));
        }
        if unknown > 0 {
            notes.push(format!(
                "{unknown} characters that their fonts do not name were left out"
            ));
        }
        Ok(Reading {
            pages: Some(self.pages.len()),
            sent_as: Some(SentAs::Text),
            notes,
            ..Reading::default()
        })
    }
}
