//! The calls to the API about a document, each repeated on its own.

use crate::{
    claude::{answer::Message, request::MessagesRequest},
    status,
    upstream::{Answered, CallOptions, Client},
};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::io;
use tokio::time::sleep;
use tonic::Status;

/// How often a part is asked about, each time with the retries of every call.
const ROUNDS: u32 = 3;

/// The field that has what is too large.
pub const PAYLOAD: &str = "chunk";

/// Makes the calls about a document.
#[derive(Debug, Clone)]
pub struct DocumentCalls {
    /// The client of the API.
    pub client: Client,
    /// The options of each call.
    pub options: CallOptions,
}

// === impl DocumentCalls ===

impl DocumentCalls {
    /// Asks until there is a complete answer. One that was truncated is asked for once more,
    /// with twice the `max_tokens`.
    ///
    /// # Errors
    /// When the call fails for good, or the answer is truncated again.
    pub async fn ask(&self, mut request: MessagesRequest) -> Result<Answered<Message>, Status> {
        let mut is_longer = false;
        let mut rounds = Rounds::default();
        loop {
            let answered = self
                .client
                .message(&mut request, self.options.clone())
                .await;
            match answered {
                Ok(answered) if is_truncated(&answered.value) && !is_longer => {
                    is_longer = true;
                    request.max_tokens = request.max_tokens.map(|tokens| tokens * 2);
                }
                Ok(answered) => return Ok(answered),
                Err(failed) => {
                    let status = status::upstream_failed(&failed, PAYLOAD);
                    rounds.failed(status).await?;
                }
            }
        }
    }
}

/// How often a part was asked about.
#[derive(Debug, Default)]
pub struct Rounds(u32);

// === impl Rounds ===

impl Rounds {
    /// Waits until the part may be asked about again.
    ///
    /// # Errors
    /// With the status, if that would not help, or was done often enough.
    pub async fn failed(&mut self, status: Status) -> Result<(), Status> {
        self.0 += 1;
        match status::retry_delay(&status).filter(|_| self.0 < ROUNDS) {
            Some(pause) => {
                sleep(pause).await;
                Ok(())
            }
            None => Err(status),
        }
    }
}

fn is_truncated(message: &Message) -> bool {
    matches!(message.stop_reason.as_deref(), Some("max_tokens"))
}

/// What a request is the same as: its text, settings and model.
pub fn key(request: &MessagesRequest) -> Bytes {
    let mut hash = Hashed(Sha256::new());
    // A request that is not JSON fails when it is sent.
    let _ = serde_json::to_writer(&mut hash, request);
    Bytes::copy_from_slice(&hash.0.finalize())
}

struct Hashed(Sha256);

impl io::Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
