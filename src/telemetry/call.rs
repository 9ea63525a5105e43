//! The record of one call: what is known of it, from its first header to the
//! end of its answer.
//!
//! It travels with the call, from the request's extensions to the attempts,
//! and is turned into a log line, metrics and spans once, at the end. A call
//! that is not sampled leaves out what only spans would show.

use super::{
    CallObserver,
    attempt::AttemptData,
    context::{self, RemoteParent, SpanId, TraceId},
    labels::LabelId,
    log,
    metrics::{CallKey, CallSeries, ErrorType, Wait, histogram::Exemplar},
    names,
    prices::Tokens,
    recent::FailedCall,
};
use http::{HeaderMap, HeaderValue};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant, SystemTime},
};

/// The record of one call; without one where nobody observes. Cloning is
/// cheap.
#[derive(Clone, Default)]
pub struct CallRecord(pub(super) Option<Arc<CallData>>);

/// What is recorded.
pub struct CallData {
    pub(super) observed: Arc<CallObserver>,
    /// Index into [`names::METHODS`], or one more.
    pub(super) rpc: usize,
    pub(super) began: Instant,
    pub(super) at: SystemTime,
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) parent: Option<RemoteParent>,
    pub(super) sampled: bool,
    /// Values of the configured keys of the caller's baggage.
    pub(super) baggage: Vec<(usize, String)>,
    state: Mutex<CallState>,
}

/// What changes on the way.
#[derive(Default)]
pub(super) struct CallState {
    client: Option<LabelId>,
    pub(super) model: Option<Arc<str>>,
    model_label: Option<LabelId>,
    series: Option<Arc<CallSeries>>,
    /// Time in which an attempt was under way, until it had something to show.
    pub(super) upstream: Duration,
    /// Of the attempt that is being made, by [`Wait`].
    waits: [Duration; 3],
    waiting: Option<(Wait, Instant)>,
    /// The last attempt: how and when it failed.
    failed: Option<(ErrorType, Instant)>,
    pub(super) attempts: u32,
    pub(super) first_chunk: Option<Duration>,
    pub(super) tokens: Tokens,
    /// Billionths of a dollar.
    pub(super) cost: u64,
    pub(super) overhead: Option<Duration>,
    /// The call whose answer this one shares.
    pub(super) joined: Option<(TraceId, SpanId)>,
    /// The attempts that ended, when they are to be shown.
    pub(super) spans: Vec<AttemptData>,
    finished: bool,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub struct CallEnd {
    /// Index into [`names::STATUSES`].
    pub status: usize,
    /// `ErrorInfo.reason`, if there is one.
    pub reason: Option<Box<str>>,
    /// How long it took.
    pub took: Duration,
}

/// What an attempt begins with.
pub(super) struct AttemptStart {
    pub(super) number: u32,
    pub(super) waits: [Duration; 3],
    pub(super) cause: Option<ErrorType>,
}

// === impl CallRecord ===

impl CallRecord {
    /// Begins the record of a call; `path` is the request's.
    pub(super) fn begin(observed: &Arc<CallObserver>, path: &str, headers: &HeaderMap) -> Self {
        let path = path.strip_prefix('/').unwrap_or(path);
        let rpc = names::METHODS.iter().position(|it| *it == path);
        let tracing = &observed.tracing;
        let parent = tracing.parent(headers);
        let trace = parent.as_ref().map_or_else(TraceId::random, |it| it.trace);
        let sampled = tracing.samples(trace, parent.as_ref());
        let baggage = match sampled {
            true => context::baggage(headers, tracing.baggage_keys()),
            false => Vec::new(),
        };
        observed.metrics.in_flight.fetch_add(1, Relaxed);
        CallRecord(Some(Arc::new(CallData {
            observed: Arc::clone(observed),
            rpc: rpc.unwrap_or(names::METHODS.len()),
            began: Instant::now(),
            at: SystemTime::now(),
            trace,
            span: SpanId::random(),
            parent,
            sampled,
            baggage,
            state: Mutex::default(),
        })))
    }

    /// The caller is this client: a configured name.
    pub fn client(&self, name: &str) {
        if let Some(call) = &self.0 {
            call.state().client = Some(call.observed.metrics.clients.learn(name));
        }
    }

    /// This model is asked.
    pub fn model(&self, model: &Arc<str>) {
        let Some(call) = self.0.as_ref().filter(|_| !model.is_empty()) else {
            return;
        };
        let label = call.observed.metrics.models.label(model);
        let mut state = call.state();
        state.model_label = Some(label);
        state.model = Some(Arc::clone(model));
    }

    /// From now on the next attempt waits for this, and no longer for what it
    /// waited for before.
    pub fn waits(&self, wait: Wait) {
        if let Some(call) = &self.0 {
            call.state().wait(Some(wait));
        }
    }

    /// The call shares the answer of another one, and waits for it as long as
    /// the guard is kept.
    pub fn joined(&self, other: &CallRecord) -> CoalescedWait {
        if let (Some(call), Some(other)) = (&self.0, &other.0) {
            call.state().joined = Some((other.trace, other.span));
        }
        CoalescedWait {
            call: self.0.clone(),
            since: Instant::now(),
        }
    }

    /// The answer begins: what it took until now without the attempts is what
    /// the service itself added.
    pub(super) fn answered(&self) {
        if let Some(call) = &self.0 {
            let mut state = call.state();
            state.wait(None);
            let overhead = call.began.elapsed().saturating_sub(state.upstream);
            state.overhead = Some(overhead);
        }
    }

    /// The call ends. Only the first time counts.
    pub(super) fn finish(&self, status: usize, reason: Option<Box<str>>) {
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

/// Kept as long as a call waits for the answer of another one.
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
    pub(super) fn state(&self) -> MutexGuard<'_, CallState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The figures that the call counts in. Its client and model are known by
    /// the time that anything is counted.
    pub(super) fn series(&self, state: &mut CallState) -> Arc<CallSeries> {
        if let Some(series) = &state.series {
            return Arc::clone(series);
        }
        let series = self.observed.metrics.calls(CallKey {
            rpc: self.rpc,
            model: state.model_label,
            client: self.client(state),
        });
        state.series = Some(Arc::clone(&series));
        series
    }

    pub(super) fn client(&self, state: &CallState) -> LabelId {
        let anonymous = || self.observed.metrics.clients.label(names::ANONYMOUS);
        state.client.unwrap_or_else(anonymous)
    }

    /// The client's name.
    pub(super) fn client_name(&self) -> Arc<str> {
        let label = self.client(&self.state());
        self.observed.metrics.clients.name(label)
    }

    /// Whether the spans show prompt and answer.
    pub(super) fn shows_content(&self) -> bool {
        self.sampled && self.observed.tracing.shows_content()
    }

    /// The header that goes to the API.
    pub(super) fn traceparent(&self, attempt: SpanId) -> Option<HeaderValue> {
        if self.observed.tracing.is_on() {
            return Some(context::traceparent(self.trace, attempt, self.sampled));
        }
        // We leave no spans: the caller's goes on as it came.
        let parent = self.parent.as_ref()?;
        let sampled = parent.sampled;
        Some(context::traceparent(parent.trace, parent.span, sampled))
    }

    /// An attempt begins.
    pub(super) fn begin_attempt(&self) -> AttemptStart {
        let (waits, cause, number) = {
            let mut state = self.state();
            state.wait(None);
            state.attempts += 1;
            let waits = std::mem::take(&mut state.waits);
            (waits, state.failed.take(), state.attempts)
        };
        let metrics = &self.observed.metrics;
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

    /// An attempt ends. What is known of it is asked for only to be shown.
    pub(super) fn end_attempt(
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
            state.spans.push(attempt());
            return;
        }
        drop(state);
        // Whoever shared the answer has kept it going.
        self.observed.tracing.late_attempt(self, attempt());
    }

    fn exemplar(&self, value: Duration) -> Exemplar {
        Exemplar {
            trace: self.trace,
            span: self.span,
            value: super::metrics::histogram::nanos(value),
            at: SystemTime::now(),
        }
    }

    fn finish(self: &Arc<Self>, end: CallEnd) {
        let metrics = &self.observed.metrics;
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
            if self.observed.tracing.exemplifies(self.sampled) {
                durations.exemplify(bucket, self.exemplar(end.took));
                series
                    .overhead
                    .exemplify(overhead_bucket, self.exemplar(overhead));
            }
            if end.status != 0 {
                let reason = end.reason.as_deref().unwrap_or(names::STATUSES[end.status]);
                metrics.failure(self.rpc, self.client(&state), reason);
                if let Some(limit) = limit_of(reason) {
                    metrics.rejection(limit);
                }
                self.observed.recent.add(FailedCall {
                    at: SystemTime::now(),
                    trace: self.trace,
                    method: super::metrics::method(self.rpc),
                    client: metrics.clients.name(self.client(&state)),
                    status: names::STATUSES[end.status],
                    reason: reason.into(),
                    took: end.took,
                    attempts: state.attempts,
                });
            }
            log::call(self, &state, &end);
        }
        if self.sampled {
            self.observed.tracing.finished(self, &end);
        }
    }
}

/// The limit that a reason tells of.
fn limit_of(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "OVERLOADED" => "capacity",
        "CIRCUIT_OPEN" => "breaker",
        "UPSTREAM_QUOTA_EXHAUSTED" | "QUOTA_UNREACHABLE" => "ledger",
        "UPSTREAM_RATE_LIMITED" => "api",
        "UPSTREAM_SPEND_LIMIT" => "spend",
        "MESSAGE_TOO_LARGE" | "REQUEST_TOO_LARGE" => "size",
        "CLIENT_LIMIT_REACHED" | "LIMITS_UNREACHABLE" => "client",
        _ => return None,
    })
}

// === impl CallState ===

impl CallState {
    /// Ends what is waited for, and begins to wait for something else.
    fn wait(&mut self, next: Option<Wait>) {
        let now = Instant::now();
        if let Some((wait, since)) = self.waiting.take() {
            self.waits[wait as usize] += now - since;
        }
        // The time since the last attempt failed was its backoff.
        if let Some((_, failed)) = self.failed
            && self.waits == [Duration::ZERO; 3]
        {
            self.waits[Wait::Backoff as usize] = now - failed;
        }
        self.waiting = next.map(|next| (next, now));
    }
}
