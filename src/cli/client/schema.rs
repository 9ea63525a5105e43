//! The JSON Schema of an answer, which is checked to be JSON before any call.

use super::input::Source;
use crate::cli::exit::Failure;
use serde::de::IgnoredAny;
use std::path::PathBuf;

/// Reads a JSON Schema from a file.
///
/// # Errors
/// [`Exit::Usage`](crate::cli::exit::Exit::Usage) when the file cannot be read or is
/// not JSON.
pub async fn read(path: PathBuf) -> Result<String, Failure> {
    let source = Source::of_flag("--schema", path)?;
    let text = source.text().await;
    text.and_then(checked)
        .map_err(|failure| source.failure(failure))
}

/// Returns the text if it is JSON.
///
/// # Errors
/// [`Exit::Usage`](crate::cli::exit::Exit::Usage) when it is not, with the line.
pub fn checked(text: String) -> Result<String, Failure> {
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::usage(format!("must be JSON: {error}"))),
    }
}
