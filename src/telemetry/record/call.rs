//! The record of one call: what is known of it, from its first header to the
//! end of its response.
//!
//! It travels with the call, from the request's extensions to the attempts,
//! and is turned into a log line, metrics and spans once, at the end. A call
//! that is not sampled does not collect what only spans show.

use super::{
    attempt_data::AttemptData,
    policy::TracePolicy,
    recent::{FailedCall, RecentFailures},
    state::CallState,
};
use crate::reason::Reason;
use crate::telemetry::{
    context::{self, RemoteParent},
    labels::LabelId,
    metrics::{
        self, CallKey, CallSeries, ErrorType, Metrics, Wait,
        histogram::{self, Exemplar},
    },
    names,
};
use http::{HeaderMap, HeaderValue};
use opentelemetry::{SpanId, TraceId};
use parking_lot::{Mutex, MutexGuard};
use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant, SystemTime},
};

/// The record of one call; empty when calls are not recorded. Cloning is
/// cheap.
#[derive(Clone, Default)]
pub struct CallRecord(pub(in crate::telemetry) Option<Arc<CallData>>);

/// Receives calls and attempts when they end.
pub trait CallSubscriber: Send + Sync {
    /// A call ended, with all that is known of it.
    fn call_ended(&self, call: &CallData, end: &CallEnd);

    /// An attempt of a sampled call ended after its call: a call that shared
    /// the answer has kept it running.
    fn late_attempt_ended(&self, call: &CallData, attempt: AttemptData);
}

/// What the records of all calls share.
pub struct CallObserver {
    /// The metrics that count calls.
    pub metrics: Arc<Metrics>,
    /// Which calls are traced, and what their spans show.
    pub policy: TracePolicy,
    /// The last calls that failed.
    pub recent: RecentFailures,
    /// Is notified of calls that ended.
    pub subscriber: Box<dyn CallSubscriber>,
}

/// Maximum number of attempts of a call that spans show: a call about many items has as
/// many as it likes.
const MAX_SPANS: usize = 1000;

/// The data of one call.
pub struct CallData {
    pub(in crate::telemetry) observer: Arc<CallObserver>,
    /// Index into [`names::METHODS`], or its length for any other method.
    pub(in crate::telemetry) rpc: usize,
    pub(in crate::telemetry) began: Instant,
    pub(in crate::telemetry) at: SystemTime,
    pub(in crate::telemetry) trace: TraceId,
    pub(in crate::telemetry) span: SpanId,
    pub(in crate::telemetry) parent: Option<RemoteParent>,
    pub(in crate::telemetry) sampled: bool,
    /// Values of the configured keys of the caller's baggage, by key index.
    pub(in crate::telemetry) baggage: Vec<(usize, String)>,
    state: Mutex<CallState>,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub struct CallEnd {
    /// Index into [`names::STATUSES`].
    pub status: usize,
    /// `ErrorInfo.reason`, if the status has one.
    pub reason: Option<Box<str>>,
    /// Duration of the call.
    pub took: Duration,
}

/// What is known when an attempt starts.
pub(in crate::telemetry) struct AttemptStart {
    pub(in crate::telemetry) number: u32,
    pub(in crate::telemetry) waits: [Duration; 4],
    pub(in crate::telemetry) cause: Option<ErrorType>,
}

// === impl CallRecord ===

impl CallRecord {
    /// Starts the record of a call. `path` is the path of the request.
    pub(in crate::telemetry) fn begin(
        observer: &Arc<CallObserver>,
        path: &str,
        headers: &HeaderMap,
    ) -> Self {
        let path = path.strip_prefix('/').unwrap_or(path);
        let rpc = names::METHODS.iter().position(|it| *it == path);
        let policy = &observer.policy;
        let parent = policy.parent(headers);
        let trace = parent
            .as_ref()
            .map_or_else(context::new_trace_id, |it| it.trace);
        let sampled = policy.samples(trace, parent.as_ref());
        let baggage = match sampled {
            true => context::baggage(headers, &policy.baggage_keys),
            false => Vec::new(),
        };
        observer.metrics.in_flight.fetch_add(1, Relaxed);
        CallRecord(Some(Arc::new(CallData {
            observer: Arc::clone(observer),
            rpc: rpc.unwrap_or(names::METHODS.len()),
            began: Instant::now(),
            at: SystemTime::now(),
            trace,
            span: context::new_span_id(),
            parent,
            sampled,
            baggage,
            state: Mutex::default(),
        })))
    }

    /// Sets the client: a configured name.
    pub fn client(&self, name: &str) {
        if let Some(call) = &self.0 {
            call.state().client = Some(call.observer.metrics.clients.learn(name));
        }
    }

    /// Access control rejects the call of this peer, for this cause.
    pub fn refused(&self, peer: IpAddr, cause: &'static str) {
        if let Some(call) = &self.0 {
            call.state().refused = Some((peer, cause));
        }
    }

    /// A host is asked.
    pub fn asks(&self, host: &Arc<str>) {
        if let Some(call) = &self.0 {
            call.state().host = Some(Arc::clone(host));
        }
    }

    /// Sets the requested model.
    pub fn model(&self, model: &Arc<str>) {
        let Some(call) = self.0.as_ref().filter(|_| !model.is_empty()) else {
            return;
        };
        let label = call.observer.metrics.models.label(model);
        let mut state = call.state();
        state.model_label = Some(label);
        state.model = Some(Arc::clone(model));
    }

    /// The response is from the cache, for a request to this model.
    pub fn found(&self, model: &str) {
        self.model(&Arc::from(model));
        if let Some(call) = &self.0 {
            call.state().found = true;
        }
    }

    /// The next attempt starts to wait for `wait`, which ends any previous
    /// wait.
    pub fn waits(&self, wait: Wait) {
        if let Some(call) = &self.0 {
            call.state().wait(Some(wait));
        }
    }

    /// The call shares the response of another call, and waits for it until the
    /// guard is dropped.
    pub fn joined(&self, other: &CallRecord) -> CoalescedWait {
        if let (Some(call), Some(other)) = (&self.0, &other.0) {
            call.state().joined = Some((other.trace, other.span));
        }
        CoalescedWait {
            call: self.0.clone(),
            since: Instant::now(),
        }
    }

    /// The response begins: the time so far, without the attempts, is the
    /// overhead of the gateway.
    pub(in crate::telemetry) fn answered(&self) {
        if let Some(call) = &self.0 {
            let mut state = call.state();
            state.wait(None);
            let overhead = call.began.elapsed().saturating_sub(state.upstream);
            state.overhead = Some(overhead);
        }
    }

    /// Records the end of a call whose status the caller may never read.
    pub fn ended(&self, reason: Reason) {
        self.finish(reason.code() as usize, Some(reason.name().into()));
    }

    /// The call ends. Later calls of this method have no effect.
    pub(in crate::telemetry) fn finish(&self, status: usize, reason: Option<Box<str>>) {
        if let Some(call) = &self.0 {
            let end = CallEnd {
                status: status.min(names::STATUSES.len() - 1),
                reason,
                took: call.began.elapsed(),
            };
            call.finish(end);
        }
    }
}

impl fmt::Debug for CallRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(call) => write!(f, "CallRecord({})", call.trace),
            None => f.write_str("CallRecord"),
        }
    }
}

/// Counts the time in which a call waits for the response of another one.
pub struct CoalescedWait {
    call: Option<Arc<CallData>>,
    since: Instant,
}

impl Drop for CoalescedWait {
    fn drop(&mut self) {
        if let Some(call) = &self.call {
            call.state().upstream += self.since.elapsed();
        }
    }
}

// === impl CallData ===

impl CallData {
    pub(in crate::telemetry) fn state(&self) -> MutexGuard<'_, CallState> {
        self.state.lock()
    }

    /// The series that count the call. Its client and model are known before
    /// anything is counted.
    pub(in crate::telemetry) fn series(&self, state: &mut CallState) -> Arc<CallSeries> {
        if let Some(series) = &state.series {
            return Arc::clone(series);
        }
        let series = self.observer.metrics.calls(CallKey {
            rpc: self.rpc,
            model: state.model_label,
            client: self.client(state),
        });
        state.series = Some(Arc::clone(&series));
        series
    }

    pub(in crate::telemetry) fn client(&self, state: &CallState) -> LabelId {
        let anonymous = || self.observer.metrics.clients.label(names::ANONYMOUS);
        state.client.unwrap_or_else(anonymous)
    }

    /// The name of the client.
    pub(in crate::telemetry) fn client_name(&self) -> Arc<str> {
        let label = self.client(&self.state());
        self.observer.metrics.clients.name(label)
    }

    /// Whether the spans contain the prompt and the response.
    pub(in crate::telemetry) fn shows_content(&self) -> bool {
        self.sampled && self.observer.policy.shows_content
    }

    /// The `traceparent` header of an attempt.
    pub(in crate::telemetry) fn traceparent(&self, attempt: SpanId) -> Option<HeaderValue> {
        if self.observer.policy.is_on {
            return Some(context::traceparent(self.trace, attempt, self.sampled));
        }
        // No spans are exported: the caller's context is passed on unchanged.
        let parent = self.parent.as_ref()?;
        let sampled = parent.sampled;
        Some(context::traceparent(parent.trace, parent.span, sampled))
    }

    /// An attempt starts.
    pub(in crate::telemetry) fn begin_attempt(&self) -> AttemptStart {
        let (waits, cause, number) = {
            let mut state = self.state();
            state.wait(None);
            state.attempts += 1;
            let waits = std::mem::take(&mut state.waits);
            (waits, state.failed.take(), state.attempts)
        };
        let metrics = &self.observer.metrics;
        metrics.waited_for(waits);
        if let Some((error, _)) = cause {
            metrics.retry(error);
        }
        AttemptStart {
            number,
            waits,
            cause: cause.map(|(error, _)| error),
        }
    }

    /// An attempt ends. `attempt` is called only if spans show it.
    pub(in crate::telemetry) fn end_attempt(
        self: &Arc<Self>,
        error: Option<ErrorType>,
        attempt: impl FnOnce() -> AttemptData,
    ) {
        let mut state = self.state();
        state.failed = error.map(|error| (error, Instant::now()));
        if !self.sampled {
            return;
        }
        if !state.finished {
            if state.spans.len() < MAX_SPANS {
                state.spans.push(attempt());
            }
            return;
        }
        drop(state);
        let subscriber = &self.observer.subscriber;
        subscriber.late_attempt_ended(self, attempt());
    }

    fn exemplar(&self, value: Duration) -> Exemplar {
        Exemplar {
            trace: self.trace,
            span: self.span,
            value: histogram::nanos(value),
            at: SystemTime::now(),
        }
    }

    fn finish(self: &Arc<Self>, end: CallEnd) {
        let metrics = &self.observer.metrics;
        {
            let mut state = self.state();
            if state.finished {
                return;
            }
            state.finished = true;
            metrics.in_flight.fetch_sub(1, Relaxed);
            // A wait that ended without an attempt.
            state.wait(None);
            metrics.waited_for(std::mem::take(&mut state.waits));
            let series = self.series(&mut state);
            let overhead = match state.overhead {
                Some(overhead) => overhead,
                None => end.took.saturating_sub(state.upstream),
            };
            state.overhead = Some(overhead);
            let durations = series.durations(end.status);
            let bucket = durations.observe_time(end.took);
            let overhead_bucket = series.overhead.observe_time(overhead);
            if self.observer.policy.exemplars.accepts(self.sampled) {
                durations.exemplify(bucket, self.exemplar(end.took));
                series
                    .overhead
                    .exemplify(overhead_bucket, self.exemplar(overhead));
            }
            if end.status != 0 {
                let reason = end.reason.as_deref().unwrap_or(names::STATUSES[end.status]);
                metrics.failure(self.rpc, self.client(&state), reason);
                if let Some(limit) = Reason::named(reason).and_then(Reason::limit) {
                    metrics.rejection(limit);
                }
                self.observer.recent.add(FailedCall {
                    at: SystemTime::now(),
                    trace: self.trace,
                    method: metrics::method(self.rpc),
                    client: metrics.clients.name(self.client(&state)),
                    status: names::STATUSES[end.status],
                    reason: reason.into(),
                    took: end.took,
                    attempts: state.attempts,
                });
            }
        }
        self.observer.subscriber.call_ended(self, &end);
    }
}
