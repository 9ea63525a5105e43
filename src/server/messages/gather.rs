//! The body of a request: messages, each gathered before it is read.

use super::{
    chunks::Chunks,
    decompress::{Decompression, MAX_RATIO, Undecompressed},
    decompression_turns::{DecompressionTurn, DecompressionTurns},
};
use crate::{
    memory::{MessageBytes, NoRoom},
    proto::DecodedSize,
    status,
};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt, BodyStream, StreamBody};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::time::{Sleep, sleep};
use tonic::{Status, body::Body, codegen::StdError};

/// Length of the header of a message: a flag and the length.
const HEADER: usize = 5;

/// How much is decompressed before other tasks have a turn, in pieces.
const PIECES_A_TURN: usize = 8;

pin_project! {
    /// A body that yields each message once it has arrived as a whole, uncompressed.
    /// What a message holds is drawn from a budget.
    pub struct GatheredBody<B> {
        #[pin]
        body: B,
        message: Message,
    }
}

/// How many messages a body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageCount {
    /// A single one.
    One,
    /// A stream of them. What one holds becomes free when the next one is asked for.
    Stream,
}

struct Message {
    count: MessageCount,
    headers: Option<HeaderMap>,
    bytes: Arc<MessageBytes>,
    decoded_size: DecodedSize,
    max_bytes: usize,
    gathered: Chunks,
    /// Arrived, and not yet looked at.
    arrived: Bytes,
    /// Arrived for this message or decompressed, and not yet drawn from the budget.
    undrawn: Option<Bytes>,
    waiting: Option<Pin<Box<Sleep>>>,
    turns: DecompressionTurns,
    state: State,
}

enum State {
    Gathers,
    Decompresses(Decompression, DecompressionTurn),
    /// Draws what the message takes once it is decoded.
    Measured(usize),
    Yields,
    Over,
}

impl<B> GatheredBody<B> {
    /// Gathers messages of at most `max_bytes` each, as sent and decompressed. Their
    /// encoding is in these headers. The first one draws `bytes`, and each one also what
    /// it takes once it is decoded.
    pub fn new(
        body: B,
        headers: &HeaderMap,
        count: MessageCount,
        bytes: Arc<MessageBytes>,
        decoded_size: DecodedSize,
        max_bytes: usize,
        turns: DecompressionTurns,
    ) -> Self {
        let is_encoded = headers.contains_key("grpc-encoding");
        GatheredBody {
            body,
            message: Message {
                count,
                headers: is_encoded.then(|| headers.clone()),
                bytes,
                decoded_size,
                max_bytes,
                gathered: Chunks::default(),
                arrived: Bytes::new(),
                undrawn: None,
                waiting: None,
                turns,
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
                State::Gathers if !message.arrived.is_empty() => message.take_arrived(),
                State::Gathers => {
                    let Some(frame) = ready!(this.body.as_mut().poll_frame(cx)) else {
                        message.state = match message.gathered.is_empty() {
                            true => State::Over,
                            // Cut off: the library says so.
                            false => State::Yields,
                        };
                        continue;
                    };
                    let frame = frame.map_err(|error| Status::from_error(error.into()))?;
                    if let Ok(data) = frame.into_data() {
                        message.arrived = data;
                    }
                }
                State::Decompresses(..) => ready!(message.poll_decompressed(cx))?,
                State::Measured(bytes) => {
                    let bytes = *bytes;
                    ready!(message.poll_draw(cx, bytes)).map_err(|error| match error {
                        NoRoom::TooLarge => status::message_too_large_decoded(),
                        NoRoom::Busy => status::out_of_message_memory(),
                    })?;
                    message.bytes.whole();
                    message.state = State::Yields;
                }
                State::Yields => match message.gathered.pop_front() {
                    Some(chunk) => return Poll::Ready(Some(Ok(Frame::data(chunk)))),
                    None => message.next(),
                },
                State::Over if !message.arrived.is_empty() => {
                    return Poll::Ready(Some(Err(status::malformed_message())));
                }
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
        let length = piece.len();
        ready!(self.poll_draw(cx, length)).map_err(|error| self.no_room(error))?;
        let piece = self.undrawn.take().unwrap_or_default();
        Poll::Ready(match self.state {
            State::Gathers => self.gather(piece),
            _ => {
                self.gathered.extend(&piece);
                Ok(())
            }
        })
    }

    /// Draws bytes, and waits for room as long as a message may.
    fn poll_draw(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<Result<(), NoRoom>> {
        if let Poll::Ready(drawn) = self.bytes.poll_draw(cx, bytes) {
            self.waiting = None;
            return Poll::Ready(drawn);
        }
        // Others may go on, and end, meanwhile.
        if let State::Decompresses(_, turn) = &mut self.state {
            turn.leave();
        }
        let longest = self.bytes.longest_wait();
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(longest)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(NoRoom::Busy))
    }

    fn no_room(&self, error: NoRoom) -> Status {
        match error {
            NoRoom::TooLarge => status::message_too_large(self.max_bytes),
            NoRoom::Busy => status::out_of_message_memory(),
        }
    }

    /// Takes what belongs to this message from what has arrived.
    fn take_arrived(&mut self) {
        let needed = match self.gathered.first::<HEADER>() {
            Some(header) => HEADER + length_in(header) - self.gathered.len(),
            None => match length_of(&self.arrived).filter(|_| self.gathered.is_empty()) {
                Some(length) => HEADER.saturating_add(length),
                None => HEADER - self.gathered.len(),
            },
        };
        let taken = needed.min(self.arrived.len());
        self.undrawn = Some(self.arrived.split_to(taken));
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
        if self.gathered.len() < HEADER + length {
            return Ok(());
        }
        let headers = self.headers.take();
        if self.count == MessageCount::Stream {
            self.headers.clone_from(&headers);
        }
        self.state = match (header[0], headers) {
            (1, Some(headers)) => {
                let mut compressed = std::mem::take(&mut self.gathered);
                compressed.advance(HEADER);
                let begun = Decompression::begin(&headers, compressed, self.max_bytes);
                let begun = begun.map_err(|error| self.undecompressed(error))?;
                State::Decompresses(begun, self.turns.turn())
            }
            // Without an encoding the library rejects the flag.
            _ => self.whole(),
        };
        Ok(())
    }

    /// Goes on behind a message.
    fn next(&mut self) {
        self.state = match self.count {
            MessageCount::One => State::Over,
            MessageCount::Stream => {
                self.bytes = Arc::new(self.bytes.of_same_holder());
                State::Gathers
            }
        };
    }

    fn poll_decompressed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        for _ in 0..PIECES_A_TURN {
            let State::Decompresses(decompression, turn) = &mut self.state else {
                return Poll::Ready(Ok(()));
            };
            ready!(turn.poll_taken(cx, decompression.yielded()));
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
        let content = self.gathered.slices_from(HEADER);
        State::Measured(self.decoded_size.measure(content, self.bytes.capacity()))
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
            Undecompressed::TooDense => status::message_too_dense(MAX_RATIO),
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

/// The first message of a gathered body, without its header, and a body with all of its
/// messages, the first one as it was read here.
///
/// # Errors
/// With the status of the body, or when it ends before the message is whole.
pub async fn first_gathered_message<B>(body: B) -> Result<(Bytes, Body), Status>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError>,
{
    let mut body = Box::pin(body.map_err(|error| Status::from_error(error.into())));
    let mut first = BytesMut::new();
    // A frame has bytes of one message only.
    while length_of(&first).is_none_or(|length| first.len() < HEADER + length) {
        let frame = body.frame().await;
        let frame = frame.ok_or_else(status::malformed_message)??;
        if let Ok(data) = frame.into_data() {
            first.extend_from_slice(&data);
        }
    }
    let first = first.freeze();
    let message = first.slice(HEADER..);
    let frames = stream::iter([Ok(Frame::data(first))]).chain(BodyStream::new(body));
    Ok((message, Body::new(StreamBody::new(frames))))
}

/// The length in the header of a message, if it is there.
fn length_of(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk().copied().map(length_in)
}

fn length_in(header: [u8; HEADER]) -> usize {
    let [_flag, length @ ..] = header;
    u32::from_be_bytes(length) as usize
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
