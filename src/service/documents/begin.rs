//! How a document begins: whether it fits one call.

use super::{
    input::{DocumentInput, DocumentMessage, not_utf8, violation},
    sizes::CallSizes,
};
use crate::documents::Splitter;
use bytes::Bytes;
use tonic::Status;

/// The beginning of a document.
pub enum Beginning {
    /// All of it, which fits one call.
    Whole(String),
    /// The first chunks of a longer one.
    Chunks(Vec<Bytes>),
}

// === impl Beginning ===

impl Beginning {
    /// Reads a document until it is all there, or is too long for one call. What a document
    /// of this length, or `parallel` parts, hold is drawn from the budget.
    ///
    /// # Errors
    /// When the document cannot be read, or is empty.
    pub async fn read<M: DocumentMessage>(
        input: &mut DocumentInput<M>,
        sizes: CallSizes,
        parallel: usize,
    ) -> Result<Self, Status> {
        let mut splitter = Splitter::new(sizes.measure, sizes.whole);
        let mut chunks = Vec::new();
        while let Some(chunk) = input.next().await? {
            input.hold(chunk.len()).await?;
            splitter.push(&chunk).map_err(not_utf8)?;
            chunks.push(chunk);
            if splitter.next_part().is_some() {
                return Beginning::of_parts(chunks, input, sizes, parallel).await;
            }
        }
        splitter.end().map_err(not_utf8)?;
        let text = splitter.next_part().unwrap_or_default();
        if text.trim().is_empty() {
            return Err(violation("chunk", "the document must not be empty"));
        }
        // Its end may be a part of its own, by the last characters.
        if splitter.next_part().is_some() {
            return Beginning::of_parts(chunks, input, sizes, parallel).await;
        }
        input.holds_all();
        Ok(Beginning::Whole(text))
    }

    async fn of_parts<M: DocumentMessage>(
        chunks: Vec<Bytes>,
        input: &DocumentInput<M>,
        sizes: CallSizes,
        parallel: usize,
    ) -> Result<Self, Status> {
        let held = chunks.iter().map(Bytes::len).sum();
        // The parts in flight, and the one that is being read.
        let parts = sizes.part_bytes().saturating_mul(parallel + 1);
        input.hold(parts.saturating_sub(held)).await?;
        input.holds_all();
        Ok(Beginning::Chunks(chunks))
    }
}
