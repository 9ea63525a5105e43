//! A file that exists from the start.

use super::{file::StoredFile, store::FileStore};
use bytes::Bytes;
use serde::Deserialize;
use std::time::SystemTime;

/// A file that belongs to all keys, and stays when it is deleted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::simulator) struct FileFixture {
    pub(in crate::simulator) id: String,
    filename: String,
    mime_type: String,
    content: String,
    /// Whether a tool is said to have generated it.
    #[serde(default)]
    downloadable: bool,
}

impl FileFixture {
    /// Keeps the file.
    pub(in crate::simulator) fn install(self, store: &mut FileStore) {
        store.fixed.push(StoredFile {
            id: self.id,
            key: String::new(),
            filename: self.filename,
            mime_type: self.mime_type,
            created_at: SystemTime::now(),
            expires_at: None,
            size: self.content.len(),
            content: Some(Bytes::from(self.content)),
            downloadable: self.downloadable,
        });
    }
}
