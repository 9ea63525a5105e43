//! What is kept of something at the API that belongs to a tenant.

use crate::upstream::{ApiHeaders, Fingerprint, OwnedKind};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// After this time, a file that has ended and cannot be deleted at the API is left there.
const GIVE_UP: Duration = Duration::from_secs(24 * 60 * 60);

/// Something at the API, and whom it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// Its id at the API.
    pub id: String,
    /// What it is.
    pub kind: OwnedKind,
    /// The tenant that it belongs to; empty without access control.
    pub tenant: String,
    /// The host that has it.
    pub host: String,
    /// An API key of the workspace that has it, if it is known.
    pub key: Option<Fingerprint>,
    /// The headers that it was made with.
    pub headers: Option<ApiHeaders>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// When it ends, in seconds since 1970.
    pub expires: u64,
    /// What is known of a file.
    pub file: Option<FileFacts>,
}

/// What is known of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// Its name.
    pub filename: String,
    /// Its media type.
    pub mime_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether its content can be read.
    pub is_downloadable: bool,
    /// Whether the tenant has uploaded it.
    pub is_upload: bool,
}

// === impl Owned ===

impl Owned {
    /// Where it stands in a list: by its time, and by its id among equals.
    pub fn position(&self) -> (u64, &str) {
        (self.created, &self.id)
    }

    /// When it is given up to delete a file at the API, in seconds since 1970.
    pub fn given_up(&self) -> u64 {
        self.expires.saturating_add(GIVE_UP.as_secs())
    }

    /// The size of a file that was uploaded.
    pub fn uploaded_bytes(&self) -> Option<u64> {
        let file = self.file.as_ref()?;
        file.is_upload.then_some(file.size)
    }
}

#[cfg(test)]
impl Owned {
    /// Something of a tenant that ends at second 1,000.
    pub fn for_tests(id: &str, kind: OwnedKind) -> Self {
        Owned {
            id: id.to_owned(),
            kind,
            tenant: "tenant".to_owned(),
            host: "claude".to_owned(),
            key: None,
            headers: None,
            created: 0,
            expires: 1000,
            file: None,
        }
    }
}
