//! A text in a file that is too long for one message, and is sent in chunks.

use super::{
    connection::Connection,
    document_rpc::{DocumentEvent, DocumentRpc},
    model_use::ModelUse,
    parts_file::KeptParts,
};
use crate::cli::exit::{Exit, Failure};
use async_stream::stream;
use bytes::Bytes;
use futures::Stream;
use prost::Message;
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
pub const CHUNK: usize = 256 * 1024;

/// The shortest deadline of a call about a long document: it has many calls to the API.
pub const LONG_TIMEOUT: Duration = Duration::from_secs(600);

/// Maximum size of the parts that are sent back, in bytes: what the service takes.
const MAX_FINISHED: usize = 16 * 1024 * 1024;

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

// === impl LongDocument ===

impl LongDocument {
    /// The text in this file, with its SHA-256. What is done of it is kept in `parts`.
    pub fn new(file: File, sha256: Bytes, parts: KeptParts) -> Self {
        LongDocument {
            file: Arc::new(file),
            sha256,
            parts,
            spent: RefCell::default(),
        }
    }

    /// What calls that failed have used for parts of it, once.
    pub fn take_spent(&self) -> Vec<ModelUse> {
        self.spent.take()
    }

    /// How many parts of it are done so far.
    pub fn finished_parts(&self) -> usize {
        self.parts.count()
    }

    /// All of its text.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn text(self) -> Result<String, Failure> {
        let file = self.file;
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

    /// The messages about it that ask for a plan, of which `start` is the first one.
    pub fn for_plan<R: DocumentRpc>(&self, start: R) -> impl Stream<Item = R> + Send + use<R> {
        messages(start, Vec::new(), Arc::clone(&self.file))
    }

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
