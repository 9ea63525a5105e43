//! A document that a command asks about: one that goes in one message, or a file that is too
//! long for that.

use super::{
    input::{self, Source},
    long_document::{CHUNK, LongDocument},
    model_use::ModelUse,
    parts_file::KeptParts,
    reader::{self, DocumentReader, LONGEST_MESSAGE, ReadContent},
    short_document::ShortDocument,
    spool::DocumentBody,
    stdin,
};
use crate::{
    cli::exit::{Exit, Failure},
    kinds::{HEAD, Kind, Reading, UnreadableDocument, Utf8Check, kind_of},
};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read, Seek},
};
use tokio::task::spawn_blocking;

/// A document that a command asks about.
#[derive(Debug)]
pub enum DocumentContent {
    /// What goes in one message.
    Short(ShortDocument),
    /// A text in a file.
    Long(LongDocument),
}

// === impl DocumentContent ===

impl DocumentContent {
    /// Opens a document, and finds out what it is.
    ///
    /// # Errors
    /// [`Exit::Usage`] when it cannot be read.
    pub async fn read(source: &Source) -> Result<Unchecked, Failure> {
        let source = source.clone();
        match spawn_blocking(move || Unchecked::open(&source)).await {
            Ok(Ok(document)) => Ok(document),
            Ok(Err(error)) => Err(Failure::usage(format!("failed to read: {error}"))),
            Err(_) => Err(Failure::new(Exit::Failed, "reading was cancelled")),
        }
    }

    /// What goes in one message, however long it is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn in_one_message(self) -> Result<ShortDocument, Failure> {
        match self {
            DocumentContent::Short(document) => Ok(document),
            DocumentContent::Long(document) => document.text().await.map(ShortDocument::Text),
        }
    }

    /// What calls that failed have used for parts of it, once.
    pub fn take_spent(&self) -> Vec<ModelUse> {
        match self {
            DocumentContent::Short(_) => Vec::new(),
            DocumentContent::Long(document) => document.take_spent(),
        }
    }

    /// How many parts of it are done so far.
    pub fn finished_parts(&self) -> usize {
        match self {
            DocumentContent::Short(_) => 0,
            DocumentContent::Long(document) => document.finished_parts(),
        }
    }
}

/// A document that may not be text.
#[derive(Debug)]
pub struct Unchecked {
    /// The last part of its path.
    name: String,
    body: DocumentBody,
    sha256: Bytes,
    kind: Result<Kind, UnreadableDocument>,
    /// Whether it is UTF-8 without a mark and without zeros.
    is_utf8: bool,
}

// === impl Unchecked ===

impl Unchecked {
    fn open(source: &Source) -> io::Result<Self> {
        let (name, body) = match source {
            Source::Stdin => (None, stdin::document()?),
            Source::File(path) => {
                let file = File::open(path)?;
                let is_file = file.metadata()?.is_file();
                let body = if is_file {
                    DocumentBody::File(file)
                } else {
                    DocumentBody::of(file)?
                };
                (path.file_name(), body)
            }
        };
        let name = name.unwrap_or_default().to_string_lossy().into_owned();
        let mut file = match body {
            DocumentBody::File(file) => file,
            DocumentBody::Bytes(bytes) => return Ok(Unchecked::of_bytes(bytes, &name)),
        };
        let seen = Seen::of(&mut file)?;
        file.rewind()?;
        if seen.length <= LONGEST_MESSAGE && seen.check.passed() {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            return Ok(Unchecked::new(name, seen, DocumentBody::Bytes(bytes)));
        }
        Ok(Unchecked::new(name, seen, DocumentBody::File(file)))
    }

    fn new(name: String, seen: Seen, body: DocumentBody) -> Self {
        Unchecked {
            kind: kind_of(&seen.head, &name),
            is_utf8: seen.check.passed(),
            sha256: digest(seen.sha256),
            name,
            body,
        }
    }

    /// SHA-256 of its content, whatever it is.
    pub fn sha256(&self) -> Bytes {
        self.sha256.clone()
    }

    /// A document of this file name that is in memory.
    pub fn of_bytes(bytes: Vec<u8>, name: &str) -> Self {
        let seen = Seen::of(&mut &bytes[..]).expect("memory can be read");
        Unchecked::new(name.to_owned(), seen, DocumentBody::Bytes(bytes))
    }

    /// What is sent of the document, and what it was. What is done of a long one is kept in
    /// `parts`.
    ///
    /// # Errors
    /// [`Exit::Usage`] when it cannot be read.
    pub async fn checked(
        self,
        reader: &DocumentReader,
        parts: impl FnOnce() -> KeptParts,
    ) -> Result<(DocumentContent, Reading), Failure> {
        let kind = self
            .kind
            .map_err(|error| Failure::usage(error.to_string()))?;
        if !(kind.is_plain() && self.is_utf8) {
            let file = match self.body {
                DocumentBody::File(file) => file,
                DocumentBody::Bytes(bytes) => reader::in_file(bytes).await?,
            };
            let read = reader.read(file, &self.name, kind).await?;
            let content = match read.content {
                ReadContent::Short(document) => DocumentContent::Short(document),
                ReadContent::Long { file, sha256 } => {
                    DocumentContent::Long(LongDocument::new(file, sha256, parts()))
                }
            };
            return Ok((content, read.reading));
        }
        let content = match self.body {
            DocumentBody::Bytes(bytes) => {
                DocumentContent::Short(ShortDocument::Text(input::text(bytes)?))
            }
            DocumentBody::File(file) => {
                DocumentContent::Long(LongDocument::new(file, self.sha256, parts()))
            }
        };
        let reading = Reading {
            kind: kind.name().to_owned(),
            encoding: Some("UTF-8".to_owned()),
            ..Reading::default()
        };
        Ok((content, reading))
    }
}

/// What is known of a document after all of it was seen.
struct Seen {
    head: Vec<u8>,
    sha256: Sha256,
    check: Utf8Check,
    length: u64,
}

// === impl Seen ===

impl Seen {
    fn of(input: &mut dyn Read) -> io::Result<Self> {
        let mut seen = Seen {
            head: Vec::new(),
            sha256: Sha256::new(),
            check: Utf8Check::default(),
            length: 0,
        };
        let mut buffer = vec![0; CHUNK];
        loop {
            let piece = match input.read(&mut buffer)? {
                0 => return Ok(seen),
                length => &buffer[..length],
            };
            let wanted = HEAD.saturating_sub(seen.head.len()).min(piece.len());
            seen.head.extend_from_slice(&piece[..wanted]);
            seen.sha256.update(piece);
            seen.check.add(piece);
            seen.length += piece.len() as u64;
        }
    }
}

fn digest(sha256: Sha256) -> Bytes {
    Bytes::copy_from_slice(&sha256.finalize())
}
