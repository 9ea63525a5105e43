//! Heads of requests reach the HTTP library complete, and not too many at once.
//!
//! HPACK sends a header as one byte, of which the library makes 70 to 200 in
//! memory. It reads the beginning of a block of headers before the rest arrives,
//! and all blocks that have arrived before it hands out the first request. So
//! the beginning of a block waits here, as small as it was sent, and the requests of
//! one connection are handed out before the next are read.

use super::{reading_turns::ReadingTurns, request_frames::RequestFrames};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, ReadBuf};

/// Maximum size of a block of headers that waits, in bytes as sent. The library
/// closes the connection for as many CONTINUATION frames.
const MAX_WAITING: usize = 256 * 1024;

/// How much of blocks of headers the library reads in one turn, as
/// [`RequestFrames::headers`] counts them, up to the end of a block more. Usual requests
/// have 100 to 600.
const MAX_IN_TURN: u64 = 4 * 1024;

/// The same while other connections wait.
const MAX_IN_AWAITED_TURN: u64 = 1024;

/// The same for a peer whose heads are costly.
const MAX_IN_COSTLY_TURN: u64 = 512;

/// Number of bytes that are read at once while a block waits.
const PIECE: usize = 4 * 1024;

/// Reads what a peer sends, so that blocks of headers are complete.
#[derive(Debug)]
pub struct WholeHeads {
    turns: ReadingTurns,
    frames: RequestFrames,
    /// What is received and is of a later turn.
    later: Vec<u8>,
    /// What was received next and is not passed on.
    waiting: Vec<u8>,
    /// The number of the turn.
    turn: u64,
    /// Bytes of blocks of headers before this turn.
    before: u64,
    /// Whether a block was too large to wait: the library closes the connection.
    is_too_large: bool,
}

impl WholeHeads {
    /// Reads in these turns.
    pub fn new(turns: ReadingTurns) -> Self {
        WholeHeads {
            turns,
            frames: RequestFrames::default(),
            later: Vec::new(),
            waiting: Vec::new(),
            turn: 0,
            before: 0,
            is_too_large: false,
        }
    }

    /// The number of the part that the peer must finish, if it is waited for.
    pub fn unfinished(&self) -> Option<u64> {
        match self.turns.is_paused() {
            true => None,
            false => self.frames.unfinished(),
        }
    }

    /// Reads from `io`, like [`AsyncRead::poll_read`].
    pub fn poll_read<I: AsyncRead + Unpin>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_turn());
        let before = buffer.filled().len();
        loop {
            if !self.waiting.is_empty() && self.pass(buffer) {
                return Poll::Ready(Ok(()));
            }
            let read = match self.waiting.is_empty() {
                true => ready!(self.poll_direct(io, cx, buffer))?,
                false => ready!(self.poll_waiting(io, cx))?,
            };
            if read == 0 || buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Whether more may be read in this turn.
    fn poll_turn(&mut self) -> Poll<()> {
        let Some(turn) = self.turns.current() else {
            return Poll::Pending;
        };
        if turn != self.turn {
            self.turn = turn;
            self.before = self.frames.headers();
        }
        if self.frames.headers() > self.max_headers() && self.waiting.is_empty() {
            // What was read is handed out before the next turn.
            self.turns.pause();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// How far this turn goes, see [`RequestFrames::headers`].
    fn max_headers(&self) -> u64 {
        let length = match (self.turns.are_costly(), self.turns.are_awaited()) {
            (true, _) => MAX_IN_COSTLY_TURN,
            (false, true) => MAX_IN_AWAITED_TURN,
            (false, false) => MAX_IN_TURN,
        };
        self.before + length
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

    /// Reads into the buffer, except what must wait. Returns the number of bytes
    /// that were read.
    fn poll_direct<I: AsyncRead + Unpin>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        ready!(self.poll_next(io, cx, buffer))?;
        let bytes = self.follow(buffer, before);
        let passed = bytes - self.to_wait(bytes);
        self.waiting
            .extend_from_slice(&buffer.filled()[before + passed..]);
        buffer.set_filled(before + passed);
        Poll::Ready(Ok(bytes))
    }

    /// Reads what follows the beginning of a block. Returns the number of bytes.
    fn poll_waiting<I: AsyncRead + Unpin>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut piece = [0; PIECE];
        let mut piece = ReadBuf::new(&mut piece);
        ready!(self.poll_next(io, cx, &mut piece))?;
        let bytes = self.follow(&mut piece, 0);
        self.waiting.extend_from_slice(piece.filled());
        Poll::Ready(Ok(bytes))
    }

    /// Reads what was received before, or is now.
    fn poll_next<I: AsyncRead + Unpin>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.later.is_empty() {
            return Pin::new(io).poll_read(cx, buffer);
        }
        let bytes = self.later.len().min(buffer.remaining());
        buffer.put_slice(&self.later[..bytes]);
        self.later.drain(..bytes);
        if self.later.is_empty() {
            self.later = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Follows what was read after the first `before` bytes of a buffer, and keeps what is
    /// of a later turn. Returns the number of the other bytes.
    fn follow(&mut self, buffer: &mut ReadBuf<'_>, before: usize) -> usize {
        let read = &buffer.filled()[before..];
        let bytes = self.frames.feed(read, self.max_headers());
        self.later.splice(..0, read[bytes..].iter().copied());
        buffer.set_filled(before + bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{peers::Peer, reading_queue::ReadingQueue};
    use futures::FutureExt;
    use proptest::prelude::*;
    use std::{future::poll_fn, pin::pin};
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    const HEADERS: u8 = 0x1;
    const SETTINGS: u8 = 0x4;
    const PING: u8 = 0x6;
    const CONTINUATION: u8 = 0x9;
    const END_HEADERS: u8 = 0x4;

    /// As much as the library reads at once.
    const BUFFER: usize = 1000;

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

    /// A connection that reads, and keeps what is passed on.
    struct Reader {
        peer: DuplexStream,
        io: DuplexStream,
        turns: ReadingTurns,
        heads: WholeHeads,
        passed: Vec<u8>,
    }

    impl Reader {
        fn new() -> Reader {
            let (peer, io) = duplex(1 << 20);
            let turns = ReadingTurns::new(ReadingQueue::default(), Peer::for_tests());
            Reader {
                peer,
                io,
                heads: WholeHeads::new(turns.clone()),
                turns,
                passed: Vec::new(),
            }
        }

        fn receive(&mut self, bytes: &[u8]) {
            self.peer.write_all(bytes).now_or_never().unwrap().unwrap();
        }

        /// One turn, in which the library reads again and again, as it does after
        /// each request that it hands out. Returns what is passed on.
        fn turn(&mut self) -> Vec<u8> {
            let (heads, io, passed) = (&mut self.heads, &mut self.io, &mut self.passed);
            let reading = poll_fn(|cx| {
                for _ in 0..100 {
                    let mut buffer = [0; BUFFER];
                    let mut buffer = ReadBuf::new(&mut buffer);
                    if heads.poll_read(io, cx, &mut buffer).is_ready() {
                        passed.extend_from_slice(buffer.filled());
                    }
                }
                Poll::<()>::Pending
            });
            let _ = self.turns.run(pin!(reading)).now_or_never();
            std::mem::take(&mut self.passed)
        }
    }

    /// What is passed on of each piece.
    fn passed(pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut reader = Reader::new();
        let after = |piece: &Vec<u8>| {
            reader.receive(piece);
            let mut passed = Vec::new();
            loop {
                let turn = reader.turn();
                if turn.is_empty() {
                    return passed;
                }
                passed.extend(turn);
            }
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
    fn few_headers_are_read_in_a_turn() {
        let mut reader = Reader::new();
        let head = frame(HEADERS, END_HEADERS, &[7; 300]);
        let sent = [begun(), head.repeat(60)].concat();
        reader.receive(&sent);
        let mut passed = Vec::new();
        while passed.len() < sent.len() {
            let turn = reader.turn();
            let heads = if reader.turns.are_costly() { 3 } else { 14 };
            assert!((1..=begun().len() + heads * head.len()).contains(&turn.len()));
            passed.extend(turn);
            if passed.len() > sent.len() / 2 {
                reader.turns.shorten();
            }
        }
        assert_eq!(passed, sent);
    }

    #[test]
    fn nothing_is_read_while_many_calls_have_not_begun() {
        let queue = ReadingQueue::default();
        let mut reader = Reader::new();
        reader.turns = ReadingTurns::new(queue.clone(), Peer::for_tests());
        reader.heads = WholeHeads::new(reader.turns.clone());
        reader.receive(&begun());
        (0..1000).for_each(|_| queue.call_handed_out());
        assert!(reader.turn().is_empty());
        // Nobody knows yet what the peer owes.
        assert_eq!(reader.heads.unfinished(), None);
        (0..1000).for_each(|_| queue.call_begun());
        assert_eq!(reader.turn(), begun());
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
