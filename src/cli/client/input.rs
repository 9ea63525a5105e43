//! The inputs of a command: files and standard input.

use super::stdin;
use crate::cli::exit::{Exit, Failure};
use std::{
    borrow::Cow,
    fmt::Write,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};
use tokio::task::spawn_blocking;

/// The byte order mark, which some editors put in front of a text.
const MARK: char = '\u{feff}';

/// The paths of standard input.
const STDIN: [&str; 4] = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

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
        if is_stdin(&path) {
            Source::Stdin
        } else {
            Source::File(path)
        }
    }
}

impl Source {
    /// The file that a flag names, which must not be standard input: a prompt or a document
    /// may be there.
    ///
    /// # Errors
    /// [`Exit::Usage`] when it is.
    pub fn of_flag(flag: &str, path: PathBuf) -> Result<Self, Failure> {
        match Source::from(path) {
            Source::Stdin => Err(Failure::usage(format!(
                "{flag}: must be a file, not standard input (-)"
            ))),
            file @ Source::File(_) => Ok(file),
        }
    }

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

/// Whether a path is that of standard input.
pub fn is_stdin(path: &Path) -> bool {
    STDIN.iter().any(|name| path.as_os_str() == *name)
}

/// A name in a text for people or for `cut`: a control character, such as a line break, is
/// `\x0a`. It would be another line, another column, or a command to the terminal.
pub fn printable(name: &str) -> Cow<'_, str> {
    if !name.contains(char::is_control) {
        return Cow::Borrowed(name);
    }
    let mut printable = String::new();
    for letter in name.chars() {
        if letter.is_control() {
            for byte in letter.to_string().bytes() {
                let _ = write!(printable, "\\x{byte:02x}");
            }
        } else {
            printable.push(letter);
        }
    }
    Cow::Owned(printable)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_column_of_one_line() {
        assert_eq!(printable("a b.txt"), "a b.txt");
        let names = "a\tb\nc\u{1b}[2J\u{9b}d";
        assert_eq!(printable(names), r"a\x09b\x0ac\x1b[2J\xc2\x9bd");
    }
}
