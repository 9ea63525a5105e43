//! The last byte of a message, in a frame of its own.
//!
//! As soon as a window has room for one byte of a frame, the HTTP library takes all
//! of it, and the end of the response after it. What does not fit waits in the
//! library, for as long as the connection lasts, and the call is over: nothing counts
//! it or ends it. The next frame is taken only when the window had room for all that
//! came before. So a call whose last byte comes by itself goes on until then.

use bytes::Bytes;
use http_body::{Body as _, Frame};
use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::{Status, body::Body};

/// Cuts off the next frame of a message: up to its last byte, or that.
pub fn next_frame(message: &mut Bytes, max_bytes: usize) -> Bytes {
    let all_but_last = message.len().saturating_sub(1).max(1);
    message.split_to(all_but_last.min(max_bytes).min(message.len()))
}

/// A body whose messages keep their last byte for a frame of its own.
pub struct LastByte {
    body: Body,
    last: Bytes,
}

impl LastByte {
    /// The same body, in other frames.
    pub fn of(body: Body) -> Body {
        // A status alone: nothing may follow its headers.
        if body.is_end_stream() {
            return body;
        }
        let last = Bytes::new();
        Body::new(LastByte { body, last })
    }
}

impl http_body::Body for LastByte {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.last.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(mem::take(&mut self.last)))));
        }
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(polled.map(|polled| {
            Ok(match polled?.into_data() {
                Ok(mut data) => {
                    let first = next_frame(&mut data, usize::MAX);
                    self.last = data;
                    Frame::data(first)
                }
                Err(other) => other,
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    #[test]
    fn the_last_byte_comes_by_itself() {
        let frames = |text: &'static str, max_bytes| {
            let mut message = Bytes::from(text);
            let mut frames = Vec::new();
            while !message.is_empty() {
                frames.push(next_frame(&mut message, max_bytes));
            }
            frames
        };
        assert_eq!(frames("message", 100), ["messag", "e"]);
        assert_eq!(frames("message", 3), ["mes", "sag", "e"]);
        assert_eq!(frames("message", 4), ["mess", "ag", "e"]);
        assert_eq!(frames("m", 100), ["m"]);
        assert!(frames("", 100).is_empty());
    }

    #[tokio::test]
    async fn a_body_stays_the_same() {
        let mut body = LastByte::of(Body::new(Full::new(Bytes::from("message"))));
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        assert_eq!(frames, ["messag", "e"]);
        assert!(LastByte::of(Body::empty()).is_end_stream());
    }
}
