//! The text of a docx: paragraphs, headings, lists, tables as rows, and notes at the end.

use super::{
    bounds::UnreadableDocument,
    layout::Layout,
    members::{Members, notes},
    reading::Reading,
    xml::{self, XmlEvent},
};

/// What follows the text.
const NOTES: [&str; 2] = ["word/footnotes.xml", "word/endnotes.xml"];

/// Reads a docx.
///
/// # Errors
/// When it cannot be read.
pub fn read(members: &mut Members, layout: &mut Layout) -> Result<Reading, UnreadableDocument> {
    let mut images = part(members, "word/document.xml", layout)?;
    for name in NOTES {
        if members.has(name) {
            layout.paragraph();
            images += part(members, name, layout)?;
        }
    }
    layout.end()?;
    Ok(Reading {
        kind: "docx".to_owned(),
        notes: notes(images, &[]),
        ..Reading::default()
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
