//! Archives that are made for tests.

use flate2::{Compression, write::GzEncoder};
use std::io::{Cursor, Write};
use zip::{ZipWriter, write::SimpleFileOptions};

/// The beginning of the part of a docx that has the text.
const DOCUMENT: &str = r#"<w:document xmlns:w="w"><w:body>"#;

pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A docx with this XML as its body.
pub fn docx(prologue: &str, body: &str) -> Vec<u8> {
    let document = format!("{prologue}{DOCUMENT}{body}</w:body></w:document>");
    zip(&[("word/document.xml", document.as_bytes())])
}

/// An epub whose chapters have these names and texts.
pub fn epub(chapters: &[(&str, &str)]) -> Vec<u8> {
    let container =
        r#"<container><rootfiles><rootfile full-path="a/b.opf"/></rootfiles></container>"#;
    let item = |(number, (name, _)): (usize, &(&str, &str))| {
        format!(r#"<item id="{number}" href="{name}"/>"#)
    };
    let items: String = chapters.iter().enumerate().map(item).collect();
    let spine: String = (0..chapters.len())
        .map(|it| format!(r#"<itemref idref="{it}"/>"#))
        .collect();
    let package = format!("<package><manifest>{items}</manifest><spine>{spine}</spine></package>");
    let names: Vec<_> = chapters
        .iter()
        .map(|(name, _)| format!("a/{name}"))
        .collect();
    let mut members = vec![
        ("mimetype", &b"application/epub+zip"[..]),
        ("META-INF/container.xml", container.as_bytes()),
        ("a/b.opf", package.as_bytes()),
    ];
    let texts = names.iter().zip(chapters);
    members.extend(texts.map(|(name, (_, text))| (name.as_str(), text.as_bytes())));
    zip(&members)
}

/// An archive whose directory names one member many times.
pub fn overlapping(members: u16) -> Vec<u8> {
    let single = docx(
        "",
        &format!(
            "<w:p><w:r><w:t>{}</w:t></w:r></w:p>",
            "Text. ".repeat(150_000)
        ),
    );
    let end = single.len() - 22;
    let start = u32::from_le_bytes(single[end + 16..end + 20].try_into().unwrap()) as usize;
    let (before, entry) = (&single[..start], &single[start..end]);
    let directory = entry.repeat(usize::from(members));
    let mut tail = single[end..].to_vec();
    tail[8..10].copy_from_slice(&members.to_le_bytes());
    tail[10..12].copy_from_slice(&members.to_le_bytes());
    tail[12..16].copy_from_slice(&(directory.len() as u32).to_le_bytes());
    [before, &directory, &tail].concat()
}
