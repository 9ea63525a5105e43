//! A connection whose peer must finish what it begins.
//!
//! A preface, SETTINGS or head of a request that never becomes complete would
//! hold the connection until its maximum age: the HTTP library limits heads in
//! HTTP/1.1 only. Reading fails when the time is up, which ends the connection.

use super::{reading_turns::ReadingTurns, whole_heads::WholeHeads};
use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// A stream of bytes from a peer, with a deadline for the parts of its requests.
#[derive(Debug)]
pub struct RequestDeadline<I> {
    io: I,
    heads: WholeHeads,
    timeout: Duration,
    /// Runs for the part with this number.
    timer: Option<(u64, Pin<Box<Sleep>>)>,
}

impl<I> RequestDeadline<I> {
    /// Reads in these turns, and gives the peer this much time for each part.
    pub fn new(io: I, turns: ReadingTurns, timeout: Duration) -> Self {
        RequestDeadline {
            io,
            heads: WholeHeads::new(turns),
            timeout,
            timer: None,
        }
    }

    /// Called while the peer sends nothing: fails when the part is overdue.
    fn poll_overdue(&mut self, part: u64, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let timeout = self.timeout;
        let (running, timer) = self
            .timer
            .get_or_insert_with(|| (part, Box::pin(sleep(timeout))));
        if *running != part {
            *running = part;
            timer.as_mut().reset(Instant::now() + timeout);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for RequestDeadline<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.heads.poll_read(&mut this.io, cx, buffer) {
            Poll::Ready(read) => Poll::Ready(read),
            Poll::Pending => match this.heads.unfinished() {
                Some(part) => this.poll_overdue(part, cx),
                None => Poll::Pending,
            },
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for RequestDeadline<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{peers::Peer, reading_queue::ReadingQueue};
    use std::pin::pin;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use tokio::time::timeout;

    const TIMEOUT: Duration = Duration::from_secs(10);

    /// Sends a piece every second, without an end, and returns what reading
    /// ended with and how long it took.
    async fn dribbled(start: &[u8], piece: &'static [u8]) -> (io::ErrorKind, Duration) {
        let (mut peer, io) = duplex(1024);
        let turns = ReadingTurns::new(ReadingQueue::default(), Peer::for_tests());
        let mut reader = RequestDeadline::new(io, turns.clone(), TIMEOUT);
        peer.write_all(start).await.unwrap();
        tokio::spawn(async move {
            while peer.write_all(piece).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let began = Instant::now();
        let mut received = Vec::new();
        let reading = pin!(reader.read_to_end(&mut received));
        let ended = turns.run(reading).await;
        (ended.unwrap_err().kind(), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_dribbled_is_overdue_all_the_same() {
        let begun = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let headers = [&begun[..], b"\0\0\x01\x01\0\0\0\0\x01a"].concat();
        // CONTINUATION frames without END_HEADERS.
        for (start, piece) in [
            (&b"P"[..], &b""[..]),
            (&begun[..20], b""),
            (&headers, b"\0\0\x01\x09\0\0\0\0\x01a"),
        ] {
            let (error, after) = dribbled(start, piece).await;
            assert_eq!(error, io::ErrorKind::TimedOut);
            assert!(after >= TIMEOUT && after < TIMEOUT * 2, "{after:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_not_read_owes_nothing() {
        let queue = ReadingQueue::default();
        let turns = ReadingTurns::new(queue.clone(), Peer::for_tests());
        let (mut peer, io) = duplex(1024);
        let mut reader = RequestDeadline::new(io, turns.clone(), TIMEOUT);
        peer.write_all(b"P").await.unwrap();
        let mut received = Vec::new();
        let mut reading = pin!(reader.read_to_end(&mut received));
        // It has begun a preface.
        assert!(
            timeout(TIMEOUT / 2, turns.run(reading.as_mut()))
                .await
                .is_err()
        );
        (0..1000).for_each(|_| queue.call_handed_out());
        peer.write_all(b"R").await.unwrap();
        assert!(
            timeout(TIMEOUT * 3, turns.run(reading.as_mut()))
                .await
                .is_err()
        );
        (0..1000).for_each(|_| queue.call_begun());
        let ended = turns.run(reading.as_mut()).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
