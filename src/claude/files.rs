//! The responses of the Files API.

use super::{
    lenient::{Object, body_text},
    unreadable::Unreadable,
};

/// A file, as the API describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileObject {
    /// Id of the file.
    pub id: String,
    /// Its name.
    pub filename: String,
    /// Its media type.
    pub mime_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// RFC 3339 time of its creation.
    pub created_at: String,
    /// RFC 3339 time at which the API forgets its content; `None` for never.
    pub expires_at: Option<String>,
    /// Whether its content can be read.
    pub is_downloadable: bool,
}

// === impl FileObject ===

impl FileObject {
    /// Reads a response body.
    ///
    /// # Errors
    /// When the body is not a JSON object with the id of a file.
    pub fn read(body: &[u8]) -> Result<FileObject, Unreadable> {
        let body = body_text(body);
        let object =
            Object::read(&body).map_err(|error| Unreadable::not_an_object("the body", &error))?;
        let text = |name| object.text(name).unwrap_or_default();
        let id = object.text("id").filter(|id| !id.is_empty());
        Ok(FileObject {
            id: id.ok_or_else(|| Unreadable::at("id", "is missing"))?,
            filename: text("filename"),
            mime_type: text("mime_type"),
            size: object.count("size_bytes").unwrap_or(0),
            created_at: text("created_at"),
            expires_at: object.text("expires_at"),
            is_downloadable: object.is_true("downloadable"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whatever_is_added_to_it() {
        let body = br#"{"id":"file_1","filename":"a","size_bytes":3,"new":{},"expires_at":null}"#;
        let file = FileObject::read(body).unwrap();
        assert_eq!((file.size, file.expires_at.as_deref()), (3, None));
        assert!(!file.is_downloadable && file.mime_type.is_empty());
        for not_a_file in ["{}", "[]", "", r#"{"id":""}"#] {
            assert!(
                FileObject::read(not_a_file.as_bytes()).is_err(),
                "{not_a_file}"
            );
        }
    }
}
