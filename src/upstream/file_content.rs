//! The content of a file, piece by piece.

use super::UpstreamError;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream::BoxStream};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::timeout;

/// The content of a file, each piece read on demand. A body that breaks ends with an
/// error. Dropping it closes the upstream connection.
pub struct FileContent {
    pieces: BoxStream<'static, Result<Bytes, UpstreamError>>,
    /// Dropped after the pieces.
    held: Vec<Box<dyn Send>>,
}

// === impl FileContent ===

impl FileContent {
    /// The pieces of a body, of which none takes longer than `read_timeout`.
    pub fn of(
        body: impl Stream<Item = Result<Bytes, UpstreamError>> + Send + 'static,
        read_timeout: Duration,
    ) -> Self {
        let pieces = async_stream::try_stream! {
            let mut body = Box::pin(body);
            let stalled = |_| UpstreamError::Stalled(read_timeout);
            while let Some(piece) = timeout(read_timeout, body.next()).await.map_err(stalled)? {
                yield piece?;
            }
        };
        FileContent {
            pieces: pieces.boxed(),
            held: Vec::new(),
        }
    }

    /// Keeps `held` until the content is dropped.
    pub fn hold(&mut self, held: impl Send + 'static) {
        self.held.push(Box::new(held));
    }
}

impl Stream for FileContent {
    type Item = Result<Bytes, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.poll_next_unpin(cx)
    }
}

impl fmt::Debug for FileContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileContent")
    }
}
