//! Reads documents of many kinds as text: what a file is, and what it says.
//!
//! What crates of others parse may be hostile: a bomb, a loop, or a structure that is nested
//! until the stack ends. Sizes, ratios and nesting are bounded here. Against the rest, the
//! command line calls [`read`] in a process of its own, whose memory and time are limited.

mod bounds;
mod declared;
mod decoded;
mod detect;
mod docx;
mod encoding;
mod epub;
mod html;
mod layout;
mod mail;
mod members;
mod odt;
mod office;
mod packed;
mod pdf;
mod pdf_form;
mod pdf_page;
mod plain;
mod reading;
mod roff;
mod xml;

pub use bounds::{MAX_TEXT, UnreadableDocument};
pub use detect::{HEAD, Kind, kind_of};
pub use pdf_form::{MAX_DOCUMENT_BYTES, PdfForm, SentAs};
pub use plain::Utf8Check;
pub use reading::Reading;

use bounds::TextSink;
use layout::Layout;
use std::io::{BufRead, Cursor, Read, Write};

/// How deep documents may be packed in each other: a mail in a `.gz` in a `.zst`.
const MAX_NESTING: u32 = 3;

/// Reads a document with this file name, and writes its text, or all of a PDF that goes as a
/// document.
///
/// # Errors
/// When it is of a kind that cannot be read, is damaged, or exceeds a bound. What was
/// written until then is not its text.
pub fn read(
    input: &mut dyn BufRead,
    name: &str,
    pdf: PdfForm,
    output: &mut dyn Write,
) -> Result<Reading, UnreadableDocument> {
    let mut sink = TextSink::new(output);
    let reading = read_packed(input, name, pdf, &mut sink, 0)?;
    sink.end()?;
    Ok(reading)
}

fn read_packed(
    input: &mut dyn BufRead,
    name: &str,
    form: PdfForm,
    sink: &mut TextSink,
    nesting: u32,
) -> Result<Reading, UnreadableDocument> {
    let mut head = Vec::new();
    Read::take(&mut *input, HEAD as u64).read_to_end(&mut head)?;
    let kind = kind_of(&head, name)?;
    let mut input = Cursor::new(head).chain(input);
    let title = kind.title();
    let read =
        match kind {
            Kind::Gzip | Kind::Zstd if nesting == MAX_NESTING => Err(UnreadableDocument::new(
                format!("it is compressed more than {MAX_NESTING} times"),
                "decompress it first",
            )),
            Kind::Gzip | Kind::Zstd => {
                let mut unpacked: Box<dyn BufRead + '_> = match kind {
                    Kind::Gzip => Box::new(packed::gzip(&mut input)),
                    _ => Box::new(packed::zstd(&mut input)?),
                };
                let inner = packed::inner_name(name);
                return read_packed(&mut unpacked, inner, form, sink, nesting + 1)
                    .map_err(|error| error.of(title));
            }
            Kind::Text | Kind::Markdown => plain::read(&mut input, sink),
            Kind::Html => html::read(&mut input, &mut Layout::new(sink)),
            Kind::Man => roff::read(&mut input, &mut Layout::new(sink)),
            Kind::Mail => bounds::whole(&mut input)
                .and_then(|bytes| mail::read(&bytes, &mut Layout::new(sink))),
            Kind::Pdf => bounds::whole(&mut input).and_then(|bytes| pdf::read(&bytes, form, sink)),
            Kind::Zip => bounds::whole(&mut input)
                .and_then(|bytes| office::read(bytes, &mut Layout::new(sink))),
        };
    let mut reading = read.map_err(|error| error.of(title))?;
    if reading.kind.is_empty() {
        kind.name().clone_into(&mut reading.kind);
    }
    Ok(reading)
}
