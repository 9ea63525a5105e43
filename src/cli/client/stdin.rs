//! Standard input, which is read once and to its end.
//!
//! - **In a prompt, as an attachment or as a list of files**, it has at most 32 MiB.
//! - **As a document**, it has any length, like a file.

use super::spool::DocumentBody;
use std::{
    fs::{File, FileType},
    io::{self, Read},
    os::{fd::AsFd, unix::fs::FileTypeExt},
};

/// Maximum size of what is not a document, in bytes: that of a request to the API, and of a
/// message that the service accepts by default.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Whether there is something to read to the end next to a prompt: a pipe, a file or a
/// socket. A terminal, `/dev/null` and a closed input add nothing.
pub fn is_piped() -> bool {
    !kind().is_ok_and(|kind| kind.is_char_device())
}

/// Reads all bytes.
///
/// # Errors
/// When they cannot be read, or are too many.
pub fn bytes() -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let input = io::stdin().lock();
    let read = input.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("failed to read: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("must be at most {MAX_BYTES} bytes"));
    }
    Ok(bytes)
}

/// Reads a document.
///
/// # Errors
/// When it cannot be read, or kept in a temporary file.
pub fn document() -> io::Result<DocumentBody> {
    DocumentBody::of(io::stdin().lock())
}

fn kind() -> io::Result<FileType> {
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    Ok(file.metadata()?.file_type())
}
