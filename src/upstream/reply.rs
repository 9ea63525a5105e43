//! What comes back from the API.

use super::UpstreamError;
use crate::claude::{
    answer::Message,
    event::StreamEvent,
    models::{ModelPage, TokenCount},
};
use futures::{Stream, StreamExt, stream::BoxStream};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

/// A successful answer, or the successful beginning of a stream.
#[derive(Debug)]
pub struct Reply {
    /// The API's id of the request.
    pub request_id: Option<String>,
    /// The answer.
    pub body: Body,
}

/// The answer itself.
#[derive(Debug)]
pub enum Body {
    /// To a messages request, whole.
    Message(Box<Message>),
    /// To a messages request, as events. The first one has already come:
    /// polling gives it at once.
    Events(EventStream),
    /// To `count_tokens`.
    TokenCount(TokenCount),
    /// To the catalogue.
    Models(ModelPage),
}

/// The events of a streamed answer. It ends after
/// [`StreamEvent::MessageStop`]; before that it ends only with an error, also
/// when the API cut it ([`UpstreamError::Broken`]) or sent an `error` event
/// ([`UpstreamError::Api`]). Dropping it closes the upstream connection.
///
/// Nothing is read ahead: each event is read when it is asked for, so a slow
/// reader slows the API down.
pub struct EventStream(BoxStream<'static, Result<StreamEvent, UpstreamError>>);

impl EventStream {
    /// Events from any stream.
    pub fn new(
        events: impl Stream<Item = Result<StreamEvent, UpstreamError>> + Send + 'static,
    ) -> Self {
        EventStream(events.boxed())
    }

    /// The same events; `held` is kept until the stream is dropped. A layer
    /// uses it to keep its permit as long as the answer runs.
    pub fn hold(self, held: impl Send + 'static) -> Self {
        EventStream::new(self.0.map(move |event| {
            let _held = &held;
            event
        }))
    }
}

impl Stream for EventStream {
    type Item = Result<StreamEvent, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventStream")
    }
}
