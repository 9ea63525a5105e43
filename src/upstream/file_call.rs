//! What can be asked of the Files API, and how it is addressed.

use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use http::{HeaderValue, Method};
use reqwest::Url;

/// A call of the Files API.
#[derive(Debug, Clone)]
pub enum FileCall {
    /// Uploads a file.
    Upload(UploadBody),
    /// Reads what is known of a file.
    Get(String),
    /// Deletes a file.
    Delete(String),
    /// Reads the content of a file.
    Content(String),
}

/// A file to be uploaded.
#[derive(Debug, Clone, Copy)]
pub struct FileUpload<'a> {
    /// Its name, without quotation marks and control characters.
    pub filename: &'a str,
    /// Its media type, if it is known: printable ASCII.
    pub mime_type: Option<&'a str>,
    /// After how many seconds the API forgets it.
    pub expires_in: u64,
}

/// The body of an upload: `multipart/form-data`.
#[derive(Debug, Clone)]
pub struct UploadBody {
    /// The body.
    pub bytes: Bytes,
    /// Its content type, which has its boundary.
    pub content_type: HeaderValue,
}

// === impl FileCall ===

impl FileCall {
    /// The request line, for the address of all files.
    pub(super) fn line(&self, files: &Url) -> (Method, Url) {
        let mut url = files.clone();
        let mut at = |segments: &[&str]| {
            // Ids are escaped.
            if let Ok(mut path) = url.path_segments_mut() {
                path.extend(segments);
            }
        };
        let method = match self {
            FileCall::Upload(_) => Method::POST,
            FileCall::Get(id) => {
                at(&[id]);
                Method::GET
            }
            FileCall::Delete(id) => {
                at(&[id]);
                Method::DELETE
            }
            FileCall::Content(id) => {
                at(&[id, "content"]);
                Method::GET
            }
        };
        (method, url)
    }
}

// === impl UploadBody ===

impl UploadBody {
    /// The body that uploads a file.
    pub fn new(upload: FileUpload<'_>, content: &[u8]) -> Self {
        // Random, so that no content has it.
        let boundary = HEXLOWER.encode(&rand::random::<[u8; 16]>());
        let FileUpload {
            filename,
            mime_type,
            expires_in,
        } = upload;
        let mut head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"expires_in_seconds\"\r\n\r\n{expires_in}\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n"
        );
        if let Some(mime_type) = mime_type {
            head.push_str(&format!("Content-Type: {mime_type}\r\n"));
        }
        head.push_str("\r\n");
        let tail = format!("\r\n--{boundary}--\r\n");
        let mut bytes = BytesMut::with_capacity(head.len() + content.len() + tail.len());
        for part in [head.as_bytes(), content, tail.as_bytes()] {
            bytes.extend_from_slice(part);
        }
        let content_type = format!("multipart/form-data; boundary={boundary}");
        UploadBody {
            bytes: bytes.freeze(),
            content_type: HeaderValue::try_from(content_type).expect("a boundary is hexadecimal"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_within_its_segment_of_the_path() {
        let files = Url::parse("https://api/v1/files").unwrap();
        let path = |of: FileCall| {
            let (method, url) = of.line(&files);
            format!("{method} {}", url.path())
        };
        assert_eq!(
            path(FileCall::Content("a/../b?c".to_owned())),
            "GET /v1/files/a%2F..%2Fb%3Fc/content"
        );
        assert_eq!(path(FileCall::Delete("a".to_owned())), "DELETE /v1/files/a");
    }
}
