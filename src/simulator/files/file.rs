//! One file, and how the API describes it.

use bytes::Bytes;
use serde::Serialize;
use std::time::SystemTime;

/// A file that is kept.
#[derive(Debug, Clone)]
pub(in crate::simulator) struct StoredFile {
    pub(super) id: String,
    /// The API key that uploaded it.
    pub(super) key: String,
    pub(super) filename: String,
    pub(super) mime_type: String,
    pub(super) created_at: SystemTime,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) size: usize,
    /// `None` once it has expired.
    pub(super) content: Option<Bytes>,
    /// Whether a tool is said to have generated it.
    pub(super) downloadable: bool,
}

/// Why a call of a file is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileRefusal {
    /// The key has no file of this id.
    Unknown,
    /// Its content is gone.
    Expired,
    /// It was uploaded, not generated.
    NotDownloadable,
    /// All files together would exceed their maximum size.
    QuotaExceeded,
}

impl StoredFile {
    /// Drops the content of a file that has expired.
    pub(super) fn expire(&mut self, now: SystemTime) {
        if self.expires_at.is_some_and(|at| at <= now) {
            self.content = None;
        }
    }

    /// The content, as it is downloaded.
    ///
    /// # Errors
    /// When the file has expired or cannot be downloaded.
    pub(super) fn downloaded(&self) -> Result<Bytes, FileRefusal> {
        let content = self.content.clone().ok_or(FileRefusal::Expired)?;
        if !self.downloadable {
            return Err(FileRefusal::NotDownloadable);
        }
        Ok(content)
    }

    /// The object of the API.
    pub(super) fn described(&self) -> DescribedFile<'_> {
        let rfc3339 = |time| humantime::format_rfc3339_micros(time).to_string();
        DescribedFile {
            id: &self.id,
            kind: "file",
            filename: &self.filename,
            mime_type: &self.mime_type,
            size_bytes: self.size,
            created_at: rfc3339(self.created_at),
            expires_at: self.expires_at.map(rfc3339),
            downloadable: self.downloadable,
        }
    }
}

/// The object of the API.
#[derive(Debug, Serialize)]
pub(super) struct DescribedFile<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    filename: &'a str,
    mime_type: &'a str,
    size_bytes: usize,
    created_at: String,
    expires_at: Option<String>,
    downloadable: bool,
}
