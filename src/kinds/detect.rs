//! What a document is: its first bytes decide, and its extension only between kinds of text.

use super::bounds::UnreadableDocument;
use super::encoding::{is_control, is_wide};

/// How many of the first bytes decide.
pub const HEAD: usize = 8192;

/// A kind of document that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, in any encoding.
    Text,
    /// Text with marks.
    Markdown,
    /// A page of HTML or XHTML.
    Html,
    /// A manual page, in the macros `man` or `mdoc`.
    Man,
    /// A mail in its wire format.
    Mail,
    /// A PDF.
    Pdf,
    /// A zip archive, which may be a docx, odt or epub.
    Zip,
    /// A file that gzip has compressed.
    Gzip,
    /// A file that Zstandard has compressed.
    Zstd,
}

/// What a file that cannot be read begins with, what it is, and what would help.
const UNREADABLE: [(usize, &[u8], &str, &str); 32] = [
    (0, b"\x7fELF", "a program", ""),
    (0, b"MZ", "a program", ""),
    (0, b"\xca\xfe\xba\xbe", "a program", ""),
    (0, b"\xcf\xfa\xed\xfe", "a program", ""),
    (0, b"\x89PNG\r\n\x1a\n", "an image", IMAGE),
    (0, b"\xff\xd8\xff", "an image", IMAGE),
    (0, b"GIF8", "an image", IMAGE),
    (8, b"WEBP", "an image", IMAGE),
    (0, b"II*\0", "an image", IMAGE),
    (0, b"MM\0*", "an image", IMAGE),
    (4, b"ftyp", "audio or video", "transcribe it"),
    (0, b"OggS", "audio or video", "transcribe it"),
    (0, b"ID3", "audio or video", "transcribe it"),
    (0, b"fLaC", "audio or video", "transcribe it"),
    (8, b"WAVE", "audio or video", "transcribe it"),
    (8, b"AVI ", "audio or video", "transcribe it"),
    (8, b"AIFF", "audio or video", "transcribe it"),
    (0, b".snd\0", "audio or video", "transcribe it"),
    (0, b"\xfd7zXZ\0", "xz", "decompress it with `xz -d`"),
    (0, b"BZh", "bzip2", "decompress it with `bzip2 -d`"),
    (0, b"LZIP", "lzip", "decompress it with `lzip -d`"),
    (0, b"\x04\x22\x4d\x18", "lz4", "decompress it with `lz4 -d`"),
    (0, b"\x1f\x9d", "compress", "decompress it with `gzip -d`"),
    (0, b"7z\xbc\xaf\x27\x1c", ARCHIVE, "unpack it with `7z x`"),
    (0, b"Rar!\x1a\x07", ARCHIVE, "unpack it with `unrar x`"),
    (0, b"!<arch>\n", ARCHIVE, "unpack it"),
    (257, b"ustar", ARCHIVE, "unpack it with `tar -xf`"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLD_OFFICE, OFFICE),
    (0, b"{\\rtf", "RTF", OFFICE),
    (0, b"%!PS", "PostScript", "convert it with `ps2pdf`"),
    (0, b"SQLite format 3\0", "a database", "export it as text"),
    (0, b"AT&TFORM", "DjVu", "convert it with `djvutxt`"),
];

const IMAGE: &str = "attach it with `generate --file`, or recognize its text";
const ARCHIVE: &str = "an archive";
const OLD_OFFICE: &str = "an old document of Microsoft Office";
const OFFICE: &str = "convert it with `libreoffice --convert-to docx`";

/// Header fields that a mail has and few other texts.
const MAIL_FIELDS: [&str; 6] = [
    "message-id",
    "mime-version",
    "received",
    "return-path",
    "delivered-to",
    "dkim-signature",
];

// === impl Kind ===

impl Kind {
    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Markdown => "markdown",
            Kind::Html => "html",
            Kind::Man => "man",
            Kind::Mail => "mail",
            Kind::Pdf => "pdf",
            Kind::Zip => "zip",
            Kind::Gzip => "gzip",
            Kind::Zstd => "zstd",
        }
    }

    /// What a failure calls it.
    pub fn title(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Markdown => "Markdown",
            Kind::Html => "HTML",
            Kind::Man => "a manual page",
            Kind::Mail => "a mail",
            Kind::Pdf => "PDF",
            Kind::Zip => "a zip archive",
            Kind::Gzip => "gzip",
            Kind::Zstd => "Zstandard",
        }
    }

    /// What would help if it cannot be read.
    pub fn advice(self) -> &'static str {
        match self {
            Kind::Pdf => "convert it to text with `pdftotext`, or send it with `--pdf document`",
            Kind::Html => "convert it to text with `w3m -dump`",
            Kind::Man => "convert it to text with `man -l`",
            _ => "convert it to text",
        }
    }

    /// Whether the text is the document as it is, if it is UTF-8.
    pub fn is_plain(self) -> bool {
        matches!(self, Kind::Text | Kind::Markdown)
    }
}

/// What a document is that begins with these bytes, at most [`HEAD`], and has this file name.
///
/// # Errors
/// When it is known to be something that cannot be read.
pub fn kind_of(head: &[u8], name: &str) -> Result<Kind, UnreadableDocument> {
    for (offset, magic, what, advice) in UNREADABLE {
        let is_there = head
            .get(offset..)
            .is_some_and(|rest| rest.starts_with(magic));
        if is_there && (!is_of_words(magic) || head.iter().any(|it| is_control(*it))) {
            return Err(UnreadableDocument::new(format!("it is {what}"), advice));
        }
    }
    if head.starts_with(b"\x1f\x8b") {
        return Ok(Kind::Gzip);
    }
    // A skippable frame of Zstandard may come first.
    let is_skippable = head.len() > 3 && head[0] & 0xf0 == 0x50 && head[1..4] == *b"\x2a\x4d\x18";
    if head.starts_with(b"\x28\xb5\x2f\xfd") || is_skippable {
        return Ok(Kind::Zstd);
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Ok(Kind::Zip);
    }
    // Readers of PDF accept what comes before its header.
    if memchr::memmem::find(&head[..head.len().min(1024)], b"%PDF-").is_some_and(|at| {
        at == 0 || head[..at].iter().all(u8::is_ascii_whitespace) || head.contains(&0)
    }) {
        return Ok(Kind::Pdf);
    }
    if is_wide(head) {
        // Its first characters as ASCII.
        let narrow: Vec<u8> = head.iter().copied().filter(|it| *it != 0).collect();
        return Ok(kind_of_text(
            narrow.strip_prefix(b"\xff\xfe").unwrap_or(&narrow),
            name,
        ));
    }
    if head.contains(&0) {
        return Err(UnreadableDocument::new("it is binary", ""));
    }
    Ok(kind_of_text(head, name))
}

/// Whether a text may have this where a file that is not text has it, such as "GIF89a is old".
fn is_of_words(magic: &[u8]) -> bool {
    let mut bytes = magic.iter();
    bytes.all(|it| it.is_ascii_alphanumeric() || matches!(it, b' ' | b'&'))
}

/// Which kind of text it is.
fn kind_of_text(head: &[u8], name: &str) -> Kind {
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let extension = extension(name);
    if is_html(text) || (is_html_extension(&extension) && has_tag(text)) {
        return Kind::Html;
    }
    if is_mail(text) || (extension == "eml" && is_field(text.lines().next().unwrap_or_default())) {
        return Kind::Mail;
    }
    if is_man(text) || (is_man_extension(&extension) && has_macro(text)) {
        return Kind::Man;
    }
    match extension.as_str() {
        "md" | "markdown" | "mdown" | "mkd" => Kind::Markdown,
        _ => Kind::Text,
    }
}

fn extension(name: &str) -> String {
    let (_, extension) = name.rsplit_once('.').unwrap_or_default();
    extension.to_ascii_lowercase()
}

fn is_html(text: &str) -> bool {
    let mut text = text;
    // Comments and the declaration of XML come before it.
    for _ in 0..16 {
        let end = if text.starts_with("<!--") {
            text.find("-->").map(|at| at + 3)
        } else if text.starts_with("<?xml") {
            text.find("?>").map(|at| at + 2)
        } else {
            break;
        };
        match end {
            Some(end) => text = text[end..].trim_start(),
            None => return false,
        }
    }
    let begins = |with: &str| {
        let start = text.as_bytes().get(..with.len());
        start.is_some_and(|it| it.eq_ignore_ascii_case(with.as_bytes()))
    };
    begins("<!doctype html") || begins("<html")
}

fn is_html_extension(extension: &str) -> bool {
    matches!(extension, "html" | "htm" | "xhtml" | "xht")
}

/// Whether a text has a tag, such as `<p>`.
fn has_tag(text: &str) -> bool {
    let after = text.split('<').skip(1);
    let mut letters = after.map(|it| it.trim_start_matches('/').as_bytes());
    letters.any(|it| it.first().is_some_and(u8::is_ascii_alphabetic))
}

/// Whether a text begins with the header of a mail, also as in an mbox or a patch.
fn is_mail(text: &str) -> bool {
    let mut fields = 0;
    let mut marks = 0;
    for (number, line) in text.lines().enumerate() {
        let is_envelope = number == 0 && line.starts_with("From ");
        if is_envelope || (number > 0 && line.starts_with([' ', '\t'])) {
            continue;
        }
        if line.is_empty() || !is_field(line) {
            break;
        }
        fields += 1;
        let (field, _) = line.split_once(':').unwrap_or_default();
        let field = field.to_ascii_lowercase();
        marks += usize::from(MAIL_FIELDS.contains(&field.as_str()) || field == "from");
    }
    fields >= 3 && marks >= 2 || text.starts_with("From ") && fields >= 2 && marks >= 1
}

/// Whether a line is a header field, such as `Subject: Lunch`.
fn is_field(line: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| {
        let is_name = |it: u8| it.is_ascii_alphanumeric() || it == b'-';
        !name.is_empty() && name.bytes().all(is_name)
    })
}

/// Whether a text begins as a manual page does.
fn is_man(text: &str) -> bool {
    let is_comment = |line: &&str| {
        let rest = line.trim_start_matches(['.', '\'', ' ']);
        line.trim().is_empty() || rest.starts_with("\\\"") || rest.starts_with("\\#")
    };
    let line = text.lines().find(|line| !is_comment(line));
    let is_comment_first = text.starts_with(".\\\"") || text.starts_with("'\\\"");
    let first = line.unwrap_or_default();
    [".TH ", ".Dd ", ".so man", ".TH\t"]
        .iter()
        .any(|it| first.starts_with(it))
        || is_comment_first && has_macro(text)
}

fn is_man_extension(extension: &str) -> bool {
    let rest = extension.strip_prefix(|it: char| it.is_ascii_digit() || it == 'n' || it == 'l');
    matches!(extension, "man" | "mdoc" | "roff")
        || rest.is_some_and(|rest| rest.bytes().all(|it| it.is_ascii_lowercase()))
}

/// Whether a text has a macro of a manual page.
fn has_macro(text: &str) -> bool {
    let macros = [".TH ", ".SH ", ".Dd ", ".Sh ", ".Dt ", ".so ", ".de "];
    let mut lines = text.lines();
    lines.any(|line| macros.iter().any(|it| line.starts_with(it)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(head: &[u8], name: &str) -> Result<Kind, String> {
        kind_of(head, name).map_err(|error| error.to_string())
    }

    #[test]
    fn the_content_takes_precedence_over_the_extension() {
        for (head, name, expected) in [
            (&b"%PDF-1.5\n"[..], "a.txt", Kind::Pdf),
            (b"\x1f\x8b\x08\0", "a.txt", Kind::Gzip),
            (b"\x28\xb5\x2f\xfd\0", "a", Kind::Zstd),
            (b"PK\x03\x04\x14\0", "a.txt", Kind::Zip),
            (b"<!-- x -->\n<!DOCTYPE HTML>\n", "a.txt", Kind::Html),
            (b"<?xml version='1.0'?>\n<html>", "a.xml", Kind::Html),
            (b"<p>Hello", "a.html", Kind::Html),
            (b"1 < 2", "a.html", Kind::Text),
            (b"<p align=center>", "a.md", Kind::Markdown),
            (
                b"From: a@b\nTo: c@d\nMIME-Version: 1.0\n\n",
                "a",
                Kind::Mail,
            ),
            (b"From: a@b\nSubject: c\n\nHello", "a.txt", Kind::Text),
            (b"From: a@b\nSubject: c\n\nHello", "a.eml", Kind::Mail),
            (b".\\\" x\n.TH LS 1\n.SH NAME\n", "a", Kind::Man),
            (b".Dd May 1, 2020\n.Dt LS 1\n", "a.txt", Kind::Man),
            (b"Hello", "a.1", Kind::Text),
            (b"Hello", "a.8", Kind::Text),
            (b"MZ is how programs begin", "a.txt", Kind::Text),
            (b"GIF89a is an old format", "a.txt", Kind::Text),
            (b"How the WEBP format works", "a.txt", Kind::Text),
            (b"\xff\xfeH\0e\0", "a.txt", Kind::Text),
            (b"", "a.txt", Kind::Text),
        ] {
            assert_eq!(kind(head, name), Ok(expected), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_with_what_would_help() {
        for (head, expected) in [
            (
                &b"\x7fELF\x02\x01"[..],
                "failed to read it: it is a program",
            ),
            (b"a\0b\0\0\0c", "failed to read it: it is binary"),
            (
                b"RIFF\x24\x08\0\0WAVEfmt ",
                "failed to read it: it is audio or video; transcribe it",
            ),
            (
                b"RIFF\x24\x08\0\0WEBPVP8 ",
                "failed to read it: it is an image; attach it with `generate --file`, or \
                 recognize its text",
            ),
            (
                b"\xfd7zXZ\0",
                "failed to read it: it is xz; decompress it with `xz -d`",
            ),
        ] {
            assert_eq!(kind(head, "a.txt"), Err(expected.to_owned()));
        }
    }
}
