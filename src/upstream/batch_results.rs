//! The results of a batch: one JSON object for each line.

use super::UpstreamError;
use crate::claude::batches::BatchResult;
use bytes::{Bytes, BytesMut};
use futures::{
    Stream, StreamExt,
    future::{BoxFuture, OptionFuture},
    stream::BoxStream,
};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::timeout;

/// Maximum size of one line, in bytes; the largest answers of the API are far smaller.
const MAX_LINE: usize = 64 * 1024 * 1024;

/// The results of a batch, each read on demand. A body that breaks ends with an error.
/// Dropping it closes the upstream connection.
pub struct BatchResults {
    results: BoxStream<'static, Result<BatchResult, UpstreamError>>,
    /// Dropped after the results.
    held: Vec<Box<dyn Send>>,
}

// === impl BatchResults ===

impl BatchResults {
    /// Reads the lines of a body, of which no piece takes longer than `read_timeout`.
    pub fn of(
        body: impl Stream<Item = Result<Bytes, UpstreamError>> + Send + 'static,
        read_timeout: Duration,
    ) -> Self {
        let results = async_stream::stream! {
            let mut body = Box::pin(body);
            let mut lines = Lines::default();
            loop {
                while let Some(line) = lines.next() {
                    yield BatchResult::read(&line).map_err(UpstreamError::Malformed);
                }
                match timeout(read_timeout, body.next()).await {
                    Ok(Some(Ok(piece))) if lines.has_room_for(&piece) => lines.feed(&piece),
                    Ok(Some(Ok(_))) => {
                        yield Err(UpstreamError::Malformed("a line is too large".into()));
                        return;
                    }
                    Ok(Some(Err(error))) => {
                        yield Err(error);
                        return;
                    }
                    Ok(None) => break,
                    Err(_) => {
                        yield Err(UpstreamError::Stalled(read_timeout));
                        return;
                    }
                }
            }
            if let Some(line) = lines.rest() {
                yield BatchResult::read(&line).map_err(UpstreamError::Malformed);
            }
        };
        BatchResults {
            results: results.boxed(),
            held: Vec::new(),
        }
    }

    /// Passes each result to `inspect` when it is read. What that returns is awaited before
    /// the result is passed on.
    pub fn hold_back(
        &mut self,
        inspect: impl Fn(&BatchResult) -> Option<BoxFuture<'static, ()>> + Send + 'static,
    ) {
        let results = std::mem::replace(&mut self.results, futures::stream::empty().boxed());
        let held_back = results.then(move |result| {
            let until = result.as_ref().ok().and_then(&inspect);
            async move {
                OptionFuture::from(until).await;
                result
            }
        });
        self.results = held_back.boxed();
    }

    /// Keeps `held` until the results are dropped.
    pub fn hold(&mut self, held: impl Send + 'static) {
        self.held.push(Box::new(held));
    }
}

impl Stream for BatchResults {
    type Item = Result<BatchResult, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.results.poll_next_unpin(cx)
    }
}

impl fmt::Debug for BatchResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchResults")
    }
}

/// Splits pieces of a body into lines. Empty lines are skipped.
#[derive(Default)]
struct Lines {
    unread: BytesMut,
    /// How much of `unread` has no end of a line.
    searched: usize,
}

impl Lines {
    fn has_room_for(&self, piece: &Bytes) -> bool {
        self.unread.len() + piece.len() <= MAX_LINE
    }

    fn feed(&mut self, piece: &[u8]) {
        self.unread.extend_from_slice(piece);
    }

    fn next(&mut self) -> Option<BytesMut> {
        loop {
            let found = self.unread[self.searched..]
                .iter()
                .position(|it| *it == b'\n');
            let Some(found) = found else {
                self.searched = self.unread.len();
                return None;
            };
            let line = self.unread.split_to(self.searched + found + 1);
            self.searched = 0;
            if !line.trim_ascii().is_empty() {
                return Some(line);
            }
        }
    }

    fn rest(self) -> Option<BytesMut> {
        Some(self.unread).filter(|rest| !rest.trim_ascii().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    async fn ids(pieces: Vec<Result<Bytes, UpstreamError>>) -> Vec<Option<String>> {
        let results = BatchResults::of(stream::iter(pieces), Duration::from_secs(1));
        let ids = results.map(|result| result.ok().map(|it| it.custom_id));
        ids.collect().await
    }

    #[tokio::test]
    async fn lines_are_read_wherever_the_pieces_end() {
        let body = "{\"custom_id\":\"a\"}\r\n\n{\"custom_id\":\"b\"}\n{\"custom_id\":\"c\"}";
        let expected = ["a", "b", "c"].map(|id| Some(id.to_owned()));
        for size in 1..body.len() {
            let pieces = body
                .as_bytes()
                .chunks(size)
                .map(|it| Ok(Bytes::from_static(it)));
            assert_eq!(ids(pieces.collect()).await, expected, "{size}");
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_is_not_complete() {
        let piece = Bytes::from_static(b"{\"custom_id\":\"a\"}\n{\"cus");
        let read = ids(vec![Ok(piece), Err(UpstreamError::Broken)]).await;
        assert_eq!(read, [Some("a".to_owned()), None]);
    }
}
