//! Standard input as a part of a prompt, or as an attachment.
//!
//! Next to a prompt, it is read only if it is something to read to the end: a pipe,
//! a file or a socket. A terminal, `/dev/null` and a closed input add nothing.

use super::input;
use crate::cli::exit::{Exit, Failure};
use std::{
    fs::{File, FileType},
    io::{self, Read},
    os::{fd::AsFd, unix::fs::FileTypeExt},
};
use tokio::task::spawn_blocking;

/// Maximum size of standard input, in bytes: that of a request to the API, and of a
/// message that the service accepts by default.
const MAX_INPUT: u64 = 32 * 1024 * 1024;

/// Reads what is piped or redirected into the command; empty for nothing.
///
/// # Errors
/// [`Exit::Usage`] when it cannot be read, is too large, or is not UTF-8.
pub async fn piped_text() -> Result<String, Failure> {
    if kind().is_ok_and(|kind| kind.is_char_device()) {
        return Ok(String::new());
    }
    text().await
}

/// Reads all text.
///
/// # Errors
/// As [`piped_text`].
pub async fn text() -> Result<String, Failure> {
    input::text(bytes().await?).map_err(about)
}

/// Reads all bytes.
///
/// # Errors
/// [`Exit::Usage`] when they cannot be read, or are too many.
pub async fn bytes() -> Result<Vec<u8>, Failure> {
    let read = spawn_blocking(|| {
        let mut bytes = Vec::new();
        let input = io::stdin().lock();
        input.take(MAX_INPUT + 1).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    });
    match read.await {
        Ok(Ok(bytes)) if bytes.len() as u64 > MAX_INPUT => {
            let reason = format!("must be at most {MAX_INPUT} bytes");
            Err(about(Failure::usage(reason)))
        }
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(about(Failure::usage(format!("failed to read: {error}")))),
        Err(_) => Err(about(Failure::new(Exit::Failed, "reading was cancelled"))),
    }
}

/// Prefixes the reasons of a failure with the name of standard input.
pub fn about(failure: Failure) -> Failure {
    failure.about("standard input")
}

fn kind() -> io::Result<FileType> {
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    Ok(file.metadata()?.file_type())
}
