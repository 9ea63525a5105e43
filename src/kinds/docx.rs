//! The text of a docx: paragraphs, headings, lists, tables as rows, and notes at the end.

use super::{
    bounds::UnreadableDocument,
    layout::Layout,
    members::{Members, notes},
    reading::Reading,
    xml::{self, XmlEvent},
};

/// The parts that follow the text, by their types.
const NOTES: [&str; 2] = ["footnotes", "endnotes"];

/// Where the parts of a docx are.
const FOLDER: &str = "word";

/// The part that has the text, if the archive is a docx. Its name is that of Word, or any
/// other, such as `word/document2.xml`.
pub fn main_part(members: &mut Members) -> Option<String> {
    let usual = format!("{FOLDER}/document.xml");
    if members.has(&usual) {
        return Some(usual);
    }
    let named = related(members, "_rels/.rels", "", "officeDocument")?;
    let is_word = named.starts_with(&format!("{FOLDER}/"));
    (is_word && members.has(&named)).then_some(named)
}

/// Reads a docx whose text is in this part.
///
/// # Errors
/// When it cannot be read.
pub fn read(
    members: &mut Members,
    main: &str,
    layout: &mut Layout,
) -> Result<Reading, UnreadableDocument> {
    let mut images = part(members, main, layout)?;
    let (folder, file) = main.rsplit_once('/').unwrap_or(("", main));
    let relations = format!("{folder}/_rels/{file}.rels");
    for kind in NOTES {
        let name = related(members, &relations, folder, kind);
        let name = name.unwrap_or_else(|| format!("{folder}/{kind}.xml"));
        if members.has(&name) {
            layout.paragraph();
            images += part(members, &name, layout)?;
        }
    }
    layout.end()?;
    Ok(Reading {
        kind: "docx".to_owned(),
        notes: notes(images, &[]),
        ..Reading::default()
    })
}

/// The part of a type that relations name, relative to a folder of the archive.
fn related(members: &mut Members, relations: &str, folder: &str, kind: &str) -> Option<String> {
    let mut name = None;
    let read = members.with(relations, |member| {
        xml::read(member, |event| {
            if let XmlEvent::Start("Relationship", attributes) = event
                && let Some(of) = attributes.get("Type")
                && of.rsplit('/').next() == Some(kind)
            {
                name = name.take().or_else(|| attributes.get("Target"));
            }
            Ok(())
        })
    });
    read.ok()?;
    let name = name?;
    Some(match name.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None if folder.is_empty() => name,
        None => format!("{folder}/{name}"),
    })
}

/// Reads a part, and returns its number of images.
fn part(members: &mut Members, name: &str, layout: &mut Layout) -> Result<u32, UnreadableDocument> {
    let mut is_text = false;
    let mut is_cell_begun = false;
    let mut tables = 0_u32;
    let mut images = 0;
    // What applications cannot show has an older form next to it.
    let mut fallbacks = 0_u32;
    members.with(name, |member| {
        xml::read(member, |event| {
            match event {
                XmlEvent::Start("Fallback", _) => fallbacks += 1,
                XmlEvent::End("Fallback") => fallbacks = fallbacks.saturating_sub(1),
                _ if fallbacks > 0 => {}
                XmlEvent::Start("t", _) => is_text = true,
                XmlEvent::End("t") => is_text = false,
                XmlEvent::Text(text) if is_text => {
                    layout.text(text)?;
                }
                XmlEvent::Start("tab", _) => layout.space(),
                XmlEvent::Start("noBreakHyphen", _) => layout.text("-")?,
                XmlEvent::Start("br" | "cr", _) => layout.next_line(),
                XmlEvent::End("p") if tables > 0 => layout.space(),
                XmlEvent::End("p") => layout.paragraph(),
                XmlEvent::Start("pStyle", attributes) if tables == 0 => {
                    let style = attributes.get("val").unwrap_or_default();
                    if let Some(level) = heading(&style) {
                        layout.mark(&"#".repeat(level))?;
                    }
                }
                XmlEvent::Start("numPr", _) if tables == 0 && layout.is_at_start() => {
                    layout.mark("-")?
                }
                XmlEvent::Start("tbl", _) => {
                    tables += 1;
                    layout.paragraph();
                }
                XmlEvent::End("tbl") => {
                    tables = tables.saturating_sub(1);
                    layout.paragraph();
                }
                XmlEvent::Start("tr", _) => {
                    layout.line();
                    is_cell_begun = false;
                }
                XmlEvent::Start("tc", _) => {
                    if is_cell_begun {
                        layout.text(" | ")?;
                    }
                    is_cell_begun = true;
                }
                XmlEvent::Start("drawing" | "pict", _) => images += 1,
                _ => {}
            }
            Ok(())
        })
    })?;
    Ok(images)
}

/// The level of a heading, by the id of its style.
fn heading(style: &str) -> Option<usize> {
    let level = style
        .strip_prefix("Heading")
        .or_else(|| style.strip_prefix("heading"))?;
    let level = level.trim().parse().ok()?;
    (1..=6).contains(&level).then_some(level)
}
