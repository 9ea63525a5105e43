//! The body of a request: one message, gathered before it is read.

use super::{
    budget::{MessageBytes, NoRoom},
    chunks::Chunks,
    decompress::{Decompression, Undecompressed},
};
use crate::status;
use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;
use http_body_util::BodyExt;
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};
use tonic::{Status, codegen::StdError};

/// Length of the header of a message: a flag and the length.
const HEADER: usize = 5;

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
    gathered: Chunks,
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
                gathered: Chunks::default(),
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
                        message.state = State::Yields;
                        continue;
                    };
                    let frame = frame.map_err(|error| Status::from_error(error.into()))?;
                    if let Ok(data) = frame.into_data() {
                        message.undrawn = Some(data).filter(|data| !data.is_empty());
                    }
                }
                State::Decompresses(_) => ready!(message.poll_decompressed(cx))?,
                State::Yields => match message.gathered.pop_front() {
                    Some(chunk) => return Poll::Ready(Some(Ok(Frame::data(chunk)))),
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
                        self.gathered.extend(&piece);
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
        let is_all = self.gathered.is_empty()
            && length_of(&piece).is_some_and(|it| HEADER + it == piece.len());
        match is_all {
            // Most messages: not copied.
            true => self.gathered = Chunks::whole(piece),
            false => self.gathered.extend(&piece),
        }
        let Some(header) = self.gathered.first::<HEADER>() else {
            return Ok(());
        };
        let length = length_in(header);
        if length > self.max_bytes {
            return Err(status::message_too_large(self.max_bytes));
        }
        let end = HEADER + length;
        let received = self.gathered.len();
        if received > end {
            return Err(status::malformed_message());
        }
        if received < end {
            return Ok(());
        }
        let headers = self.headers.take();
        self.state = match (header[0], headers) {
            (1, Some(headers)) => {
                let mut compressed = std::mem::take(&mut self.gathered);
                compressed.advance(HEADER);
                let begun = Decompression::begin(&headers, compressed, self.max_bytes);
                State::Decompresses(begun.map_err(|error| self.undecompressed(error))?)
            }
            // Without an encoding the library rejects the flag.
            _ => self.whole(),
        };
        Ok(())
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
        let length = self.gathered.len();
        let mut header = BytesMut::with_capacity(HEADER);
        header.put_u8(0);
        header.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        self.gathered.push_front(header.freeze());
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
    let is_whole = length_of(&bytes).is_some_and(|it| HEADER + it == bytes.len());
    match bytes.first() {
        Some(0) if is_whole => Ok(bytes.split_off(HEADER)),
        _ => Err(status::malformed_message()),
    }
}

/// The length in the header of a message, if it is there.
fn length_of(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk().copied().map(length_in)
}

fn length_in(header: [u8; HEADER]) -> usize {
    let [_flag, length @ ..] = header;
    u32::from_be_bytes(length) as usize
}
