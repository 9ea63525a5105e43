//! The body of a request: one message, gathered before it is read.

use super::{
    budget::{MessageBytes, NoRoom},
    decompress::{Decompression, Undecompressed},
};
use crate::status;
use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;
use http_body_util::BodyExt;
use pin_project_lite::pin_project;
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};
use tonic::{Status, codegen::StdError};

/// Length of the header of a message: a flag and the length.
const HEADER: usize = 5;

/// Pieces below this size are joined, in bytes: a piece keeps the buffer that it
/// was read into.
const SMALL: usize = 4 * 1024;

/// Size up to which small pieces are joined, in bytes.
const JOINED: usize = 64 * 1024;

/// How much is decompressed before other tasks have a turn, in pieces.
const PIECES_A_TURN: usize = 8;

pin_project! {
    /// A body that yields its message once it has arrived as a whole, uncompressed.
    /// What it holds is drawn from a budget.
    pub struct GatheredBody<B> {
        #[pin]
        body: B,
        message: Message,
    }
}

struct Message {
    headers: Option<HeaderMap>,
    bytes: Arc<MessageBytes>,
    max_bytes: usize,
    longest_wait: Duration,
    pieces: VecDeque<Bytes>,
    /// Small pieces, joined, that follow `pieces`.
    small: BytesMut,
    received: usize,
    /// Arrived or decompressed, and not yet drawn from the budget.
    undrawn: Option<Bytes>,
    waiting: Option<Pin<Box<Sleep>>>,
    state: State,
}

enum State {
    Gathers,
    Decompresses(Decompression),
    Yields,
    Over,
}

impl<B> GatheredBody<B> {
    /// Gathers a message of at most `max_bytes`, as sent and decompressed. Its
    /// encoding is in these headers.
    pub fn new(
        body: B,
        headers: &HeaderMap,
        bytes: Arc<MessageBytes>,
        max_bytes: usize,
        longest_wait: Duration,
    ) -> Self {
        let is_encoded = headers.contains_key("grpc-encoding");
        GatheredBody {
            body,
            message: Message {
                headers: is_encoded.then(|| headers.clone()),
                bytes,
                max_bytes,
                longest_wait,
                pieces: VecDeque::new(),
                small: BytesMut::new(),
                received: 0,
                undrawn: None,
                waiting: None,
                state: State::Gathers,
            },
        }
    }
}

impl<B> http_body::Body for GatheredBody<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<StdError>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        let message = this.message;
        loop {
            ready!(message.poll_drawn(cx))?;
            match &mut message.state {
                State::Gathers => {
                    let Some(frame) = ready!(this.body.as_mut().poll_frame(cx)) else {
                        // Cut off: the library says so.
                        message.join_small();
                        message.state = State::Yields;
                        continue;
                    };
                    let frame = frame.map_err(|error| Status::from_error(error.into()))?;
                    if let Ok(data) = frame.into_data() {
                        message.received += data.len();
                        message.undrawn = Some(data).filter(|data| !data.is_empty());
                    }
                }
                State::Decompresses(_) => ready!(message.poll_decompressed(cx))?,
                State::Yields => match message.pieces.pop_front() {
                    Some(piece) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                    None => message.state = State::Over,
                },
                State::Over => {
                    return match ready!(this.body.as_mut().poll_frame(cx)) {
                        Some(Ok(frame)) if frame.is_data() => {
                            if frame.data_ref().is_some_and(Bytes::is_empty) {
                                continue;
                            }
                            Poll::Ready(Some(Err(status::malformed_message())))
                        }
                        Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
                        Some(Err(error)) => {
                            Poll::Ready(Some(Err(Status::from_error(error.into()))))
                        }
                        None => Poll::Ready(None),
                    };
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.message.state, State::Over) && self.body.is_end_stream()
    }
}

impl Message {
    /// Draws what arrived last, and files it.
    fn poll_drawn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let Some(piece) = &self.undrawn else {
            return Poll::Ready(Ok(()));
        };
        match self.bytes.poll_draw(cx, piece.len()) {
            Poll::Ready(Ok(())) => {
                self.waiting = None;
                let piece = self.undrawn.take().unwrap_or_default();
                Poll::Ready(match self.state {
                    State::Gathers => self.gather(piece),
                    _ => {
                        self.pieces.push_back(piece);
                        Ok(())
                    }
                })
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.no_room(error))),
            Poll::Pending => {
                let longest = self.longest_wait;
                let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(longest)));
                ready!(waiting.as_mut().poll(cx));
                Poll::Ready(Err(self.no_room(NoRoom::Busy)))
            }
        }
    }

    fn no_room(&self, error: NoRoom) -> Status {
        match error {
            NoRoom::TooLarge => status::message_too_large(self.max_bytes),
            NoRoom::Busy => status::out_of_message_memory(),
        }
    }

    /// Files a piece, and goes on if the message has arrived as a whole.
    fn gather(&mut self, piece: Bytes) -> Result<(), Status> {
        let is_alone = self.pieces.is_empty() && self.small.is_empty();
        let is_all =
            is_alone && length_of(&mut piece.iter()).is_some_and(|it| HEADER + it == piece.len());
        if piece.len() < SMALL && !is_all {
            self.small.extend_from_slice(&piece);
            if self.small.len() >= JOINED {
                self.join_small();
            }
        } else {
            self.join_small();
            self.pieces.push_back(piece);
        }
        let mut bytes = self.pieces.iter().flatten().chain(&self.small);
        let flag = bytes.clone().next().copied();
        let Some(length) = length_of(&mut bytes) else {
            return Ok(());
        };
        if length > self.max_bytes {
            return Err(status::message_too_large(self.max_bytes));
        }
        let end = HEADER + length;
        if self.received > end {
            return Err(status::malformed_message());
        }
        if self.received < end {
            return Ok(());
        }
        self.join_small();
        let headers = self.headers.take();
        self.state = match (flag, headers) {
            (Some(1), Some(headers)) => {
                let compressed = without_header(std::mem::take(&mut self.pieces));
                let begun = Decompression::begin(&headers, compressed, self.max_bytes);
                State::Decompresses(begun.map_err(|error| self.undecompressed(error))?)
            }
            // Without an encoding the library rejects the flag.
            _ => self.whole(),
        };
        Ok(())
    }

    fn join_small(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push_back(self.small.split().freeze());
        }
    }

    fn poll_decompressed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        for _ in 0..PIECES_A_TURN {
            let State::Decompresses(decompression) = &mut self.state else {
                return Poll::Ready(Ok(()));
            };
            match decompression.next() {
                Ok(Some(piece)) => {
                    self.undrawn = Some(piece);
                    ready!(self.poll_drawn(cx))?;
                }
                Ok(None) => {
                    self.with_header();
                    self.state = self.whole();
                }
                Err(error) => return Poll::Ready(Err(self.undecompressed(error))),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn whole(&self) -> State {
        self.bytes.whole();
        State::Yields
    }

    fn with_header(&mut self) {
        let length: usize = self.pieces.iter().map(Bytes::len).sum();
        let mut header = BytesMut::with_capacity(HEADER);
        header.put_u8(0);
        header.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        self.pieces.push_front(header.freeze());
    }

    fn undecompressed(&self, error: Undecompressed) -> Status {
        match error {
            Undecompressed::TooLarge => status::message_too_large(self.max_bytes),
            Undecompressed::Malformed => status::malformed_message(),
        }
    }
}

/// The message of a gathered body, without its header.
///
/// # Errors
/// With the status of the body, or when it is not one whole message.
pub async fn gathered_message<B>(body: B) -> Result<Bytes, Status>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<StdError>,
{
    let collected = body.collect().await;
    let collected = collected.map_err(|error| Status::from_error(error.into()))?;
    let mut bytes = collected.to_bytes();
    let is_whole = length_of(&mut bytes.iter()).is_some_and(|it| HEADER + it == bytes.len());
    match bytes.first() {
        Some(0) if is_whole => Ok(bytes.split_off(HEADER)),
        _ => Err(status::malformed_message()),
    }
}

/// The length in the header of a message, if it is there.
fn length_of<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<usize> {
    let mut length = [0; 4];
    let mut bytes = bytes.skip(1);
    for byte in &mut length {
        *byte = *bytes.next()?;
    }
    usize::try_from(u32::from_be_bytes(length)).ok()
}

fn without_header(mut pieces: VecDeque<Bytes>) -> VecDeque<Bytes> {
    let mut left = HEADER;
    while let Some(front) = pieces.front_mut() {
        let count = left.min(front.len());
        drop(front.split_to(count));
        left -= count;
        if left == 0 {
            break;
        }
        pieces.pop_front();
    }
    pieces
}
