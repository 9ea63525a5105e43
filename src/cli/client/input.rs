//! The inputs of a command: files and standard input.

use super::stdin;
use crate::cli::exit::{Exit, Failure};
use std::{fmt::Write, fs, os::unix::ffi::OsStrExt, path::PathBuf};
use tokio::task::spawn_blocking;

/// The byte order mark, which some editors put in front of a text.
const MARK: char = '\u{feff}';

/// An input of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Standard input, `-` on the command line.
    Stdin,
    /// The file at this path.
    File(PathBuf),
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" {
            Source::Stdin
        } else {
            Source::File(path)
        }
    }
}

impl Source {
    /// The name to print, as on the command line. Bytes that are not UTF-8 are `\xff`, so
    /// that two files have two names.
    pub fn name(&self) -> String {
        let path = match self {
            Source::Stdin => return "-".to_owned(),
            Source::File(path) => path.as_os_str(),
        };
        let mut name = String::new();
        for chunk in path.as_bytes().utf8_chunks() {
            name.push_str(chunk.valid());
            for byte in chunk.invalid() {
                let _ = write!(name, "\\x{byte:02x}");
            }
        }
        name
    }

    /// Prefixes the reasons of a failure with the name of this source.
    pub fn failure(&self, failure: Failure) -> Failure {
        match self {
            Source::Stdin => failure.about("standard input"),
            Source::File(_) => failure.about(&self.name()),
        }
    }

    /// Reads all bytes, and waits for them.
    ///
    /// # Errors
    /// [`Exit::Usage`] when they cannot be read, or are too many on standard input.
    pub fn read(&self) -> Result<Vec<u8>, Failure> {
        let read = match self {
            Source::Stdin => stdin::bytes(),
            Source::File(path) => {
                fs::read(path).map_err(|error| format!("failed to read: {error}"))
            }
        };
        read.map_err(Failure::usage)
    }

    /// Reads all bytes.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let source = self.clone();
        let read = spawn_blocking(move || source.read()).await;
        read.unwrap_or_else(|_| Err(Failure::new(Exit::Failed, "reading was cancelled")))
    }

    /// Reads all text.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`Exit::Usage`] when it is not UTF-8.
    pub async fn text(&self) -> Result<String, Failure> {
        text(self.bytes().await?)
    }
}

/// Converts bytes to text. A byte order mark is dropped.
///
/// # Errors
/// [`Exit::Usage`] when they are not UTF-8. The error contains the offset of the
/// first invalid byte, but does not quote any.
pub fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        Failure::usage(format!("must be UTF-8: invalid byte at offset {offset}"))
    })?;
    if text.starts_with(MARK) {
        text.drain(..MARK.len_utf8());
    }
    Ok(text)
}
