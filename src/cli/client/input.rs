//! What a command reads: files, and standard input.

use crate::cli::exit::{Exit, Failure};
use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
};
use tokio::task::spawn_blocking;

/// Something to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file.
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
    /// Each named file; standard input when none is named.
    ///
    /// # Errors
    /// When standard input is to be read twice.
    pub fn all(files: Vec<PathBuf>) -> Result<Vec<Source>, Failure> {
        if files.is_empty() {
            return Ok(vec![Source::Stdin]);
        }
        let sources: Vec<Source> = files.into_iter().map(Source::from).collect();
        let of_stdin = sources.iter().filter(|source| **source == Source::Stdin);
        if of_stdin.count() > 1 {
            return Err(Failure::usage("standard input (-) can be read once only"));
        }
        Ok(sources)
    }

    /// The name in output, as it was given.
    pub fn name(&self) -> String {
        match self {
            Source::Stdin => "-".to_owned(),
            Source::File(path) => path.display().to_string(),
        }
    }

    /// The same failure, about this.
    pub fn failure(&self, failure: Failure) -> Failure {
        match self {
            Source::Stdin => failure.about("standard input"),
            Source::File(_) => failure.about(&self.name()),
        }
    }

    /// All bytes.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let source = self.clone();
        let read = spawn_blocking(move || match source {
            Source::File(path) => fs::read(path),
            Source::Stdin => {
                let mut bytes = Vec::new();
                io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
            }
        });
        match read.await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => Err(Failure::usage(format!("cannot be read: {error}"))),
            Err(_) => Err(Failure::new(Exit::Failed, "reading was given up")),
        }
    }

    /// All text.
    ///
    /// # Errors
    /// When it cannot be read, or is not UTF-8.
    pub async fn text(&self) -> Result<String, Failure> {
        text(self.bytes().await?)
    }
}

/// Bytes as text.
///
/// # Errors
/// When they are not UTF-8. The error tells where, and shows none of them.
pub fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        Failure::usage(format!("is not UTF-8 text (from byte {offset} on)"))
    })
}
