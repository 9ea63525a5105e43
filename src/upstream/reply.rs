//! What comes back from the API.

use super::{UpstreamError, usage_meter::UsageMeter};
use crate::claude::{
    answer::{Message, Usage},
    event::StreamEvent,
    models::{ModelPage, TokenCount},
};
use futures::{Stream, StreamExt, stream::BoxStream};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
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
    /// polling returns it at once.
    Events(EventStream),
    /// To `count_tokens`.
    TokenCount(TokenCount),
    /// To the catalogue.
    Models(ModelPage),
}

type Event = Result<StreamEvent, UpstreamError>;

/// The events of a streamed answer. It ends after
/// [`StreamEvent::MessageStop`]; before that it ends only with an error, also
/// when the API cut it ([`UpstreamError::Broken`]) or sent an `error` event
/// ([`UpstreamError::Api`]). Dropping it closes the upstream connection.
///
/// Nothing is read ahead: each event is read when it is asked for, so a slow
/// reader slows the API down.
pub struct EventStream {
    /// An event that was read before its turn.
    first: Option<Event>,
    events: BoxStream<'static, Event>,
    meter: UsageMeter,
    /// Dropped after the events.
    held: Vec<Box<dyn Send>>,
}

impl EventStream {
    /// The events of any stream.
    pub fn new(events: impl Stream<Item = Event> + Send + 'static) -> Self {
        EventStream {
            first: None,
            events: events.boxed(),
            meter: UsageMeter::default(),
            held: Vec::new(),
        }
    }

    /// What the events that were read have used.
    pub fn meter(&self) -> &UsageMeter {
        &self.meter
    }

    /// Keeps `held` until the stream is dropped: a permit, or what is settled
    /// when the answer ends.
    pub fn hold(&mut self, held: impl Send + 'static) {
        self.held.push(Box::new(held));
    }

    /// The same events, each shown to `inspect` as it is read.
    #[must_use]
    pub fn inspect(self, mut inspect: impl FnMut(&Event) + Send + 'static) -> Self {
        self.first.iter().for_each(&mut inspect);
        EventStream {
            events: self.events.inspect(inspect).boxed(),
            ..self
        }
    }

    /// Waits for the first event, which is read again later.
    ///
    /// # Errors
    /// When there is none, or an error instead.
    pub async fn begun(mut self) -> Result<Self, UpstreamError> {
        let first = self.next().await.ok_or(UpstreamError::Broken)??;
        self.first = Some(Ok(first));
        Ok(self)
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        let event = ready!(self.events.poll_next_unpin(cx));
        if let Some(Ok(event)) = &event {
            self.meter.count(event);
        }
        Poll::Ready(event)
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventStream")
    }
}

/// The usage of an answer, for whatever is settled when the answer ends.
#[derive(Debug, Clone)]
pub enum AnswerUsage {
    /// Of a whole answer.
    Whole(Usage),
    /// Of a stream, so far.
    Streamed(UsageMeter),
}

impl AnswerUsage {
    /// The usage, if any is known.
    pub fn so_far(&self) -> Option<Usage> {
        match self {
            AnswerUsage::Whole(usage) => Some(usage.clone()),
            AnswerUsage::Streamed(meter) => meter.usage(),
        }
    }
}
