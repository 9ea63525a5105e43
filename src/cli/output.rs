//! Standard output, which may be a pipe that its reader closes.

use super::exit::{Exit, Failure};
use std::io::{self, ErrorKind, Write};

/// Writes text as it is, at once.
///
/// # Errors
/// [`Failure::PipeClosed`] when nobody reads any more.
pub fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
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
