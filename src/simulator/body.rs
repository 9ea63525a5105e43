//! Bodies of answers: whole, or a stream that is produced as it is read.

use super::state::InFlight;
use bytes::Bytes;
use futures::Stream;
use http::{HeaderValue, Response, header};
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use thiserror::Error;

/// The simulator breaks off here on purpose: hyper closes the connection, or
/// resets the stream.
#[derive(Debug, Error)]
pub(super) enum BrokenOff {
    #[error("broken off on purpose")]
    Cut,
    /// As a server does that has not looked at the request: hyper takes the code
    /// of the reset from the source.
    #[error("refused on purpose")]
    Refused(#[source] h2::Error),
}

/// Pieces of a body, each produced when it is polled for.
pub(super) type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, BrokenOff>> + Send>>;

/// A body, with the request that it answers.
pub(super) struct AnswerBody {
    content: BodyContent,
    request: Option<InFlight>,
}

enum BodyContent {
    Whole(Option<Bytes>),
    Pieces(Pieces),
}

impl AnswerBody {
    /// A body made in pieces.
    pub(super) fn pieces(pieces: Pieces) -> Self {
        AnswerBody {
            content: BodyContent::Pieces(pieces),
            request: None,
        }
    }

    /// Ties the request to its answer: it ends with the last byte.
    pub(super) fn answer_to(&mut self, request: InFlight) {
        self.request = Some(request);
    }

    fn ended(&mut self) {
        if let Some(request) = &mut self.request {
            request.answered();
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let piece = match &mut self.content {
            BodyContent::Whole(bytes) => {
                let bytes = bytes.take();
                self.ended();
                return Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))));
            }
            BodyContent::Pieces(pieces) => pieces.as_mut().poll_next(context),
        };
        if let Poll::Ready(None | Some(Err(_))) = piece {
            self.ended();
        }
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, BodyContent::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            BodyContent::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            BodyContent::Pieces(_) => SizeHint::default(),
        }
    }
}

/// A whole body and its type.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    /// The complete body.
    pub(super) bytes: Bytes,
    /// Value of `content-type`.
    pub(super) content_type: &'static str,
}

impl Whole {
    /// A body of type `application/json`.
    pub(super) fn json(text: impl Into<Bytes>) -> Self {
        Whole {
            bytes: text.into(),
            content_type: "application/json",
        }
    }

    /// A response with status 200 and this body.
    pub(super) fn respond(self) -> Response<AnswerBody> {
        respond(
            self.content_type,
            AnswerBody {
                content: BodyContent::Whole(Some(self.bytes)),
                request: None,
            },
        )
    }
}

/// A 200 with a body that may be a stream.
pub(super) fn respond(content_type: &'static str, body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
