//! The record of one attempt at the API while it is in flight.

use super::{
    attempt_data::{AttemptData, AttemptRequest, ResponseMetadata},
    call::{CallData, CallRecord},
};
use crate::models::Tokens;
use crate::telemetry::{
    context::new_span_id,
    metrics::{AttemptKey, CallSeries, ErrorType},
};
use http::HeaderValue;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// An attempt in flight. Dropping it before it ends records it as cancelled.
pub struct AttemptRecord(Option<Box<UnderWay>>);

struct UnderWay {
    call: Arc<CallData>,
    began: Instant,
    replied: bool,
    last_chunk: Option<Instant>,
    series: Option<Arc<CallSeries>>,
    attempt: AttemptData,
}

// === impl AttemptRecord ===

impl AttemptRecord {
    /// An attempt of a call starts. `request` is called with whether spans
    /// contain the text of the request.
    pub fn begin(call: &CallRecord, request: impl FnOnce(bool) -> AttemptRequest) -> Self {
        let Some(call) = &call.0 else {
            return AttemptRecord(None);
        };
        let beginning = call.begin_attempt();
        let began = Instant::now();
        AttemptRecord(Some(Box::new(UnderWay {
            began,
            replied: false,
            last_chunk: None,
            series: None,
            attempt: AttemptData {
                span: new_span_id(),
                number: beginning.number,
                request: request(call.shows_content()),
                began: began - call.began,
                took: Duration::ZERO,
                waits: beginning.waits,
                cause: beginning.cause,
                error: None,
                status: 0,
                request_id: None,
                response: None,
                first_chunk: None,
                tokens: None,
                answer: None,
            },
            call: Arc::clone(call),
        })))
    }

    /// The `traceparent` header of the attempt.
    pub fn traceparent(&self) -> Option<HeaderValue> {
        let attempt = self.0.as_ref()?;
        attempt.call.traceparent(attempt.attempt.span)
    }

    /// The `tracestate` header of the caller, to be passed on.
    pub fn tracestate(&self) -> Option<HeaderValue> {
        let attempt = self.0.as_ref()?;
        attempt.call.parent.as_ref()?.state.clone()
    }

    /// Whether the span contains the prompt and the response.
    pub fn shows_content(&self) -> bool {
        self.0.as_ref().is_some_and(|it| it.call.shows_content())
    }

    /// The response begins: a whole response or the first event.
    pub fn replied(&mut self, request_id: Option<&str>) {
        if let Some(attempt) = &mut self.0 {
            attempt.reply();
            attempt.attempt.status = 200;
            if attempt.call.sampled {
                attempt.attempt.request_id = request_id.map(str::to_owned);
            }
        }
    }

    /// Records the metadata of the response, if the call is sampled.
    pub fn response(&mut self, response: impl FnOnce() -> ResponseMetadata) {
        if let Some(attempt) = self.0.as_mut().filter(|it| it.call.sampled) {
            attempt.attempt.response = Some(response());
        }
    }

    /// Records why a streamed response ended.
    pub fn finish_reason(&mut self, reason: Option<&str>) {
        if let Some(attempt) = &mut self.0
            && let Some(response) = &mut attempt.attempt.response
        {
            // Not every `message_delta` has one.
            let before = response.finish_reason.take();
            response.finish_reason = reason.map(str::to_owned).or(before);
        }
    }

    /// Records the tokens used so far. The last call wins.
    pub fn tokens(&mut self, tokens: Tokens) {
        if let Some(attempt) = &mut self.0 {
            attempt.attempt.tokens = Some(tokens);
        }
    }

    /// A chunk of the response arrived.
    pub fn chunk(&mut self) {
        if let Some(attempt) = &mut self.0 {
            attempt.chunk();
        }
    }

    /// Appends text of the response, for spans that contain it.
    pub fn text(&mut self, text: &str) {
        if let Some(attempt) = &mut self.0 {
            let answer = attempt.attempt.answer.get_or_insert_with(String::new);
            answer.push_str(text);
        }
    }

    /// The attempt succeeded.
    pub fn succeed(mut self) {
        if let Some(mut attempt) = self.0.take() {
            attempt.end(None);
        }
    }

    /// The attempt failed. `status` is the HTTP status, or 0 without a response.
    pub fn fail(mut self, error: ErrorType, status: u16, request_id: Option<&str>) {
        if let Some(mut attempt) = self.0.take() {
            attempt.attempt.status = status;
            if request_id.is_some() {
                attempt.attempt.request_id = request_id.map(str::to_owned);
            }
            attempt.end(Some(error));
        }
    }
}

impl Drop for AttemptRecord {
    fn drop(&mut self) {
        if let Some(mut attempt) = self.0.take() {
            attempt.end(Some(ErrorType::named("cancelled")));
        }
    }
}

impl UnderWay {
    fn reply(&mut self) {
        if !self.replied {
            self.replied = true;
            self.call.state().upstream += self.began.elapsed();
        }
    }

    fn chunk(&mut self) {
        let now = Instant::now();
        let call = &self.call;
        let series = self
            .series
            .get_or_insert_with(|| call.series(&mut call.state()));
        match self.last_chunk.replace(now) {
            Some(last) => {
                series.per_chunk().observe_time(now - last);
            }
            None => {
                let first = now - call.began;
                self.attempt.first_chunk = Some(first);
                series.first_chunk().observe_time(first);
                call.state().first_chunk = Some(first);
            }
        }
    }

    fn end(&mut self, error: Option<ErrorType>) {
        self.reply();
        let (call, attempt) = (&self.call, &mut self.attempt);
        attempt.took = self.began.elapsed();
        attempt.error = error;
        let metrics = &call.observer.metrics;
        let (model, id) = (&attempt.request.named, &attempt.request.model);
        let label = match error {
            // The API knows the model: it gets a label of its own.
            None if !model.is_empty() => {
                metrics.retirements.note(model);
                metrics.models.learn(model)
            }
            _ => metrics.models.label(model),
        };
        let host = metrics.hosts.learn(&attempt.request.host);
        metrics.attempt(
            AttemptKey {
                operation: attempt.request.operation,
                model: (!model.is_empty()).then_some(label),
                error,
                status: attempt.status,
                host,
            },
            attempt.took,
        );
        if let Some(tokens) = &attempt.tokens {
            let mut state = call.state();
            let series = call.series(&mut state);
            let cost = metrics.usage(&series, label, [id, model], host, tokens);
            state.cost = state.cost.saturating_add(cost);
            state.tokens.add(tokens);
        }
        call.end_attempt(error, || AttemptData {
            request: attempt.request.clone(),
            request_id: attempt.request_id.take(),
            response: attempt.response.take(),
            answer: attempt.answer.take(),
            ..*attempt
        });
    }
}
