//! A document that a command asks about: a text, or a file that is too long for one message.

use super::{
    connection::Connection,
    document_rpc::{DocumentEvent, DocumentRpc},
    input::{self, Source},
    parts_file::KeptParts,
};
use crate::{
    cli::exit::{Exit, Failure},
    proto::v1::DocumentPlan,
};
use async_stream::stream;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use prost::Message;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{io::AsyncReadExt, task::spawn_blocking};
use tonic::Status;

/// Files that are larger are sent in chunks, in bytes.
const LONGEST_MESSAGE: u64 = 1024 * 1024;

/// Size of a chunk, in bytes.
const CHUNK: usize = 256 * 1024;

/// Maximum size of the parts that are sent back, in bytes: what the service takes.
const MAX_FINISHED: usize = 16 * 1024 * 1024;

/// The shortest deadline of a call about a long document: it has many calls to the API.
const LONG_TIMEOUT: Duration = Duration::from_secs(600);

/// A document that a command asks about.
#[derive(Debug)]
pub enum DocumentContent {
    /// A text.
    Text(String),
    /// A file.
    Long(LongDocument),
}

/// A file that is sent in chunks.
#[derive(Debug)]
pub struct LongDocument {
    path: PathBuf,
    sha256: Bytes,
    /// The parts that are done, from which the next call goes on.
    parts: KeptParts,
}

// === impl DocumentContent ===

impl DocumentContent {
    /// Reads a document, and returns its digest with it. A large file is left where it is.
    ///
    /// # Errors
    /// [`Exit::Usage`] when it cannot be read.
    pub async fn read(source: &Source) -> Result<Unchecked, Failure> {
        let Source::File(path) = source else {
            return source.bytes().await.map(Unchecked::Bytes);
        };
        if !is_long(source) {
            return source.bytes().await.map(Unchecked::Bytes);
        }
        let path = path.clone();
        let hashed = spawn_blocking(move || sha256_of(&path).map(|sha256| (path, sha256)));
        match hashed.await {
            Ok(Ok((path, sha256))) => Ok(Unchecked::Long(LongDocument {
                path,
                sha256,
                parts: KeptParts::default(),
            })),
            Ok(Err(error)) => Err(Failure::usage(format!("failed to read: {error}"))),
            Err(_) => Err(Failure::new(Exit::Failed, "reading was cancelled")),
        }
    }

    /// How many parts of it are done so far.
    pub fn finished_parts(&self) -> usize {
        match self {
            DocumentContent::Text(_) => 0,
            DocumentContent::Long(document) => document.parts.count(),
        }
    }

    /// What the calls about it would take. `start` is the first message, and asks for the
    /// plan only.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn plan<R: DocumentRpc>(
        &self,
        connection: &Connection,
        start: R,
    ) -> Result<DocumentPlan, Status> {
        let messages = match self {
            DocumentContent::Text(text) => {
                let chunks = text.as_bytes().chunks(CHUNK);
                let chunks = chunks.map(|chunk| R::chunk(Bytes::copy_from_slice(chunk)));
                let all: Vec<R> = std::iter::once(start).chain(chunks).collect();
                futures::stream::iter(all).left_stream()
            }
            DocumentContent::Long(document) => {
                messages(start, Vec::new(), document.path.clone()).right_stream()
            }
        };
        let connection = connection.with_timeout_of_at_least(LONG_TIMEOUT);
        let planned = connection.call(R::METHOD, messages, async |_, request| {
            let mut events = R::call(connection.documents(), request).await?.into_inner();
            while let Some(event) = events.message().await? {
                if let DocumentEvent::Plan(plan) = R::event(event) {
                    return Ok(plan);
                }
            }
            Err(Status::data_loss("the stream ended before the plan"))
        });
        planned.await
    }
}

/// Whether a document is sent in chunks.
pub fn is_long(source: &Source) -> bool {
    match source {
        Source::Stdin => false,
        Source::File(path) => path.metadata().is_ok_and(|it| it.len() > LONGEST_MESSAGE),
    }
}

/// A document that may not be text.
#[derive(Debug)]
pub enum Unchecked {
    /// All of it.
    Bytes(Vec<u8>),
    /// A file, which the service checks.
    Long(LongDocument),
}

// === impl Unchecked ===

impl Unchecked {
    /// SHA-256 of its content.
    pub fn sha256(&self) -> Bytes {
        match self {
            Unchecked::Bytes(bytes) => digest(Sha256::new_with_prefix(bytes)),
            Unchecked::Long(document) => document.sha256.clone(),
        }
    }

    /// The document, if it is text. What is done of a long one is kept in `parts`.
    ///
    /// # Errors
    /// [`Exit::Usage`] when it is not.
    pub fn checked(self, parts: impl FnOnce() -> KeptParts) -> Result<DocumentContent, Failure> {
        match self {
            Unchecked::Bytes(bytes) => input::text(bytes).map(DocumentContent::Text),
            Unchecked::Long(document) => Ok(DocumentContent::Long(LongDocument {
                parts: parts(),
                ..document
            })),
        }
    }
}

// === impl LongDocument ===

impl LongDocument {
    /// SHA-256 of the file.
    pub fn sha256(&self) -> Bytes {
        self.sha256.clone()
    }

    /// The answer about it. A call that fails leaves what it has finished to the next one.
    /// `start` is the first message.
    ///
    /// # Errors
    /// When the call fails, or the file has changed.
    pub async fn asked<R: DocumentRpc>(
        &self,
        connection: &Connection,
        start: R,
    ) -> Result<R::Answer, Status> {
        let finished = self.parts.all::<R::Part>();
        let messages = messages(start, finished, self.path.clone());
        let connection = connection.with_timeout_of_at_least(LONG_TIMEOUT);
        let answered = connection.call(R::METHOD, messages, async |_, request| {
            let mut events = R::call(connection.documents(), request).await?.into_inner();
            while let Some(event) = events.message().await? {
                match R::event(event) {
                    DocumentEvent::PartFinished(part) => {
                        let kept = self.parts.add(&part);
                        kept.map_err(|error| Status::internal(error.to_string()))?;
                    }
                    DocumentEvent::Finished(answer) => return Ok(answer),
                    DocumentEvent::Plan(_) | DocumentEvent::Other => {}
                }
            }
            Err(Status::data_loss("the stream ended before the answer"))
        });
        answered.await
    }
}

/// The messages about a file. If it cannot be read to its end, they end early, and the
/// service finds that its digest is another one.
fn messages<R: DocumentRpc>(
    start: R,
    finished: Vec<R::Part>,
    path: PathBuf,
) -> impl Stream<Item = R> + Send + 'static {
    stream! {
        yield start;
        let mut size = 0;
        for part in finished {
            size += part.encoded_len();
            if size > MAX_FINISHED {
                break;
            }
            yield R::finished_part(part);
        }
        let Ok(mut file) = tokio::fs::File::open(path).await else {
            return;
        };
        loop {
            let mut chunk = vec![0; CHUNK];
            match file.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(length) => chunk.truncate(length),
            }
            yield R::chunk(chunk.into());
        }
    }
}

fn sha256_of(path: &Path) -> io::Result<Bytes> {
    let mut file = File::open(path)?;
    let (mut sha256, mut buffer) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest(sha256)),
            length => sha256.update(&buffer[..length]),
        }
    }
}

fn digest(sha256: Sha256) -> Bytes {
    Bytes::copy_from_slice(&sha256.finalize())
}
