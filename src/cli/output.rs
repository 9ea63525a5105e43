//! Standard output, which may be a pipe that its reader closes.

use super::exit::{Exit, Failure};
use std::io::{self, ErrorKind, Write};

/// Writes text as it is, at once.
///
/// # Errors
/// [`Failure::PipeClosed`] when nobody reads any more.
pub fn write(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Writes bytes as they are, at once.
///
/// # Errors
/// [`Failure::PipeClosed`] when nobody reads any more.
pub fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::PipeClosed,
            _ => Failure::new(Exit::Failed, format!("cannot write the output: {error}")),
        })
}

/// Writes one line.
///
/// # Errors
/// [`Failure::PipeClosed`] when nobody reads any more.
pub fn line(text: &str) -> Result<(), Failure> {
    write(&format!("{text}\n"))
}

/// Text that comes in pieces, and is to end with a line end.
#[derive(Debug, Default)]
pub struct OutputLines {
    in_line: bool,
}

impl OutputLines {
    /// Writes the next piece, at once.
    ///
    /// # Errors
    /// [`Failure::PipeClosed`] when nobody reads any more.
    pub fn write(&mut self, text: &str) -> Result<(), Failure> {
        if !text.is_empty() {
            self.in_line = !text.ends_with('\n');
        }
        write(text)
    }

    /// Ends the last line.
    ///
    /// # Errors
    /// [`Failure::PipeClosed`] when nobody reads any more.
    pub fn end(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.in_line) {
            return write("\n");
        }
        Ok(())
    }
}
