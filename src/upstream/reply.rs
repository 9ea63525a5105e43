//! The responses of the API.

use super::{BatchResults, FileContent, Fingerprint, UpstreamError, usage_meter::UsageMeter};
use crate::claude::{
    answer::Message,
    batches::{BatchPage, MessageBatch},
    event::StreamEvent,
    files::FileObject,
    models::{ModelPage, TokenCount},
};
use futures::{
    Stream, StreamExt,
    future::{BoxFuture, OptionFuture},
    stream::BoxStream,
};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// A successful response, or the successful start of a stream.
#[derive(Debug)]
pub struct Reply {
    /// The API's request id.
    pub request_id: Option<String>,
    /// Name of the host that answered.
    pub host: Arc<str>,
    /// The API key that was used; `None` for a response that is shared.
    pub key: Option<Fingerprint>,
    /// The response itself.
    pub body: Body,
}

/// The content of a response.
#[derive(Debug)]
pub enum Body {
    /// The complete response to a messages request.
    Message(Box<Message>),
    /// The events of a messages request. The first one has already arrived:
    /// polling returns it at once.
    Events(EventStream),
    /// The response of `count_tokens`.
    TokenCount(TokenCount),
    /// A page of the list of models.
    Models(ModelPage),
    /// A batch.
    Batch(Box<MessageBatch>),
    /// A page of the list of batches.
    Batches(BatchPage),
    /// The results of a batch.
    BatchResults(BatchResults),
    /// A file.
    File(Box<FileObject>),
    /// The content of a file.
    FileContent(FileContent),
    /// What the call was about has been deleted.
    Deleted,
}

impl Body {
    /// Keeps `held` until the response is read: at once, unless it is read on demand.
    pub fn hold(&mut self, held: impl Send + 'static) {
        match self {
            Body::Events(events) => events.hold(held),
            Body::BatchResults(results) => results.hold(held),
            Body::FileContent(content) => content.hold(held),
            _ => drop(held),
        }
    }
}

type Event = Result<StreamEvent, UpstreamError>;

/// The events of a streamed response. It ends after
/// [`StreamEvent::MessageStop`]; before that it ends only with an error, also
/// when the API cut it off ([`UpstreamError::Broken`]) or sent an `error` event
/// ([`UpstreamError::Api`]). Dropping it closes the upstream connection.
///
/// Nothing is read ahead: each event is read on demand, so a slow reader slows
/// the API down.
pub struct EventStream {
    /// An event that was read early.
    first: Option<Event>,
    events: BoxStream<'static, Event>,
    meter: UsageMeter,
    /// Dropped after the events.
    held: Vec<Box<dyn Send>>,
}

impl EventStream {
    /// Wraps any stream of events.
    pub fn new(events: impl Stream<Item = Event> + Send + 'static) -> Self {
        EventStream::metered(events, UsageMeter::default())
    }

    /// Wraps any stream of events, whose usage `meter` counts.
    pub fn metered(events: impl Stream<Item = Event> + Send + 'static, meter: UsageMeter) -> Self {
        EventStream {
            first: None,
            events: events.boxed(),
            meter,
            held: Vec::new(),
        }
    }

    /// The usage of the events that were read so far.
    pub fn meter(&self) -> &UsageMeter {
        &self.meter
    }

    /// Keeps `held` until the stream is dropped: a permit, or something that is
    /// settled when the response ends.
    pub fn hold(&mut self, held: impl Send + 'static) {
        self.held.push(Box::new(held));
    }

    /// The same events, each passed to `inspect` when it is read.
    #[must_use]
    pub fn inspect(self, mut inspect: impl FnMut(&Event) + Send + 'static) -> Self {
        self.first.iter().for_each(&mut inspect);
        EventStream {
            events: self.events.inspect(inspect).boxed(),
            ..self
        }
    }

    /// Passes each event to `inspect` when it is read, the first one at once. What that
    /// returns is awaited before the event is passed on.
    pub async fn hold_back(
        &mut self,
        inspect: impl Fn(&StreamEvent) -> Option<BoxFuture<'static, ()>> + Send + 'static,
    ) {
        let inspect = move |event: &Event| event.as_ref().ok().and_then(&inspect);
        let until = self.first.as_ref().and_then(&inspect);
        let events = std::mem::replace(&mut self.events, futures::stream::empty().boxed());
        let held_back = events.then(move |event| {
            let until = inspect(&event);
            async move {
                OptionFuture::from(until).await;
                event
            }
        });
        self.events = held_back.boxed();
        OptionFuture::from(until).await;
    }

    /// Waits for the first event, which is then read again.
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
