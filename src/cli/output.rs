//! Standard output, which may be a pipe that its reader closes early.

use super::exit::{Exit, Failure};
use std::io::{self, ErrorKind, Write};

/// Writes text unchanged, and flushes it.
///
/// # Errors
/// [`Failure::PipeClosed`] when the reader closed the pipe.
pub fn write(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Writes bytes unchanged, and flushes them.
///
/// # Errors
/// [`Failure::PipeClosed`] when the reader closed the pipe.
pub fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::PipeClosed,
            _ => Failure::new(Exit::Failed, format!("failed to write the output: {error}")),
        })
}

/// Writes text with a line break after it.
///
/// # Errors
/// [`Failure::PipeClosed`] when the reader closed the pipe.
pub fn line(text: &str) -> Result<(), Failure> {
    write(&format!("{text}\n"))
}

/// Text that arrives in pieces. Ensures that it ends with a line break.
#[derive(Debug, Default)]
pub struct OutputLines {
    in_line: bool,
}

impl OutputLines {
    /// Writes the next piece, and flushes it.
    ///
    /// # Errors
    /// [`Failure::PipeClosed`] when the reader closed the pipe.
    pub fn write(&mut self, text: &str) -> Result<(), Failure> {
        if !text.is_empty() {
            self.in_line = !text.ends_with('\n');
        }
        write(text)
    }

    /// Writes a line break unless the text already ends with one.
    ///
    /// # Errors
    /// [`Failure::PipeClosed`] when the reader closed the pipe.
    pub fn end(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.in_line) {
            return write("\n");
        }
        Ok(())
    }
}
