//! Heads of requests reach the HTTP library complete, and not too many at once.
//!
//! HPACK sends a header as one byte, of which the library makes 70 to 200 in
//! memory. It reads the beginning of a block of headers before the rest arrives,
//! and all blocks that have arrived before it hands out the first request. So
//! the beginning of a block waits here, as small as it was sent, and the requests of
//! one connection are handed out before the next are read.

use super::request_frames::RequestFrames;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Maximum size of a block of headers that waits, in bytes as sent. The library
/// closes the connection for as many CONTINUATION frames.
const MAX_WAITING: usize = 256 * 1024;

/// How much of blocks of headers the library reads at once, in bytes as sent, up to
/// the size of its buffer more. Usual requests have 50 to 500.
const MAX_AT_ONCE: u64 = 4 * 1024;

/// Number of bytes that are read at once while a block waits.
const PIECE: usize = 4 * 1024;

/// A stream of bytes from a peer, in which blocks of headers are complete.
#[derive(Debug)]
pub struct WholeHeads<I> {
    io: I,
    frames: RequestFrames,
    /// What is received and not passed on.
    waiting: Vec<u8>,
    /// Bytes of blocks of headers at the last pause.
    paused_at: u64,
    /// Whether a block was too large to wait: the library closes the connection.
    is_too_large: bool,
}

impl<I> WholeHeads<I> {
    /// Passes on what `io` reads.
    pub fn new(io: I) -> Self {
        WholeHeads {
            io,
            frames: RequestFrames::default(),
            waiting: Vec::new(),
            paused_at: 0,
            is_too_large: false,
        }
    }

    /// Where the peer is in its requests.
    pub fn frames(&self) -> &RequestFrames {
        &self.frames
    }

    /// Passes on what waits, as far as it may. Returns whether there was something.
    fn pass(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        self.is_too_large |= self.waiting.len() > MAX_WAITING;
        let kept = self.to_wait(self.waiting.len());
        let bytes = (self.waiting.len() - kept).min(buffer.remaining());
        if bytes == 0 {
            return false;
        }
        buffer.put_slice(&self.waiting[..bytes]);
        self.waiting.drain(..bytes);
        if self.waiting.is_empty() {
            self.waiting = Vec::new();
        }
        true
    }

    /// How many of the last `bytes`, which were not passed on, must wait.
    fn to_wait(&self, bytes: usize) -> usize {
        if self.is_too_large {
            return 0;
        }
        let incomplete = self.frames.received() - self.frames.complete();
        usize::try_from(incomplete).map_or(bytes, |it| it.min(bytes))
    }
}

impl<I: AsyncRead + Unpin> WholeHeads<I> {
    /// Reads into the buffer, except what must wait. Returns the number of bytes
    /// that were read.
    fn poll_direct(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let read = &buffer.filled()[before..];
        let bytes = read.len();
        self.frames.feed(read);
        let passed = bytes - self.to_wait(bytes);
        self.waiting.extend_from_slice(&read[passed..]);
        buffer.set_filled(before + passed);
        Poll::Ready(Ok(bytes))
    }

    /// Reads what follows the beginning of a block. Returns the number of bytes.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut piece = [0; PIECE];
        let mut piece = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut piece))?;
        self.frames.feed(piece.filled());
        self.waiting.extend_from_slice(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for WholeHeads<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.frames.headers() - this.paused_at > MAX_AT_ONCE && this.waiting.is_empty() {
            this.paused_at = this.frames.headers();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        loop {
            if !this.waiting.is_empty() && this.pass(buffer) {
                return Poll::Ready(Ok(()));
            }
            let read = match this.waiting.is_empty() {
                true => ready!(this.poll_direct(cx, buffer))?,
                false => ready!(this.poll_waiting(cx))?,
            };
            if read == 0 || buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for WholeHeads<I> {
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
    use futures::FutureExt;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const HEADERS: u8 = 0x1;
    const SETTINGS: u8 = 0x4;
    const PING: u8 = 0x6;
    const CONTINUATION: u8 = 0x9;
    const END_HEADERS: u8 = 0x4;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.extend(payload);
        frame
    }

    fn begun() -> Vec<u8> {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        [&preface[..], &frame(SETTINGS, 0, &[])].concat()
    }

    /// What is passed on of each piece.
    fn passed(pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let (mut peer, io) = duplex(1 << 20);
        let mut reader = WholeHeads::new(io);
        let after = |piece: &Vec<u8>| {
            peer.write_all(piece).now_or_never().unwrap().unwrap();
            let mut received = Vec::new();
            let mut idle = 0;
            while idle < 2 {
                let mut buffer = [0; 1000];
                match reader.read(&mut buffer).now_or_never() {
                    Some(read) => {
                        received.extend_from_slice(&buffer[..read.unwrap()]);
                        idle = 0;
                    }
                    // Once for a pause.
                    None => idle += 1,
                }
            }
            received
        };
        pieces.iter().map(after).collect()
    }

    #[test]
    fn a_block_of_headers_waits_for_its_end() {
        let first = frame(HEADERS, 0, b"abc");
        let more = frame(CONTINUATION, 0, &[7; 5000]);
        let last = frame(CONTINUATION, END_HEADERS, b"d");
        let ping = frame(PING, 0, &[0; 8]);
        let pieces = [
            begun(),
            [&ping[..], &first].concat(),
            more.clone(),
            [&last[..], &ping, &first].concat(),
            last.clone(),
        ];
        let received = passed(&pieces);
        let all_but_one = &first[..first.len() - 1];
        assert_eq!(received[0], begun());
        // The library does not read a frame whose last byte is missing.
        assert_eq!(received[1], [&ping[..], all_but_one].concat());
        assert!(received[2].is_empty());
        let rest = [&first[first.len() - 1..], &more, &last, &ping, all_but_one].concat();
        assert_eq!(received[3], rest);
        assert_eq!(received[4], [&first[first.len() - 1..], &last].concat());
    }

    #[test]
    fn what_is_wrong_is_passed_on_at_once() {
        let first = frame(HEADERS, 0, b"abc");
        let ping = frame(PING, 0, &[0; 8]);
        let received = passed(&[begun(), first.clone(), ping.clone()]);
        assert_eq!(received[2], [&first[first.len() - 1..], &ping].concat());
        // More than any block that the library reads.
        let more = frame(CONTINUATION, 0, &[7; 16 * 1024]).repeat(17);
        let received = passed(&[begun(), first, more.clone()]);
        assert_eq!(received[2].len(), 1 + more.len());
    }

    #[test]
    fn reading_pauses_after_many_headers() {
        let (mut peer, io) = duplex(1 << 20);
        let mut reader = WholeHeads::new(io);
        let head = frame(HEADERS, END_HEADERS, &[7; 1000]);
        let sent = [begun(), head.repeat(20)].concat();
        peer.write_all(&sent).now_or_never().unwrap().unwrap();
        let (mut received, mut pauses) = (0, 0);
        while received < sent.len() {
            match reader.read(&mut [0; 1000]).now_or_never() {
                Some(read) => received += read.unwrap(),
                None => pauses += 1,
            }
        }
        assert!((3..=5).contains(&pauses), "{pauses}");
    }

    proptest! {
        #[test]
        fn everything_arrives_in_its_order(
            kinds in proptest::collection::vec((0_u8..11, 0_u8..8, 0_usize..3000), 0..60),
            cut in 1_usize..5000,
        ) {
            let frames = kinds.iter().map(|(kind, flags, length)| frame(*kind, *flags, &vec![*flags; *length]));
            let end = frame(CONTINUATION, END_HEADERS, b"");
            let sent = [begun(), frames.flatten().collect(), end].concat();
            let pieces: Vec<Vec<u8>> = sent.chunks(cut).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(passed(&pieces).concat(), sent);
        }
    }
}
