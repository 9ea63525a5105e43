//! A PDF of a request, as the API takes it.

use crate::{
    claude::{MAX_BODY_BYTES, request::DocumentSource},
    status::{Path, Violations},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

/// How a PDF begins.
const HEADER: &[u8] = b"%PDF-";

/// Maximum size of a PDF, in bytes: Base64 makes it the largest request that the API accepts.
pub const MAX_PDF: usize = MAX_BODY_BYTES / 4 * 3;

/// The source of a document block; `None` after a violation.
pub fn source(bytes: &[u8], path: Path<'_>, wrong: &mut Violations) -> Option<DocumentSource> {
    if !bytes.starts_with(HEADER) {
        wrong.add(path, "must be a PDF file, beginning with %PDF-");
        return None;
    }
    Some(DocumentSource::Base64 {
        media_type: "application/pdf".to_owned(),
        data: BASE64.encode(bytes),
    })
}
