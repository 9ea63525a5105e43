//! Reads text files, as editors and deployment tools leave them.
//!
//! Every file of text that the service reads comes through here: a byte order
//! mark is dropped, and another encoding is an error instead of a secret with
//! odd characters in it. Nothing of the content is quoted.

use super::{SecretError, read_private};
use std::{fs, path::Path};
use zeroize::Zeroizing;

const UTF_8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// The text of a file, wiped when dropped.
///
/// # Errors
/// When it cannot be read, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let bytes = Zeroizing::new(fs::read(path).map_err(SecretError::read(path))?);
    text_in(path, &bytes)
}

/// The text of a file that contains a secret, wiped when dropped.
///
/// # Errors
/// When it cannot be read, is accessible by other users, or is not UTF-8.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    text_in(path, &read_private(path)?)
}

/// The text in the content of a file, for example after decryption.
///
/// # Errors
/// When it is not UTF-8.
pub fn text_in(path: &Path, bytes: &[u8]) -> Result<Zeroizing<String>, SecretError> {
    let malformed = |reason| SecretError::Malformed {
        path: path.to_owned(),
        reason,
    };
    let text = without_mark(bytes);
    if UTF_16_MARKS.iter().any(|mark| text.starts_with(mark)) || text.contains(&0) {
        return Err(malformed("must be UTF-8, not UTF-16"));
    }
    let text = std::str::from_utf8(text).map_err(|_| malformed("must be UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Content without the byte order mark of UTF-8 at its beginning.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(UTF_8_MARK).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_dropped_and_other_encodings_are_named() {
        let read = |bytes: &[u8]| {
            let text = text_in(Path::new("f"), bytes);
            text.map(|it| it.to_string()).map_err(|it| it.to_string())
        };
        assert_eq!(read(b"\xef\xbb\xbfone\r\n"), Ok("one\r\n".to_owned()));
        assert_eq!(read("\u{e9}".as_bytes()), Ok("\u{e9}".to_owned()));
        let utf_16 = Err("f: must be UTF-8, not UTF-16".to_owned());
        assert_eq!(read(b"\xff\xfeo\0n\0"), utf_16);
        assert_eq!(read(b"\xfe\xff\0o\0n"), utf_16);
        assert_eq!(read(b"o\0n\0"), utf_16);
        assert_eq!(read(b"\xe9"), Err("f: must be UTF-8".to_owned()));
    }
}
