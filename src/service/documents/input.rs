//! What comes in a stream: the settings, then parts that were finished before, then the
//! document.

use crate::{
    documents::NotUtf8,
    memory::{MessageBytes, NoRoom},
    proto::{
        DecodedSize,
        v1::{
            self, classify_document_request::Content as ToClassify,
            summarize_document_request::Content as ToSummarize,
        },
    },
    status::{self, Violations},
};
use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use tonic::{Status, Streaming};

/// Maximum size of all parts that were finished before, in bytes.
const MAX_FINISHED: usize = 16 * 1024 * 1024;

/// Finished parts may take this part of the memory of messages in addition to their bytes:
/// a quarter.
const SHARE_OF_FINISHED: usize = 4;

/// How many times its size an entry of a map takes at most, with the room for others.
const ENTRY_COST: usize = 3;

/// A message about a document.
pub trait DocumentMessage {
    /// The settings.
    type Start;
    /// What is known of a part.
    type Part: Message + Clone;

    /// What it has.
    fn content(self) -> Option<DocumentPiece<Self::Start, Self::Part>>;

    /// The key of a part.
    fn key(part: &Self::Part) -> &Bytes;
}

/// What a message about a document has.
pub enum DocumentPiece<S, P> {
    Start(S),
    FinishedPart(P),
    Chunk(Bytes),
}

/// What an earlier call has finished, by the keys.
pub type FinishedParts<P> = HashMap<Bytes, P>;

/// The chunks of a document.
pub struct DocumentInput<M> {
    messages: Streaming<M>,
    /// The first chunk, which came behind the finished parts.
    first: Option<Bytes>,
    /// The digest that the document must have.
    expected: Option<Bytes>,
    digest: Sha256,
    received: u64,
    characters: usize,
    /// What the document holds.
    memory: MessageBytes,
    /// What the message that was read last takes in addition to its bytes.
    decoded_size: Option<DecodedSize>,
}

// === impl DocumentMessage ===

impl DocumentMessage for v1::SummarizeDocumentRequest {
    type Start = v1::SummarizeDocumentStart;
    type Part = v1::SummarizedPart;

    fn content(self) -> Option<DocumentPiece<Self::Start, Self::Part>> {
        Some(match self.content? {
            ToSummarize::Start(start) => DocumentPiece::Start(start),
            ToSummarize::FinishedPart(part) => DocumentPiece::FinishedPart(part),
            ToSummarize::Chunk(chunk) => DocumentPiece::Chunk(chunk),
        })
    }

    fn key(part: &Self::Part) -> &Bytes {
        &part.key
    }
}

impl DocumentMessage for v1::ClassifyDocumentRequest {
    type Start = v1::ClassifyDocumentStart;
    type Part = v1::ClassifiedPart;

    fn content(self) -> Option<DocumentPiece<Self::Start, Self::Part>> {
        Some(match self.content? {
            ToClassify::Start(start) => DocumentPiece::Start(start),
            ToClassify::FinishedPart(part) => DocumentPiece::FinishedPart(part),
            ToClassify::Chunk(chunk) => DocumentPiece::Chunk(chunk),
        })
    }

    fn key(part: &Self::Part) -> &Bytes {
        &part.key
    }
}

// === impl DocumentInput ===

impl<M: DocumentMessage> DocumentInput<M> {
    /// Reads the settings. What the document holds is drawn for `memory`.
    ///
    /// # Errors
    /// When they do not come first.
    pub async fn begin(
        mut messages: Streaming<M>,
        memory: MessageBytes,
        decoded_size: Option<DecodedSize>,
    ) -> Result<(M::Start, Self), Status> {
        let content = messages.message().await?.and_then(M::content);
        let Some(DocumentPiece::Start(start)) = content else {
            return Err(violation("content", "the first message must have `start`"));
        };
        let input = DocumentInput {
            messages,
            first: None,
            expected: None,
            digest: Sha256::new(),
            received: 0,
            characters: 0,
            memory,
            decoded_size,
        };
        Ok((start, input))
    }

    /// Checks that the document has this digest, unless it is empty.
    pub fn expect(&mut self, sha256: Bytes) {
        self.expected = Some(sha256).filter(|it| !it.is_empty());
    }

    /// Reads the parts that were finished before.
    ///
    /// # Errors
    /// When there are too many, or the stream fails.
    pub async fn finished_parts(&mut self) -> Result<FinishedParts<M::Part>, Status> {
        let (mut finished, mut size, mut kept) = (FinishedParts::new(), 0, 0);
        let most_kept = self.memory.capacity() / SHARE_OF_FINISHED;
        while let Some(message) = self.messages.message().await? {
            match message.content() {
                Some(DocumentPiece::FinishedPart(part)) => {
                    let bytes = part.encoded_len();
                    size += bytes;
                    if size > MAX_FINISHED {
                        let problem = format!("must have at most {MAX_FINISHED} bytes together");
                        return Err(violation("finished_part", problem));
                    }
                    let decoded = self.decoded_size.as_ref().map_or(0, DecodedSize::last);
                    let decoded = decoded + size_of::<(Bytes, M::Part)>() * ENTRY_COST;
                    kept += decoded;
                    if kept > most_kept {
                        let problem =
                            "must not take more than a quarter of server.max_bytes_in_flight";
                        return Err(violation("finished_part", problem));
                    }
                    self.hold(bytes + decoded).await?;
                    finished.insert(M::key(&part).clone(), part);
                }
                other => {
                    self.first = Some(chunk(other)?);
                    break;
                }
            }
        }
        Ok(finished)
    }

    /// The next chunk; `None` at the end of the document.
    ///
    /// # Errors
    /// When something else comes, the stream fails, or the document has not the digest that
    /// it must have.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => match self.messages.message().await? {
                Some(message) => Some(chunk(message.content())?),
                None => None,
            },
        };
        if let Some(chunk) = &next {
            self.received += chunk.len() as u64;
            // Each has one byte that continues none.
            self.characters += chunk.iter().filter(|byte| (**byte as i8) >= -0x40).count();
            if self.expected.is_some() {
                self.digest.update(chunk);
            }
        } else if let Some(expected) = &self.expected
            && self.digest.clone().finalize().as_slice() != expected
        {
            let problem = "must be the SHA-256 of the document";
            return Err(violation("start.sha256", problem));
        }
        Ok(next)
    }

    /// Draws from the budget what the document holds from now on, until it ends.
    ///
    /// # Errors
    /// When there is no room.
    pub async fn hold(&self, bytes: usize) -> Result<(), Status> {
        self.memory.draw(bytes).await.map_err(|error| match error {
            NoRoom::TooLarge => violation(
                "chunk",
                "the summaries of its parts must fit server.max_bytes_in_flight",
            ),
            NoRoom::Busy => status::out_of_message_memory(),
        })
    }

    /// Says that the document holds no more than it does now.
    pub fn holds_all(&self) {
        self.memory.whole();
    }

    /// The length of what has come, in characters.
    pub fn characters(&self) -> usize {
        self.characters
    }

    /// The length of what has come, in bytes.
    pub fn received(&self) -> u64 {
        self.received
    }
}

/// The status of a document that is not UTF-8.
pub fn not_utf8(error: NotUtf8) -> Status {
    violation("chunk", error.to_string())
}

fn chunk<S, P>(content: Option<DocumentPiece<S, P>>) -> Result<Bytes, Status> {
    match content {
        Some(DocumentPiece::Chunk(chunk)) => Ok(chunk),
        Some(DocumentPiece::Start(_)) => Err(violation("start", "must not be sent twice")),
        Some(DocumentPiece::FinishedPart(_)) => Err(violation(
            "finished_part",
            "must be sent before the first chunk",
        )),
        None => Err(violation("content", "must be set")),
    }
}

/// The status of a field that is not valid.
pub fn violation(field: &str, problem: impl Into<String>) -> Status {
    let mut wrong = Violations::default();
    wrong.add(field, problem);
    wrong.into_status()
}
