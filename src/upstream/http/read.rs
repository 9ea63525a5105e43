//! Reads responses: complete ones, events, and errors.

use super::{
    HttpApi,
    content_encoding::BodyDecoder,
    event_frames::{self, EventFrames},
    events, headers,
    response::{ApiResponse, BodyFormat},
};
use crate::{
    claude::{
        answer::{Message, Usage},
        as_events::as_events,
        batches::{BatchPage, MessageBatch},
        error::{ErrorBody, status_of_type, type_of_status},
        event::StreamEvent,
        files::FileObject,
        gather::Gather,
        models::{ModelPage, TokenCount},
        unreadable::Unreadable,
    },
    upstream::{
        ApiFailure, BatchCall, BatchResults, Body, ConnectFailure, EventStream, FileCall,
        FileContent, Payload, Transport, UpstreamError, attempt::Attempt, usage_meter::UsageMeter,
    },
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use std::time::SystemTime;
use tokio::time::timeout;

/// Maximum size of an error body that is read, in bytes.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// Maximum size of a complete response, in bytes; the largest responses of the
/// API are far smaller.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

impl HttpApi {
    /// Reads a successful response, of a stream up to its first event.
    pub(super) async fn body(
        &self,
        attempt: &Attempt,
        response: ApiResponse,
    ) -> Result<Body, UpstreamError> {
        let events = |response| self.events(response, &attempt.meter);
        Ok(match &attempt.call.payload {
            // Some proxies stream every answer, or none, whatever was asked for.
            Payload::Messages { transport, .. } => match (transport, response.format()) {
                (
                    Transport::Events,
                    BodyFormat::Events | BodyFormat::Frames | BodyFormat::Other,
                ) => Body::Events(events(response)?.begun().await?),
                (Transport::Events, BodyFormat::Json) => {
                    let message = self.whole(response, &attempt.meter).await?;
                    let events = stream::iter(as_events(*message).into_iter().map(Ok));
                    let events = EventStream::metered(events, attempt.meter.clone());
                    Body::Events(events.begun().await?)
                }
                (Transport::Whole, BodyFormat::Events | BodyFormat::Frames)
                | (
                    Transport::Gathered,
                    BodyFormat::Events | BodyFormat::Frames | BodyFormat::Other,
                ) => {
                    let events = events(response)?.begun().await?;
                    if let Some(lead) = &attempt.lead {
                        lead.begun();
                    }
                    Body::Message(gathered(events).await?)
                }
                (Transport::Whole, BodyFormat::Json | BodyFormat::Other)
                | (Transport::Gathered, BodyFormat::Json) => {
                    Body::Message(self.whole(response, &attempt.meter).await?)
                }
            },
            Payload::CountTokens { .. } => {
                Body::TokenCount(self.json(response, TokenCount::read).await?)
            }
            Payload::Models(_) => Body::Models(self.json(response, ModelPage::read).await?),
            Payload::Batches(of) => match of {
                BatchCall::Create { .. } | BatchCall::Get(_) | BatchCall::Cancel(_) => {
                    Body::Batch(Box::new(self.json(response, MessageBatch::read).await?))
                }
                BatchCall::List { .. } => {
                    Body::Batches(self.json(response, BatchPage::read).await?)
                }
                BatchCall::Delete(_) => Body::Deleted,
                BatchCall::Results(_) => {
                    let pieces = self.pieces_of(response)?;
                    Body::BatchResults(BatchResults::of(pieces, self.shared.read_timeout))
                }
            },
            Payload::Files(of) => match of {
                FileCall::Upload(_) | FileCall::Get(_) => {
                    Body::File(Box::new(self.json(response, FileObject::read).await?))
                }
                FileCall::Delete(_) => Body::Deleted,
                FileCall::Content(_) => {
                    let pieces = self.pieces_of(response)?;
                    Body::FileContent(FileContent::of(pieces, self.shared.read_timeout))
                }
            },
        })
    }

    /// The pieces of a body that is read as it arrives.
    fn pieces_of(
        &self,
        response: ApiResponse,
    ) -> Result<impl Stream<Item = Result<Bytes, UpstreamError>> + Send + 'static, UpstreamError>
    {
        let mut decoder = BodyDecoder::of(response.headers()).map_err(UpstreamError::Malformed)?;
        let body = response.into_stream();
        Ok(body.map(move |piece| Ok(decoder.decode(piece?)?)))
    }

    fn events(
        &self,
        response: ApiResponse,
        meter: &UsageMeter,
    ) -> Result<EventStream, UpstreamError> {
        let shared = &self.shared;
        let body_ends = match &response {
            ApiResponse::Http1(_) => shared.body_ends.clone(),
            ApiResponse::Http2(_) => shared.body_ends.over_http2(),
        };
        let mut decoder = BodyDecoder::of(response.headers()).map_err(UpstreamError::Malformed)?;
        let mut frames = match response.format() {
            BodyFormat::Frames => Some(EventFrames::default()),
            _ => None,
        };
        let body = response.into_stream();
        let body = body.map(move |piece| {
            let piece = decoder.decode(piece?)?;
            match &mut frames {
                Some(frames) => frames.decode(&piece),
                None => Ok(piece),
            }
        });
        let read_timeout = shared.read_timeout;
        Ok(events::events(body, read_timeout, meter.clone(), body_ends))
    }

    /// A complete response, which was paid for even if it cannot be read. A proxy
    /// may send an error with the status of a success.
    async fn whole(
        &self,
        response: ApiResponse,
        meter: &UsageMeter,
    ) -> Result<Box<Message>, UpstreamError> {
        meter.content_came();
        let body = self.pieces(response, MAX_ANSWER, |piece| meter.add(piece));
        let body = body.await?;
        match Message::read(&body) {
            Ok(message) => {
                meter.report(&message.usage);
                Ok(Box::new(message))
            }
            Err(unreadable) => {
                let error = ErrorBody::read(&body);
                if !error.kind.is_empty() {
                    meter.nothing_came();
                    return Err(events::failure(error));
                }
                meter.report(&Usage::of_body(&body).unwrap_or_default());
                Err(UpstreamError::Malformed(unreadable))
            }
        }
    }

    async fn json<T>(
        &self,
        response: ApiResponse,
        read: fn(&[u8]) -> Result<T, Unreadable>,
    ) -> Result<T, UpstreamError> {
        let body = self.read(response, MAX_ANSWER).await?;
        read(&body).map_err(UpstreamError::Malformed)
    }

    /// Converts an error response into an error.
    pub(super) async fn failure(&self, response: ApiResponse) -> UpstreamError {
        let status = response.status().as_u16();
        // The status of a proxy: no call has reached the API.
        if status == 407 && self.shared.proxy.is_some() {
            return UpstreamError::Connect(ConnectFailure::ProxyRejected(status));
        }
        let headers = response.headers();
        let mut failure = ApiFailure {
            status,
            retry_after: headers::retry_after(headers, SystemTime::now()),
            should_retry: headers::should_retry(headers),
            request_id: headers::request_id(headers),
            ..ApiFailure::default()
        };
        let exception = headers::exception(headers);
        // The status is enough if the body does not arrive.
        if let Ok(body) = self.read(response, MAX_ERROR_BODY).await {
            let body = ErrorBody::read(&body);
            failure.kind = body.kind;
            failure.message = body.message;
            failure.code = body.code;
            failure.request_id = failure.request_id.or(body.request_id);
        }
        if failure.kind.is_empty() {
            self.name_error_of_cloud(&mut failure, exception.as_deref());
        }
        UpstreamError::Api(Box::new(failure))
    }

    /// Gives an error of a cloud, which has written it instead of Claude, the type and
    /// status that the Claude API would have. A page of a proxy is no such error.
    fn name_error_of_cloud(&self, failure: &mut ApiFailure, exception: Option<&str>) {
        let is_written = !failure.message.is_empty() || exception.is_some();
        if !self.shared.kind.is_of_cloud() || !is_written {
            return;
        }
        let by_name = event_frames::kind(exception.unwrap_or_default());
        let kind = match by_name {
            "" => type_of_status(failure.status).unwrap_or_default(),
            kind => kind,
        };
        if kind.is_empty() {
            return;
        }
        // AWS reports quotas and credentials with the status of a wrong request.
        if type_of_status(failure.status) != Some(kind) {
            failure.status = status_of_type(kind);
        }
        failure.kind = kind.to_owned();
    }

    /// Reads a body to its end, up to a maximum size.
    async fn read(&self, response: ApiResponse, most: usize) -> Result<Vec<u8>, UpstreamError> {
        self.pieces(response, most, |_| {}).await
    }

    /// As [`read`](Self::read), and passes each piece to `see` when it comes.
    async fn pieces(
        &self,
        mut response: ApiResponse,
        most: usize,
        see: impl Fn(&[u8]),
    ) -> Result<Vec<u8>, UpstreamError> {
        let read_timeout = self.shared.read_timeout;
        let mut decoder = BodyDecoder::of(response.headers()).map_err(UpstreamError::Malformed)?;
        let announced = response.content_length().unwrap_or(0);
        let mut read = Vec::with_capacity(usize::try_from(announced).map_or(0, |it| it.min(most)));
        loop {
            let piece = match timeout(read_timeout, response.chunk()).await {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => return Ok(read),
                Ok(Err(broke)) => return Err(broke.into()),
                Err(_) => return Err(UpstreamError::Stalled(read_timeout)),
            };
            let bytes = decoder.decode(piece)?;
            if read.len() + bytes.len() > most {
                return Err(UpstreamError::Malformed("the body is too large".into()));
            }
            see(&bytes);
            read.extend_from_slice(&bytes);
        }
    }
}

/// Assembles events into a complete response.
async fn gathered(
    mut events: impl Stream<Item = Result<StreamEvent, UpstreamError>> + Unpin,
) -> Result<Box<Message>, UpstreamError> {
    let mut gather = Gather::default();
    let mut answer = None;
    while let Some(event) = events.next().await {
        let whole = gather.push(event?);
        if gather.unplaced_size() > MAX_ANSWER {
            return Err(UpstreamError::Malformed("the body is too large".into()));
        }
        answer = answer.or(whole);
    }
    answer.ok_or(UpstreamError::Broken)
}
