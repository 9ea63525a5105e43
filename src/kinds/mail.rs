//! A mail: who wrote to whom and when, its subject and its text. Attachments are named.

use super::{
    bounds::UnreadableDocument, decoded::Decoded, encoding::is_wide, html, layout::Layout,
    reading::Reading,
};
use base64::engine::DecodePaddingMode;
use base64::{Engine, alphabet, engine::GeneralPurpose, engine::GeneralPurposeConfig};
use encoding_rs::Encoding;
use mailparse::{DispositionType, MailHeaderMap, ParsedMail, body::Body, parse_mail};
use std::io;

/// How deep mails may be in each other.
const DEEPEST: u32 = 3;

/// Maximum number of parts.
const MAX_PARTS: u32 = 1000;

/// The fields that are shown.
const FIELDS: [&str; 5] = ["From", "To", "Cc", "Date", "Subject"];

const SPLIT: &str = "split it into mails with `git mailsplit` or `formail -s`";

/// What base64 in mails is: its end may be missing.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads a mail.
///
/// # Errors
/// When it is damaged, exceeds a bound, or has others after it.
pub fn read(bytes: &[u8], layout: &mut Layout) -> Result<Reading, UnreadableDocument> {
    let narrow;
    let bytes = if is_wide(bytes) {
        narrow = Decoded::new(bytes, None).read_text()?;
        narrow.as_bytes()
    } else {
        bytes
    };
    let bytes = without_envelope(bytes)?;
    let mut text = MailText {
        layout,
        parts: 0,
        attachments: Vec::new(),
        notes: Vec::new(),
    };
    let mail = parsed(bytes)?;
    text.mail(&mail, 0)?;
    text.layout.end()?;
    let mut notes = text.notes;
    if !text.attachments.is_empty() {
        let names = text.attachments.join(", ");
        notes.push(format!("attachments were left out: {names}"));
    }
    Ok(Reading {
        notes,
        ..Reading::default()
    })
}

/// A mail without the line that a mailbox or a patch has before it.
fn without_envelope(bytes: &[u8]) -> Result<&[u8], UnreadableDocument> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if !bytes.starts_with(b"From ") {
        return Ok(bytes);
    }
    // As `git am` recognizes them: `From ` with a time at the end of the line.
    let is_envelope = |at: usize| {
        let line = bytes[at..]
            .split(|it| *it == b'\n')
            .next()
            .unwrap_or_default();
        line.iter().filter(|it| **it == b':').count() >= 2 && line.trim_ascii_end().ends_with_year()
    };
    let mut others = memchr::memmem::find_iter(bytes, b"\n\nFrom ").map(|at| at + 2);
    if others.any(is_envelope) {
        return Err(UnreadableDocument::new(
            "it is a mailbox of several mails",
            SPLIT,
        ));
    }
    let end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len() - 1);
    Ok(&bytes[end + 1..])
}

trait EndsWithYear {
    fn ends_with_year(&self) -> bool;
}

impl EndsWithYear for [u8] {
    fn ends_with_year(&self) -> bool {
        self.len() > 5 && self[self.len() - 4..].iter().all(u8::is_ascii_digit)
    }
}

fn parsed(bytes: &[u8]) -> Result<ParsedMail<'_>, UnreadableDocument> {
    parse_mail(bytes).map_err(|_| {
        UnreadableDocument::new("its structure is not valid, or nested too deeply", "")
    })
}

struct MailText<'a, 'b, 'c> {
    layout: &'a mut Layout<'b, 'c>,
    parts: u32,
    attachments: Vec<String>,
    notes: Vec<String>,
}

// === impl MailText ===

impl MailText<'_, '_, '_> {
    fn mail(&mut self, mail: &ParsedMail, depth: u32) -> Result<(), UnreadableDocument> {
        for field in FIELDS {
            if let Some(value) = mail.headers.get_first_value(field) {
                self.layout.line();
                self.layout.text(&format!("{field}: {value}"))?;
            }
        }
        self.layout.paragraph();
        self.part(mail, depth)
    }

    /// Adds a part; those of a multipart are not deeper than the parser allows.
    fn part(&mut self, part: &ParsedMail, depth: u32) -> Result<(), UnreadableDocument> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            let reason = format!("it has more than {MAX_PARTS} parts");
            return Err(UnreadableDocument::new(reason, ""));
        }
        let kind = kind(part);
        let disposition = part.get_content_disposition();
        let name = disposition
            .params
            .get("filename")
            .or_else(|| part.ctype.params.get("name"));
        let is_attached = disposition.disposition == DispositionType::Attachment;
        match kind {
            "multipart/alternative" => match preferred(&part.subparts) {
                Some(preferred) => self.part(preferred, depth),
                None => Ok(()),
            },
            _ if kind.starts_with("multipart/") && !part.subparts.is_empty() => {
                part.subparts.iter().try_for_each(|it| self.part(it, depth))
            }
            _ if kind.starts_with("text/") && !is_attached => self.text(part),
            "message/rfc822" | "message/global" | "message/news" if depth < DEEPEST => {
                let body = decoded(part)?;
                self.layout.paragraph();
                self.mail(&parsed(&body)?, depth + 1)
            }
            _ => {
                let name = name.map_or(kind, String::as_str);
                self.attachments.push(name.chars().take(100).collect());
                Ok(())
            }
        }
    }

    fn text(&mut self, part: &ParsedMail) -> Result<(), UnreadableDocument> {
        let bytes = decoded(part)?;
        // A charset that is not given is a guess of the parser.
        let charset = part.ctype.params.get("charset");
        let declared = charset.and_then(|it| Encoding::for_label(it.as_bytes()));
        self.layout.paragraph();
        if part.ctype.mimetype == "text/html" {
            let reading = html::read_encoded(&mut &bytes[..], declared, false, self.layout)?;
            self.notes.extend(reading.notes);
            self.layout.paragraph();
            return Ok(());
        }
        let mut decoder = Decoded::new(&bytes[..], declared);
        let text = decoder.read_text()?;
        self.notes.extend(decoder.notes());
        self.layout.preformatted(text.trim_end())?;
        self.layout.paragraph();
        Ok(())
    }
}

/// The type of a part. One that is not a type is plain text, as of mails from before MIME.
fn kind<'a>(part: &'a ParsedMail) -> &'a str {
    let kind = part.ctype.mimetype.as_str();
    if kind.contains('/') {
        kind
    } else {
        "text/plain"
    }
}

/// The plain text of alternatives, or the last one, which is the richest, or any text.
fn preferred<'a, 'm>(parts: &'a [ParsedMail<'m>]) -> Option<&'a ParsedMail<'m>> {
    let is_rich = |it: &&ParsedMail| kind(it) == "text/html" || kind(it).starts_with("multipart/");
    let plain = parts.iter().find(|it| kind(it) == "text/plain");
    plain
        .or_else(|| parts.iter().rev().find(is_rich))
        .or_else(|| parts.iter().find(|it| kind(it).starts_with("text/")))
}

/// The bytes of a part, also if they are not quite as they should be encoded.
fn decoded(part: &ParsedMail) -> io::Result<Vec<u8>> {
    match part.get_body_encoded() {
        Body::Base64(body) => {
            let raw = body.get_raw();
            let mut kept: Vec<u8> = raw
                .iter()
                .copied()
                .filter(|it| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'/' | b'='))
                .collect();
            let end = kept.iter().position(|it| *it == b'=');
            kept.truncate(end.unwrap_or(kept.len()));
            if kept.len() % 4 == 1 {
                kept.pop();
            }
            let decoded = LENIENT.decode(kept);
            decoded.map_err(|_| UnreadableDocument::new("its base64 is not valid", "").into())
        }
        Body::QuotedPrintable(body) => {
            let decoded = body.get_decoded();
            decoded.map_err(|_| {
                UnreadableDocument::new("its quoted-printable is not valid", "").into()
            })
        }
        Body::SevenBit(body) | Body::EightBit(body) => Ok(body.get_raw().to_vec()),
        Body::Binary(body) => Ok(body.get_raw().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::bounds::TextSink;

    fn text_of(mail: &str) -> Result<(String, Vec<String>), String> {
        let mut text = Vec::new();
        let mut sink = TextSink::new(&mut text);
        let reading = read(mail.as_bytes(), &mut Layout::new(&mut sink));
        let reading = reading.map_err(|error| error.to_string())?;
        Ok((String::from_utf8(text).unwrap(), reading.notes))
    }

    #[test]
    fn plain_text_is_preferred_and_attachments_are_named() {
        let (text, notes) = text_of(
            "From: =?utf-8?q?J=C3=BCrgen?= <a@example.com>\nTo: b@example.com\nX-Spam: no\n\
             Subject: Lunch\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\
             Content-Type: multipart/alternative; boundary=y\n\n--y\n\
             Content-Type: text/html\n\n<p>Rich\n--y\nContent-Type: text/plain; charset=latin1\n\
             Content-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe\n--y--\n--x\n\
             Content-Type: application/pdf; name=menu.pdf\n\nx\n--x--\n",
        )
        .unwrap();
        assert_eq!(
            text,
            "From: Jürgen <a@example.com>\nTo: b@example.com\nSubject: Lunch\n\nGrüße\n"
        );
        assert_eq!(notes, ["attachments were left out: menu.pdf"]);
    }

    #[test]
    fn any_text_that_is_not_attached_is_kept() {
        let (text, notes) = text_of(
            "Subject: x\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\
             Content-Type: text\n\nNo type\n--x\nContent-Type: text/x-patch\n\n+a\n--x\n\
             Content-Type: message/news\n\nSubject: y\n\nNews\n--x\n\
             Content-Type: multipart/alternative; boundary=y\n\n--y\n\
             Content-Type: text/calendar\n\nMeeting\n--y--\n--x\n\
             Content-Type: text/csv\nContent-Disposition: attachment; filename=a.csv\n\n1\n\
             --x--\n",
        )
        .unwrap();
        assert_eq!(
            text,
            "Subject: x\n\nNo type\n\n+a\n\nSubject: y\n\nNews\n\nMeeting\n"
        );
        assert_eq!(notes, ["attachments were left out: a.csv"]);
    }

    #[test]
    fn a_mail_in_utf16_is_read() {
        let mail = "From: a@b\nSubject: größer\n\nHello\n";
        let bytes: Vec<u8> = mail.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for mark in [&b""[..], b"\xff\xfe"] {
            let mut text = Vec::new();
            let mut sink = TextSink::new(&mut text);
            read(&[mark, &bytes].concat(), &mut Layout::new(&mut sink)).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), mail);
        }
    }

    #[test]
    fn a_patch_is_a_mail_and_a_mailbox_is_refused() {
        let patch = "From 0123456789 Mon Sep 17 00:00:00 2001\nFrom: a@b\nSubject: x\n\nHello\n";
        assert_eq!(
            text_of(patch).unwrap().0,
            "From: a@b\nSubject: x\n\nHello\n"
        );
        let several = format!("{patch}\n{patch}");
        assert!(text_of(&several).unwrap_err().contains("several mails"));
    }
}
