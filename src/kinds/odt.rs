//! The text of an odt: paragraphs, headings, lists, tables as rows.

use super::{
    bounds::UnreadableDocument,
    layout::Layout,
    members::{Members, notes},
    reading::Reading,
    xml::{self, XmlEvent},
};

/// How many spaces one element may stand for.
const MAX_SPACES: usize = 100;

/// Reads an odt.
///
/// # Errors
/// When it cannot be read.
pub fn read(members: &mut Members, layout: &mut Layout) -> Result<Reading, UnreadableDocument> {
    let (mut images, mut comments) = (0, 0);
    // Text is in paragraphs; what changes and comments have is not of the document.
    let (mut paragraphs, mut tables, mut hidden) = (0_u32, 0_u32, 0_u32);
    let mut is_cell_begun = false;
    members.with("content.xml", |member| {
        xml::read(member, |event| {
            match event {
                XmlEvent::Start(name @ ("tracked-changes" | "annotation"), _) => {
                    comments += u32::from(name == "annotation");
                    hidden += 1;
                }
                XmlEvent::End("tracked-changes" | "annotation") => {
                    hidden = hidden.saturating_sub(1)
                }
                _ if hidden > 0 => {}
                XmlEvent::Start("h", attributes) => {
                    paragraphs += 1;
                    let level = attributes.get("outline-level");
                    let level = level.and_then(|it| it.parse().ok()).unwrap_or(1);
                    layout.mark(&"#".repeat(usize::clamp(level, 1, 6)))?;
                }
                XmlEvent::Start("p", _) => paragraphs += 1,
                XmlEvent::End("p" | "h") => {
                    paragraphs = paragraphs.saturating_sub(1);
                    if tables > 0 {
                        layout.space();
                    } else {
                        layout.paragraph();
                    }
                }
                XmlEvent::Text(text) if paragraphs > 0 => layout.text(text)?,
                XmlEvent::Start("s", attributes) => {
                    let count = attributes.get("c").and_then(|it| it.parse().ok());
                    layout.text(&" ".repeat(count.unwrap_or(1).min(MAX_SPACES)))?;
                }
                XmlEvent::Start("tab", _) => layout.space(),
                XmlEvent::Start("line-break", _) => layout.next_line(),
                XmlEvent::Start("list-item", _) => {
                    layout.line();
                    layout.mark("-")?;
                }
                XmlEvent::Start("table", _) => {
                    tables += 1;
                    layout.paragraph();
                }
                XmlEvent::End("table") => {
                    tables = tables.saturating_sub(1);
                    layout.paragraph();
                }
                XmlEvent::Start("table-row", _) => {
                    layout.line();
                    is_cell_begun = false;
                }
                XmlEvent::Start("table-cell", _) => {
                    if is_cell_begun {
                        layout.text(" | ")?;
                    }
                    is_cell_begun = true;
                }
                XmlEvent::Start("note-body", _) => layout.text(" (")?,
                XmlEvent::End("note-body") => {
                    layout.discard_break();
                    layout.text(")")?;
                }
                XmlEvent::Start("image", _) => images += 1,
                _ => {}
            }
            Ok(())
        })
    })?;
    layout.end()?;
    Ok(Reading {
        kind: "odt".to_owned(),
        notes: notes(images, &[(comments, "comments")]),
        ..Reading::default()
    })
}
