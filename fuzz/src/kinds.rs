//! Documents of any kind.

use claude_grpc::kinds::{self, HEAD, Kind, PdfForm, Reading, kind_of};
use std::io::{BufRead, BufReader};

/// Names with extensions that tell kinds of text apart.
const NAMES: [&str; 6] = ["a", "a.txt", "a.md", "a.html", "a.1", "a.eml"];

/// How many bytes come at once, when they come in pieces.
const PIECE: usize = 7;

/// Whatever the bytes are, they are read as text or refused, and that does not depend on the
/// pieces in which they come.
///
/// The first byte chooses the name. PDFs are left out: what reads them is known to panic and to
/// loop, and the process that the command line starts for a document is what bounds that.
pub fn check(data: &[u8]) {
    let Some((first, document)) = data.split_first() else {
        return;
    };
    let name = NAMES[usize::from(*first) % NAMES.len()];
    if may_be_pdf(document, name) {
        return;
    }
    let whole = read(&mut &document[..], name);
    let mut pieces = BufReader::with_capacity(PIECE, document);
    assert_eq!(read(&mut pieces, name), whole, "in pieces");
    if let Ok((text, reading)) = whole {
        assert!(!text.trim().is_empty());
        assert!(!reading.kind.is_empty());
    }
}

/// The text and what is said of it, or why it cannot be read.
fn read(input: &mut dyn BufRead, name: &str) -> Result<(String, Reading), String> {
    let mut text = Vec::new();
    let read = kinds::read(input, name, PdfForm::Text, &mut text);
    let reading = read.map_err(|error| error.to_string())?;
    let text = String::from_utf8(text).expect("what is read is UTF-8");
    Ok((text, reading))
}

/// Whether it is a PDF, or has one inside that is not compressed further.
fn may_be_pdf(document: &[u8], name: &str) -> bool {
    let head = &document[..document.len().min(HEAD)];
    match kind_of(head, name) {
        Ok(Kind::Pdf) => true,
        Ok(Kind::Gzip | Kind::Zstd) => document.windows(4).any(|it| it == b"PDF-"),
        _ => false,
    }
}
