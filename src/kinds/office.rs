//! Documents that are zip archives: which one it is.

use super::{
    bounds::UnreadableDocument,
    docx, epub,
    layout::Layout,
    members::{Members, UNPACK},
    odt,
    reading::Reading,
};

/// Reads a document.
///
/// # Errors
/// When it is none, is damaged, or exceeds a bound.
pub fn read(bytes: Vec<u8>, layout: &mut Layout) -> Result<Reading, UnreadableDocument> {
    let mut members = Members::new(bytes)?;
    let kind = members.text("mimetype").unwrap_or_default();
    let kind = kind.trim();
    if let Some(main) = docx::main_part(&mut members) {
        return docx::read(&mut members, &main, layout).map_err(|error| error.of("docx"));
    }
    if kind.starts_with("application/vnd.oasis.opendocument.text") {
        return odt::read(&mut members, layout).map_err(|error| error.of("odt"));
    }
    if kind.starts_with("application/epub+zip") || members.has("META-INF/container.xml") {
        return epub::read(&mut members, layout).map_err(|error| error.of("epub"));
    }
    let (what, advice) = if members.has("xl/workbook.xml") || kind.contains("spreadsheet") {
        ("a spreadsheet", "export it as CSV")
    } else if members.has("ppt/presentation.xml") || kind.contains("opendocument") {
        ("a presentation or drawing", "export it as PDF")
    } else {
        ("an archive", UNPACK)
    };
    Err(UnreadableDocument::new(format!("it is {what}"), advice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::bounds::TextSink;
    use std::io::{Cursor, Write};
    use zip::{ZipWriter, write::SimpleFileOptions};

    fn text_of(members: &[(&str, &str)]) -> Result<(String, Reading), String> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in members {
            writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        let bytes = writer.finish().unwrap().into_inner();
        let mut text = Vec::new();
        let mut sink = TextSink::new(&mut text);
        let reading = read(bytes, &mut Layout::new(&mut sink));
        let reading = reading.map_err(|error| error.to_string())?;
        Ok((String::from_utf8(text).unwrap(), reading))
    }

    #[test]
    fn a_docx_is_read() {
        let document = r#"<w:document xmlns:w="w"><w:body>
            <w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Title</w:t></w:r></w:p>
            <w:p><w:r><w:t xml:space="preserve">One </w:t></w:r><w:r><w:t>&amp; two</w:t></w:r>
            <w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>
            <w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>Point</w:t><w:drawing/></w:r></w:p>
            <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc>
            <w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
            </w:body></w:document>"#;
        let (text, reading) = text_of(&[("word/document.xml", document)]).unwrap();
        assert_eq!(text, "# Title\n\nOne & two\n\n- Point\n\na | b\n");
        assert_eq!(reading.kind, "docx");
        assert_eq!(reading.notes, ["1 images were left out"]);
    }

    #[test]
    fn a_docx_has_its_text_where_its_relations_say() {
        let relations = |kind, target| {
            format!(
                "<Relationships><Relationship Type='a/{kind}' Target='{target}'/></Relationships>"
            )
        };
        let part = |text| format!("<w:p xmlns:w='w'><w:r><w:t>{text}</w:t></w:r></w:p>");
        let (text, reading) = text_of(&[
            (
                "_rels/.rels",
                &*relations("officeDocument", "/word/document2.xml"),
            ),
            ("word/document2.xml", &*part("Text")),
            (
                "word/_rels/document2.xml.rels",
                &*relations("footnotes", "footnotes2.xml"),
            ),
            ("word/footnotes2.xml", &*part("Note")),
            ("word/endnotes.xml", &*part("End")),
        ])
        .unwrap();
        assert_eq!(text, "Text\n\nNote\n\nEnd\n");
        assert_eq!(reading.kind, "docx");
        let other = relations("officeDocument", "ppt/presentation.xml");
        let error = text_of(&[("_rels/.rels", &*other), ("ppt/presentation.xml", "<x/>")]);
        assert!(error.unwrap_err().contains("a presentation"));
    }

    #[test]
    fn an_odt_is_read() {
        let content = r#"<o xmlns:text="t" xmlns:table="b"><text:h text:outline-level="2">Title</text:h>
            <text:p>One<text:s text:c="2"/>two<text:note><text:note-body><text:p>a note</text:p>
            </text:note-body></text:note></text:p><text:list><text:list-item><text:p>Point</text:p>
            </text:list-item></text:list></o>"#;
        let kind = "application/vnd.oasis.opendocument.text";
        let (text, _) = text_of(&[("mimetype", kind), ("content.xml", content)]).unwrap();
        assert_eq!(text, "## Title\n\nOne two (a note)\n\n- Point\n");
    }

    #[test]
    fn other_archives_are_named() {
        let error = text_of(&[("xl/workbook.xml", "<x/>")]).unwrap_err();
        assert!(error.contains("a spreadsheet; export it as CSV"), "{error}");
        let error = text_of(&[("a.txt", "a")]).unwrap_err();
        assert!(error.contains("an archive; unpack it"), "{error}");
    }
}
