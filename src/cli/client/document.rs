//! A document that a command asks about: one that goes in one message, or a file that is too
//! long for that.

use super::{
    connection::Connection,
    document_rpc::{DocumentEvent, DocumentRpc},
    input::{self, Source},
    model_use::ModelUse,
    parts_file::KeptParts,
    reader::{self, DocumentReader, LONGEST_MESSAGE, ReadText},
    short_document::ShortDocument,
    spool::DocumentBody,
    stdin,
};
use crate::{
    cli::exit::{Exit, Failure},
    kinds::{HEAD, Kind, Reading, UnreadableDocument, Utf8Check, kind_of},
    proto::v1::DocumentPlan,
};
use async_stream::stream;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use prost::Message;
use sha2::{Digest, Sha256};
use std::{
    cell::RefCell,
    fs::File,
    io::{self, Read, Seek},
    os::unix::fs::FileExt,
    sync::Arc,
    time::Duration,
};
use tokio::task::spawn_blocking;
use tonic::Status;

/// Size of a chunk, in bytes.
const CHUNK: usize = 256 * 1024;

/// Maximum size of the parts that are sent back, in bytes: what the service takes.
const MAX_FINISHED: usize = 16 * 1024 * 1024;

/// The shortest deadline of a call about a long document: it has many calls to the API.
const LONG_TIMEOUT: Duration = Duration::from_secs(600);

/// A document that a command asks about.
#[derive(Debug)]
pub enum DocumentContent {
    /// What goes in one message.
    Short(ShortDocument),
    /// A text in a file.
    Long(LongDocument),
}

/// A text in a file that is sent in chunks.
#[derive(Debug)]
pub struct LongDocument {
    file: Arc<File>,
    sha256: Bytes,
    /// The parts that are done, from which the next call goes on.
    parts: KeptParts,
    /// What calls that failed have used for parts.
    spent: RefCell<Vec<ModelUse>>,
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

    /// All of its text.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn text(self) -> Result<String, Failure> {
        let document = match self {
            DocumentContent::Short(document) => return Ok(document.into_text()),
            DocumentContent::Long(document) => document,
        };
        let file = Arc::clone(&document.file);
        let read = spawn_blocking(move || {
            let mut text = String::new();
            (&*file).rewind()?;
            (&*file).read_to_string(&mut text)?;
            Ok::<_, io::Error>(text)
        });
        match read.await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(error)) => Err(Failure::usage(format!("failed to read: {error}"))),
            Err(_) => Err(Failure::new(Exit::Failed, "reading was cancelled")),
        }
    }

    /// SHA-256 of its text.
    pub fn sha256(&self) -> Bytes {
        match self {
            DocumentContent::Short(ShortDocument::Text(text)) => sha256_of(text.as_bytes()),
            DocumentContent::Long(document) => document.sha256(),
        }
    }

    /// What calls that failed have used for parts of it, once.
    pub fn take_spent(&self) -> Vec<ModelUse> {
        match self {
            DocumentContent::Short(_) => Vec::new(),
            DocumentContent::Long(document) => document.spent.take(),
        }
    }

    /// How many parts of it are done so far.
    pub fn finished_parts(&self) -> usize {
        match self {
            DocumentContent::Short(_) => 0,
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
            DocumentContent::Short(ShortDocument::Text(text)) => {
                let chunks = text.as_bytes().chunks(CHUNK);
                let chunks = chunks.map(|chunk| R::chunk(Bytes::copy_from_slice(chunk)));
                let all: Vec<R> = std::iter::once(start).chain(chunks).collect();
                futures::stream::iter(all).left_stream()
            }
            DocumentContent::Long(document) => {
                messages(start, Vec::new(), Arc::clone(&document.file)).right_stream()
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

    /// The document as text, and what it was. What is done of a long one is kept in
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
            let content = match read.text {
                ReadText::Text(text) => DocumentContent::Short(ShortDocument::Text(text)),
                ReadText::File { file, sha256 } => DocumentContent::Long(LongDocument {
                    file: Arc::new(file),
                    sha256,
                    parts: parts(),
                    spent: RefCell::default(),
                }),
            };
            return Ok((content, read.reading));
        }
        let content = match self.body {
            DocumentBody::Bytes(bytes) => {
                DocumentContent::Short(ShortDocument::Text(input::text(bytes)?))
            }
            DocumentBody::File(file) => DocumentContent::Long(LongDocument {
                file: Arc::new(file),
                sha256: self.sha256,
                parts: parts(),
                spent: RefCell::default(),
            }),
        };
        let reading = Reading {
            kind: kind.name().to_owned(),
            encoding: Some("UTF-8".to_owned()),
            notes: Vec::new(),
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

// === impl LongDocument ===

impl LongDocument {
    /// SHA-256 of the text.
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
        let messages = messages(start, finished, Arc::clone(&self.file));
        let connection = connection.with_timeout_of_at_least(LONG_TIMEOUT);
        let mut used = Vec::new();
        let answered = connection.call(R::METHOD, messages, async |_, request| {
            let mut events = R::call(connection.documents(), request).await?.into_inner();
            while let Some(event) = events.message().await? {
                match R::event(event) {
                    DocumentEvent::PartFinished(part) => {
                        used.push(R::used(&part));
                        let kept = self.parts.add(&part);
                        kept.map_err(|error| Status::internal(error.to_string()))?;
                    }
                    DocumentEvent::Finished(answer) => return Ok(answer),
                    DocumentEvent::Plan(_) | DocumentEvent::Other => {}
                }
            }
            Err(Status::data_loss("the stream ended before the answer"))
        });
        let answered = answered.await;
        if answered.is_err() {
            self.spent.borrow_mut().append(&mut used);
        }
        answered
    }
}

/// The messages about a file. If it cannot be read to its end, they end early, and the
/// service finds that its digest is another one.
fn messages<R: DocumentRpc>(
    start: R,
    finished: Vec<R::Part>,
    file: Arc<File>,
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
        let mut offset = 0;
        loop {
            let file = Arc::clone(&file);
            // A call that failed may still be reading: each has its own position.
            let read = spawn_blocking(move || chunk_at(&file, offset)).await;
            match read {
                Ok(Ok(chunk)) if !chunk.is_empty() => {
                    offset += chunk.len() as u64;
                    yield R::chunk(chunk.into());
                }
                _ => return,
            }
        }
    }
}

fn chunk_at(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let mut chunk = vec![0; CHUNK];
    let length = file.read_at(&mut chunk, offset)?;
    chunk.truncate(length);
    Ok(chunk)
}

fn sha256_of(bytes: &[u8]) -> Bytes {
    digest(Sha256::new_with_prefix(bytes))
}

fn digest(sha256: Sha256) -> Bytes {
    Bytes::copy_from_slice(&sha256.finalize())
}
