//! The text of an epub: its chapters in the order of its spine, each a page of XHTML.
//!
//! Names of members are only looked up in the archive: one that leads out of it is not found.

use super::{
    bounds::UnreadableDocument,
    html,
    layout::Layout,
    members::{Members, notes},
    reading::Reading,
    xml::{self, XmlEvent},
};
use percent_encoding::percent_decode_str;
use std::collections::HashMap;

/// Reads an epub.
///
/// # Errors
/// When it cannot be read.
pub fn read(members: &mut Members, layout: &mut Layout) -> Result<Reading, UnreadableDocument> {
    let package = package(members)?;
    let folder = package.rsplit_once('/').map_or("", |(folder, _)| folder);
    let chapters = chapters(members, &package)?;
    let mut missing = 0;
    let mut images = 0;
    for chapter in chapters {
        let name = resolved(folder, &chapter);
        if !members.has(&name) {
            missing += 1;
            continue;
        }
        let reading = members.with(&name, |member| {
            html::read_encoded(member, None, true, layout)
        })?;
        images += reading
            .notes
            .iter()
            .filter_map(|note| {
                note.strip_suffix(" images were left out")?
                    .parse::<u32>()
                    .ok()
            })
            .sum::<u32>();
    }
    Ok(Reading {
        kind: "epub".to_owned(),
        notes: notes(images, &[(missing, "chapters that are not in the file")]),
        ..Reading::default()
    })
}

/// The name of the package document, which names the chapters.
fn package(members: &mut Members) -> Result<String, UnreadableDocument> {
    let mut package = None;
    members.with("META-INF/container.xml", |member| {
        xml::read(member, |event| {
            if let XmlEvent::Start("rootfile", attributes) = event {
                package = package.take().or_else(|| attributes.get("full-path"));
            }
            Ok(())
        })
    })?;
    package.ok_or_else(|| UnreadableDocument::new("it names no package", ""))
}

/// The chapters, by their names relative to the package.
fn chapters(members: &mut Members, package: &str) -> Result<Vec<String>, UnreadableDocument> {
    let mut names = HashMap::new();
    let mut spine = Vec::new();
    members.with(package, |member| {
        xml::read(member, |event| {
            match event {
                XmlEvent::Start("item", attributes) => {
                    if let (Some(id), Some(name)) = (attributes.get("id"), attributes.get("href")) {
                        names.insert(id, name);
                    }
                }
                XmlEvent::Start("itemref", attributes) => spine.extend(attributes.get("idref")),
                _ => {}
            }
            Ok(())
        })
    })?;
    Ok(spine.iter().filter_map(|id| names.remove(id)).collect())
}

/// A name relative to a folder of the archive.
fn resolved(folder: &str, name: &str) -> String {
    let name = percent_decode_str(name).decode_utf8_lossy();
    let mut parts: Vec<&str> = folder.split('/').filter(|it| !it.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}
