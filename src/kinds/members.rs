//! The members of a zip archive, within bounds.

use super::bounds::{Unpacked, UnreadableDocument};
use std::{
    cell::Cell,
    io::{Cursor, Read},
    rc::Rc,
};
use zip::ZipArchive;

/// Maximum number of members.
const MAX_MEMBERS: usize = 10_000;

/// What would help.
pub const UNPACK: &str = "unpack it with `unzip`";

/// A zip archive.
pub struct Members {
    archive: ZipArchive<Cursor<Vec<u8>>>,
    /// Its size, in bytes.
    size: Rc<Cell<u64>>,
    /// How much of it has been unpacked, in bytes.
    unpacked: u64,
}

// === impl Members ===

impl Members {
    /// Opens an archive.
    ///
    /// # Errors
    /// When it is none, is damaged, or has too many members.
    pub fn new(bytes: Vec<u8>) -> Result<Self, UnreadableDocument> {
        let size = bytes.len() as u64;
        let archive = ZipArchive::new(Cursor::new(bytes));
        let archive =
            archive.map_err(|_| UnreadableDocument::new("it is damaged or truncated", ""))?;
        if archive.len() > MAX_MEMBERS {
            let reason = format!("it has more than {MAX_MEMBERS} members");
            return Err(UnreadableDocument::new(reason, UNPACK));
        }
        Ok(Members {
            archive,
            size: Rc::new(Cell::new(size)),
            unpacked: 0,
        })
    }

    /// Whether there is a member of this name.
    pub fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(name).is_some()
    }

    /// Calls `read` with a member. All that is unpacked counts.
    ///
    /// # Errors
    /// When there is none of this name, or `read` fails.
    pub fn with<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut dyn Read) -> Result<T, UnreadableDocument>,
    ) -> Result<T, UnreadableDocument> {
        let member = self.archive.by_name(name).map_err(|error| match error {
            zip::result::ZipError::FileNotFound => {
                UnreadableDocument::new(format!("it has no {name:?}"), "")
            }
            _ => UnreadableDocument::new("it is damaged, or needs a password", ""),
        })?;
        let unpacked = Unpacked::new(member, Rc::clone(&self.size), UNPACK);
        let mut unpacked = unpacked.after(self.unpacked);
        let read = read(&mut unpacked);
        self.unpacked = unpacked.unpacked();
        read
    }

    /// A small member as text, if there is one.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let read = self.with(name, |member| {
            let mut text = Vec::new();
            member.take(256).read_to_end(&mut text)?;
            Ok(text)
        });
        String::from_utf8(read.ok()?).ok()
    }
}

/// What a document of images and others says of them.
pub fn notes(images: u32, others: &[(u32, &str)]) -> Vec<String> {
    let counts = std::iter::once((images, "images")).chain(others.iter().copied());
    counts
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what} were left out"))
        .collect()
}
