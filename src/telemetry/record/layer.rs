//! The outermost layer of calls, which starts and ends their records.

use super::call::{CallObserver, CallRecord};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt;
use tower::{Layer, Service};

/// The layer that records calls.
#[derive(Clone)]
pub struct RecordLayer(pub(in crate::telemetry) Option<Arc<CallObserver>>);

impl<S> Layer<S> for RecordLayer {
    type Service = RecordService<S>;

    fn layer(&self, inner: S) -> RecordService<S> {
        RecordService {
            inner,
            observer: self.0.clone(),
        }
    }
}

/// Records calls. Handlers find the [`CallRecord`] in the request's
/// extensions.
#[derive(Clone)]
pub struct RecordService<S> {
    inner: S,
    observer: Option<Arc<CallObserver>>,
}

impl<S, B> Service<Request<B>> for RecordService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = RecordFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let begin = |observer| CallRecord::begin(observer, request.uri().path(), request.headers());
        let record = self
            .observer
            .as_ref()
            .map_or_else(CallRecord::default, begin);
        request.extensions_mut().insert(record.clone());
        RecordFuture {
            inner: self.inner.call(request),
            record: Some(Unfinished(record)),
        }
    }
}

/// A call that has not ended. If it is dropped, the caller has cancelled.
struct Unfinished(CallRecord);

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.finish(Code::Cancelled as usize, None);
    }
}

impl Unfinished {
    fn finish(&self, headers: &HeaderMap) {
        let Some(code) = headers.get(Status::GRPC_STATUS) else {
            return;
        };
        if code.as_bytes() == b"0" {
            self.0.finish(Code::Ok as usize, None);
            return;
        }
        let status = Status::from_header_map(headers);
        let (code, reason) = status.map_or((Code::Unknown, None), |status| {
            let info = status.get_details_error_info();
            (status.code(), info.map(|it| it.reason.into_boxed_str()))
        });
        self.0.finish(code as usize, reason);
    }
}

pin_project_lite::pin_project! {
    /// The future of [`RecordService`].
    pub struct RecordFuture<F> {
        // Declared before the record: inner services end first, and still count.
        #[pin]
        inner: F,
        record: Option<Unfinished>,
    }
}

impl<F, E> Future for RecordFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let Some(record) = this.record.take() else {
            return Poll::Ready(Ok(response));
        };
        record.0.answered();
        // An error without a response body is in the headers.
        record.finish(response.headers());
        if response.headers().contains_key(Status::GRPC_STATUS) || record.0.0.is_none() {
            return Poll::Ready(Ok(response));
        }
        Poll::Ready(Ok(response.map(|body| {
            Body::new(RecordedBody {
                body,
                record: Some(record),
            })
        })))
    }
}

/// A response body whose end is recorded.
struct RecordedBody {
    body: Body,
    record: Option<Unfinished>,
}

impl http_body::Body for RecordedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &polled {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref()
                    && let Some(record) = self.record.take()
                {
                    record.finish(trailers);
                }
            }
            Some(Err(status)) => {
                if let Some(record) = self.record.take() {
                    record.0.finish(status.code() as usize, None);
                }
            }
            None => {
                // gRPC requires trailers at the end.
                if let Some(record) = self.record.take() {
                    record.0.finish(Code::Unknown as usize, None);
                }
            }
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
