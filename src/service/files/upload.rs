//! Validates an upload.

use crate::{
    files::{NewFile, SHORTEST_RETENTION},
    proto::v1,
    status::Violations,
};
use std::time::Duration;
use tonic::Status;

/// Maximum length of a name, in characters.
/// Source: <https://platform.claude.com/docs/en/build-with-claude/files#error-handling>
const MAX_NAME: usize = 255;

/// What a name must not have, besides control characters; as [`MAX_NAME`].
const FORBIDDEN: &str = "<>:\"|?*\\/";

/// Maximum length of a media type: 127 characters for each half (RFC 6838), and
/// parameters.
const MAX_MEDIA_TYPE: usize = 512;

/// The file to upload.
///
/// # Errors
/// INVALID_ARGUMENT with every field that is invalid.
pub fn read(request: v1::UploadFileRequest, retention: Duration) -> Result<NewFile, Status> {
    let mut wrong = Violations::default();
    if let Some(problem) = name_problem(&request.filename) {
        wrong.add("filename", problem);
    }
    if !is_media_type(&request.mime_type) {
        wrong.add(
            "mime_type",
            "must be a media type, for example application/pdf",
        );
    }
    if request.content.is_empty() {
        wrong.add("content", "must not be empty");
    }
    let keep_for = request.keep_for.map_or(Ok(retention), Duration::try_from);
    let allowed = SHORTEST_RETENTION..=retention;
    let keep_for = keep_for.ok().filter(|time| allowed.contains(time));
    if keep_for.is_none() {
        let longest = retention.as_secs();
        let problem = format!("must be between 3600 s and {longest} s (files.retention)");
        wrong.add("keep_for", problem);
    }
    wrong.into_result()?;
    Ok(NewFile {
        filename: request.filename,
        mime_type: request.mime_type,
        content: request.content,
        keep_for: keep_for.unwrap_or(retention),
    })
}

fn name_problem(name: &str) -> Option<String> {
    if !(1..=MAX_NAME).contains(&name.chars().count()) {
        return Some(format!("must have 1 to {MAX_NAME} characters"));
    }
    let is_forbidden = |it: char| it.is_control() || FORBIDDEN.contains(it);
    name.contains(is_forbidden)
        .then(|| format!("must not have control characters or any of {FORBIDDEN}"))
}

/// Whether it is empty, or can stand in a header as a media type.
fn is_media_type(text: &str) -> bool {
    let is_sound = |it: u8| it == b' ' || it.is_ascii_graphic();
    let halves = text.split_once('/');
    let is_type = |(kind, subtype): (&str, &str)| !kind.is_empty() && !subtype.is_empty();
    let has_form = text.is_empty() || halves.is_some_and(is_type);
    has_form && text.len() <= MAX_MEDIA_TYPE && text.bytes().all(is_sound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tonic_types::StatusExt;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn wrong(change: impl FnOnce(&mut v1::UploadFileRequest)) -> Vec<String> {
        let mut request = v1::UploadFileRequest {
            filename: "Überblick 2.pdf".to_owned(),
            mime_type: "text/plain; charset=utf-8".to_owned(),
            content: Bytes::from_static(b"x"),
            keep_for: None,
        };
        change(&mut request);
        let Err(status) = read(request, DAY) else {
            return Vec::new();
        };
        let wrong = status.get_details_bad_request().unwrap();
        let fields = wrong.field_violations.into_iter();
        fields.map(|it| it.field).collect()
    }

    #[test]
    fn each_field_that_is_wrong_is_named() {
        assert_eq!(wrong(|_| {}), [""; 0]);
        for name in ["", "a/b", "a\"b", "a\r\nb", "a\0", &"x".repeat(256)] {
            assert_eq!(wrong(|it| it.filename = name.to_owned()), ["filename"]);
        }
        for kind in ["pdf", "/", "a/b\r\nx: y", "a/ü"] {
            assert_eq!(wrong(|it| it.mime_type = kind.to_owned()), ["mime_type"]);
        }
        for seconds in [-1, 0, 3599, 86401] {
            let keep_for = prost_types::Duration { seconds, nanos: 0 };
            assert_eq!(wrong(|it| it.keep_for = Some(keep_for)), ["keep_for"]);
        }
        let all = wrong(|it| *it = v1::UploadFileRequest::default());
        assert_eq!(all, ["filename", "content"]);
    }
}
