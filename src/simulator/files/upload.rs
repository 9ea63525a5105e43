//! The body of an upload: a form whose part `file` is the file.

use super::{
    super::error::{ApiError, require},
    file::StoredFile,
};
use bytes::Bytes;
use futures::stream;
use http::{header, request::Parts};
use multer::{Field, Multipart};
use std::{
    convert::Infallible,
    ops::RangeInclusive,
    time::{Duration, SystemTime},
};

/// Maximum number of characters of a name.
const MAX_NAME: usize = 255;

/// From an hour to ninety days.
const EXPIRES_IN: RangeInclusive<u64> = 3600..=7_776_000;

/// Types of files by the ends of their names.
const TYPES: [(&str, &str); 10] = [
    ("csv", "text/csv"),
    ("gif", "image/gif"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("md", "text/markdown"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("txt", "text/plain"),
    ("webp", "image/webp"),
    ("xml", "application/xml"),
];

/// A file that is uploaded.
pub(super) struct Upload {
    part: FilePart,
    expires_in: Option<Duration>,
}

struct FilePart {
    filename: String,
    mime_type: String,
    content: Bytes,
}

impl Upload {
    /// The file that is kept.
    pub(super) fn file(self, id: String, key: &str, now: SystemTime) -> StoredFile {
        StoredFile {
            id,
            key: key.to_owned(),
            filename: self.part.filename,
            mime_type: self.part.mime_type,
            created_at: now,
            expires_at: self.expires_in.map(|time| now + time),
            size: self.part.content.len(),
            content: Some(self.part.content),
            downloadable: false,
        }
    }
}

/// Reads the body of an upload.
///
/// # Errors
/// 413 for a file that is too large, 400 for the rest.
pub(super) async fn read(parts: &Parts, body: Bytes, max_bytes: usize) -> Result<Upload, ApiError> {
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(|error| {
        ApiError::invalid(format!(
            "content-type: must be multipart/form-data: {error}"
        ))
    })?;
    let body = stream::iter([Ok::<_, Infallible>(body)]);
    let mut form = Multipart::new(body, boundary);
    let (mut file, mut expires_in) = (None, None);
    while let Some(part) = form.next_field().await.map_err(|error| broken(&error))? {
        match part.name().unwrap_or_default() {
            "file" if file.is_none() => file = Some(read_file(part, max_bytes).await?),
            "expires_in_seconds" if expires_in.is_none() => {
                let value = part.bytes().await.map_err(|error| broken(&error))?;
                expires_in = Some(seconds(&value)?);
            }
            name => {
                let message = format!("{name}: Extra inputs are not permitted");
                return Err(ApiError::invalid(message));
            }
        }
    }
    Ok(Upload {
        part: file.ok_or_else(|| ApiError::invalid("file: Field required"))?,
        expires_in,
    })
}

async fn read_file(part: Field<'_>, max_bytes: usize) -> Result<FilePart, ApiError> {
    let named = last_component(part.file_name().unwrap_or_default()).to_owned();
    let mime_type = match part.content_type() {
        Some(mime_type) => mime_type.essence_str().to_owned(),
        None => type_of(&named).to_owned(),
    };
    let filename = if named.is_empty() {
        unnamed(&mime_type)
    } else {
        named
    };
    check_name(&filename)?;
    let content = part.bytes().await.map_err(|error| broken(&error))?;
    if content.len() > max_bytes {
        let message = format!("file: exceeds the maximum size of {max_bytes} bytes");
        return Err(ApiError::new(413, message));
    }
    Ok(FilePart {
        filename,
        mime_type,
        content,
    })
}

fn broken(error: &multer::Error) -> ApiError {
    ApiError::invalid(format!("The form is not valid: {error}"))
}

fn seconds(value: &[u8]) -> Result<Duration, ApiError> {
    let seconds = std::str::from_utf8(value)
        .ok()
        .and_then(|it| it.parse().ok());
    let seconds = seconds.filter(|seconds| EXPIRES_IN.contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        ApiError::invalid(format!(
            "expires_in_seconds: must be a number from {} to {}",
            EXPIRES_IN.start(),
            EXPIRES_IN.end()
        ))
    })
}

fn last_component(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or_default()
}

fn type_of(name: &str) -> &'static str {
    let end = name
        .rsplit_once('.')
        .map(|(_, end)| end.to_ascii_lowercase());
    let known = TYPES
        .iter()
        .find(|(known, _)| end.as_deref() == Some(*known));
    known.map_or("application/octet-stream", |(_, mime_type)| mime_type)
}

fn unnamed(mime_type: &str) -> String {
    match TYPES.iter().find(|(_, known)| *known == mime_type) {
        Some((end, _)) => format!("unnamed.{end}"),
        None => "unnamed".to_owned(),
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let is_forbidden = |c: char| c < ' ' || "<>:\"|?*".contains(c);
    require(name.chars().count() <= MAX_NAME, || {
        format!("filename: must have at most {MAX_NAME} characters")
    })?;
    require(
        !name.contains(is_forbidden),
        || "filename: must not have control characters or any of <>:\"|?*",
    )
}
