//! Documents that were made to break what reads them.

use crate::{
    archives::{docx, epub, gz, overlapping, zip},
    pdfs,
};
use std::fs;

const MIB: usize = 1 << 20;

/// What becomes of a hostile document.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// It is refused, and the reason has this in it.
    Refused(&'static str),
    /// It is refused, or its text has nothing of a bomb.
    Harmless,
    /// Its text has this in it.
    Text(&'static str),
}

pub struct Hostile {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub expected: Expected,
}

/// All of them.
pub fn documents() -> Vec<Hostile> {
    use Expected::{Harmless, Refused, Text};
    let document = |(name, bytes, expected)| Hostile {
        name,
        bytes,
        expected,
    };
    let nested_mail: String = (0..1000)
        .map(|it| format!("Content-Type: multipart/mixed; boundary=b{it}\n\n--b{it}\n"))
        .collect();
    let mail = "From: a@example.com\nTo: b@example.com\nMIME-Version: 1.0\n";
    let rebuilt = |page: Vec<u8>| page[..page.len() / 2].to_vec();
    let surrogates: Vec<u16> = "This text has one "
        .encode_utf16()
        .chain([0xd800, 0xdc00, 0xdc00])
        .chain(" lone surrogate or two in it".encode_utf16())
        .collect();
    let surrogates: Vec<u8> = surrogates.iter().flat_map(|it| it.to_le_bytes()).collect();
    let mut nested = b"Inside".to_vec();
    for _ in 0..10 {
        nested = gz(&nested);
    }
    let predictor = "/Filter /FlateDecode /DecodeParms <</Predictor 12 /Columns 2147483647 /Colors 32 /BitsPerComponent 16>>";
    let program = fs::read(env!("CARGO_BIN_EXE_claude-grpc")).unwrap();
    let laughs: String = ('b'..='j')
        .map(|it| {
            let before = char::from(it as u8 - 1);
            format!("<!ENTITY {it} \"{}\">", format!("&{before};").repeat(10))
        })
        .collect();
    let prologue = format!("<!DOCTYPE x [<!ENTITY a \"lol\">{laughs}]>");
    let text_of_docx = "<w:p><w:r><w:t>fine &j; &#65;</w:t></w:r></w:p>";
    let names: Vec<_> = (0..100_000).map(|it| format!("{it}")).collect();
    let many: Vec<_> = names.iter().map(|it| (it.as_str(), &b""[..])).collect();
    let member = gz(&b"a".repeat(10 * MIB));
    let frame = zstd::encode_all(&b"a".repeat(10 * MIB)[..], 3).unwrap();
    [
        // 10 MB that unpack to 10 GB.
        (
            "bomb.txt.gz",
            member.repeat(10 * MIB / member.len()),
            Refused("200 times its size"),
        ),
        (
            "bomb.txt.zst",
            frame.repeat(1000),
            Refused("200 times its size"),
        ),
        (
            "nested.txt.gz",
            nested,
            Refused("compressed more than 3 times"),
        ),
        (
            "bomb.docx",
            docx("", &"<w:p/>".repeat(4 * MIB)),
            Refused("200 times its size"),
        ),
        ("overlapping.docx", overlapping(5000), Harmless),
        ("members.zip", zip(&many), Refused("10000 members")),
        ("laughs.docx", docx(&prologue, text_of_docx), Text("fine A")),
        (
            "deep.docx",
            docx("", &"<w:p>".repeat(MIB)),
            Refused("nested too deeply"),
        ),
        (
            "deep.html",
            ["<html>", &"<div>".repeat(100_000), "deep"]
                .concat()
                .into_bytes(),
            Text("deep"),
        ),
        (
            "truncated.pdf",
            rebuilt(pdfs::text("Hello")),
            Refused("pdftotext"),
        ),
        (
            "pages.pdf",
            pdfs::page_tree_loop(),
            Refused("failed to read it as PDF"),
        ),
        (
            "references.pdf",
            pdfs::reference_loop(),
            Refused("failed to read it as PDF"),
        ),
        (
            "arrays.pdf",
            pdfs::nested_arrays(),
            Refused("failed to read it as PDF"),
        ),
        (
            "form.pdf",
            pdfs::form_loop(),
            Refused("failed to read it as PDF"),
        ),
        (
            "predictor.pdf",
            pdfs::page(predictor, &pdfs::deflated(1)),
            Harmless,
        ),
        (
            "stream.pdf",
            pdfs::page("/Filter /FlateDecode", &pdfs::deflated(2000)),
            Refused("failed to read it as PDF"),
        ),
        (
            "nested.eml",
            (mail.to_owned() + &nested_mail).into_bytes(),
            Harmless,
        ),
        (
            "base64.eml",
            format!("{mail}Content-Transfer-Encoding: base64\n\nSGVsbG8gd29ybGQ*!=!\n%%%\n")
                .into_bytes(),
            Text("Hello world"),
        ),
        ("surrogates.txt", surrogates, Text("lone surrogate or two")),
        (
            "program.txt",
            program[..MIB].to_vec(),
            Refused("it is a program"),
        ),
        ("zeros.txt", vec![0; MIB], Refused("it is binary")),
        ("noise.md", noise(), Refused("it is binary")),
        (
            "recursive.1",
            b".TH A 1\n.so man1/a.1\n.de A\n.B x\n.A\n..\n.SH NAME\na\n.A\n".to_vec(),
            Refused("without end"),
        ),
        (
            "secret.1",
            b".TH A 1\n.SH NAME\na \\- b\n.so /etc/passwd\n".to_vec(),
            Text("a - b"),
        ),
        (
            "traversal.epub",
            epub(&[
                ("../../../etc/passwd", "outside"),
                ("c.xhtml", "<html><p>Inside</p></html>"),
            ]),
            Text("Inside"),
        ),
    ]
    .into_iter()
    .map(document)
    .collect()
}

/// Bytes without a pattern.
fn noise() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..MIB).map(|_| next()).collect()
}
